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
 *
 * One that said that it cannot serve, and says that it can again, is tried before its time; but no trial comes sooner
 * after the last failure than `openMs`, however often it changes its mind.
 */
export class CircuitBreaker {
  readonly #now: () => number;
  readonly #saysReady: () => boolean;
  readonly #failures: number;
  readonly #firstOpenMs: number;
  readonly #maxOpenMs: number;
  #inARow = 0;
  #openMs = 0;
  #until = 0;
  /** Before when no call is tried, whatever the backend says. */
  #notBefore = 0;
  #trying = false;
  /** Whether the backend said since the last failure that it cannot serve. */
  #saidUnready = false;

  /** @param saysReady whether the backend can serve, as far as it knows by itself; asked while no call may be made, so it only looks */
  constructor(now: () => number, options: BreakerOptions = {}, saysReady: () => boolean = () => true) {
    this.#now = now;
    this.#saysReady = saysReady;
    this.#failures = options.failures ?? 10;
    this.#firstOpenMs = options.openMs ?? 1000;
    this.#maxOpenMs = options.maxOpenMs ?? 30_000;
  }

  /** Whether no call may be made now. */
  get isOpen(): boolean {
    return this.#openMs > 0 && (this.#trying || !this.#isTimeToTry());
  }

  /** Whether a call may be made. Each one that may must be followed by {@link CircuitBreaker.done} or {@link CircuitBreaker.abstain}. */
  admits(): boolean {
    if (this.#openMs === 0) return true;
    if (this.#trying || !this.#isTimeToTry()) return false;
    // Its failure opens it anew, also where it comes before its time.
    this.#until = Math.min(this.#until, this.#now());
    return (this.#trying = true);
  }

  #isTimeToTry(): boolean {
    const now = this.#now();
    if (now >= this.#until) return true;
    if (!this.#saysReady()) this.#saidUnready = true;
    else if (this.#saidUnready) return now >= this.#notBefore;
    return false;
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
    this.#notBefore = this.#now() + this.#firstOpenMs;
    this.#saidUnready = !this.#saysReady();
  }
}
