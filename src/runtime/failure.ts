/** That an adapter gave no answer, as a value. */
export class Failure {
  /**
   * `fault`: it threw, or answered something that is no answer; `timeout`: it took too long; `busy`: as many calls as
   * it may have are under way, or as many payments of a count are unanswered; `open`: it failed too often and is left
   * alone for a while.
   */
  readonly kind: "fault" | "timeout" | "busy" | "open";
  /** For the log. */
  readonly error?: unknown;

  /** For a timeout: what the adapter answers after all, or another failure. */
  readonly late?: Promise<unknown>;

  constructor(kind: Failure["kind"], error?: unknown, late?: Promise<unknown>) {
    this.kind = kind;
    this.error = error;
    if (late !== undefined) this.late = late;
  }
}
