export interface BreakerOptions {
  /** How many calls in a row must fail for it to open. Default 10. */
  readonly failures?: number;
  /** How long it stays open at first, in milliseconds; doubled each time the trial fails. Default 1 s. */
  readonly openMs?: number;
  /** The longest that it stays open. Default 30 s. */
  readonly maxOpenMs?: number;
}

/**
 * Leaves a backend alone that fails again and again: after so many failures in a row no call passes for a while, then
 * one is tried; its success closes the breaker, its failure opens it for twice as long.
 */
export class CircuitBreaker {
  readonly #now: () => number;
  readonly #failures: number;
  readonly #firstOpenMs: number;
  readonly #maxOpenMs: number;
  #inARow = 0;
  #openMs = 0;
  #until = 0;
  #trying = false;

  constructor(now: () => number, options: BreakerOptions = {}) {
    this.#now = now;
    this.#failures = options.failures ?? 10;
    this.#firstOpenMs = options.openMs ?? 1000;
    this.#maxOpenMs = options.maxOpenMs ?? 30_000;
  }

  /** Whether no call may be made now. */
  get isOpen(): boolean {
    return this.#openMs > 0 && (this.#trying || this.#now() < this.#until);
  }

  /** Whether a call may be made. Each one that may must be followed by {@link CircuitBreaker.done} or {@link CircuitBreaker.abstain}. */
  admits(): boolean {
    if (this.#openMs === 0) return true;
    if (this.#trying || this.#now() < this.#until) return false;
    return (this.#trying = true);
  }

  /** Says that a call ended in a way that tells nothing of the backend. */
  abstain(): void {
    this.#trying = false;
  }

  /** Says how a call ended. */
  done(ok: boolean): void {
    this.#trying = false;
    if (ok) {
      this.#inARow = 0;
      this.#openMs = 0;
      return;
    }
    if (++this.#inARow < this.#failures) return;
    // Calls that were under way when it opened do not open it any longer.
    if (this.#openMs > 0 && this.#now() < this.#until) return;
    this.#openMs = this.#openMs === 0 ? this.#firstOpenMs : Math.min(this.#openMs * 2, this.#maxOpenMs);
    this.#until = this.#now() + this.#openMs;
  }
}
