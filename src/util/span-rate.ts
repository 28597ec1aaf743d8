/** Lets so many spans through in any second, with as many at once. */
export class SpanRate {
  readonly #perSecond: number;
  #left: number;
  #sinceMs = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond;
  }

  take(nowMs: number): boolean {
    // A clock that was set back gives nothing.
    const passedMs = Math.max(0, nowMs - this.#sinceMs);
    this.#sinceMs = nowMs;
    this.#left = Math.min(this.#perSecond, this.#left + (passedMs * this.#perSecond) / 1000);
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
