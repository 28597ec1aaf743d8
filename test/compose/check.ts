/** One thing that is looked at. */
export interface Check {
  readonly what: string;
  /** The services whose logs tell why it failed. */
  readonly of: readonly string[];
  /** Answers what was found; throws what is wrong. Checks run in their order, and lean on what those before them sent. */
  run(): Promise<string>;
}
