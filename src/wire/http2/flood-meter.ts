/** How much a peer may spend at once, and how much it gets back with time. */
const burst = 10_000;
const perSecond = 100;

/**
 * Bounds the work that a peer can cause without asking for anything: frames that carry nothing, streams that are reset
 * as soon as they are opened (CVE-2023-44487) or that break the protocol. What is useful earns it credit, so that a busy
 * connection may have more of both.
 */
export class FloodMeter {
  #credit = burst;
  #seenMs: number;

  constructor(nowMs: number) {
    this.#seenMs = nowMs;
  }

  earn(credit: number): void {
    this.#credit = Math.min(burst, this.#credit + credit);
  }

  /** `false` when there is too little credit left: the connection must end. `nowMs` is of a clock that is never set. */
  spend(cost: number, nowMs: number): boolean {
    if (this.#credit < cost) {
      this.earn(((nowMs - this.#seenMs) * perSecond) / 1000);
      this.#seenMs = nowMs;
    }
    this.#credit -= cost;
    return this.#credit >= 0;
  }
}
