import { ConnectionError, errorCode } from "./frame.ts";

/** How much a peer may spend at once, and how much it gets back with time. */
const burst = 10_000;
const perSecond = 100;

/** What a peer spends with a frame that carries nothing, and with a stream that it breaks or drops at once. */
export const cost = { idleFrame: 1, brokenStream: 10 } as const;
/** What it earns with a frame of data, and with a stream that was answered. */
export const credit = { data: 2, answer: 4 } as const;

/**
 * Bounds the work that a peer can cause without asking for anything: frames that carry nothing, streams that are reset
 * as soon as they are opened (CVE-2023-44487) or that break the protocol. What is useful earns it credit, so that a busy
 * connection may have more of both.
 */
export class FloodMeter {
  /** When the turn of the read at hand began, by a clock that is never set, in milliseconds. */
  nowMs: number;
  #credit = burst;
  #seenMs: number;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
    this.#seenMs = nowMs;
  }

  earn(amount: number): void {
    this.#credit = Math.min(burst, this.#credit + amount);
  }

  /** Throws a {@link ConnectionError} when there is too little credit left. */
  spend(amount: number): void {
    if (this.#credit < amount) {
      this.earn(((this.nowMs - this.#seenMs) * perSecond) / 1000);
      this.#seenMs = this.nowMs;
    }
    this.#credit -= amount;
    if (this.#credit < 0) {
      throw new ConnectionError(errorCode.enhanceYourCalm, "too many frames that ask for nothing");
    }
  }
}
