/** How much of a count callers take, so that a hub leases what they will, and gives it back when they take nothing. */
export class Demand {
  /** For how large a lease there is demand. */
  size = 0;
  /** Looks that found nothing used. */
  idle = 0;
  #sizedAt = -Infinity;
  #sizedUsed = 0;
  #seenUsed = 0;

  /**
   * Reckons the size of the lease from what was used in all: what callers take in `aheadMs`. It grows at once, eightfold at
   * most, and shrinks by half, after a quarter of that time has been looked at.
   */
  resize(used: number, now: number, aheadMs: number): void {
    const sinceMs = now - this.#sizedAt;
    const wanted = ((used - this.#sizedUsed) * aheadMs) / Math.max(sinceMs, aheadMs / 4);
    this.size = Math.min(Math.max(wanted, this.size / 2), this.size * 8 + 8);
    if (sinceMs < aheadMs / 4) return;
    this.#sizedAt = now;
    this.#sizedUsed = used;
  }

  /** Looks whether something was used since the last look, or somebody waits; answers for how many looks nothing was. */
  look(used: number, isWaited: boolean): number {
    this.idle = used === this.#seenUsed && !isWaited ? this.idle + 1 : 0;
    this.#seenUsed = used;
    return this.idle;
  }
}
