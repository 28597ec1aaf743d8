import type { Settings } from "../policy/config/settings.ts";

/**
 * How long, and how often, a client may use a decision: the least of what took part. A rule takes part when it applied:
 * it refused, was excused by its `unless`, asked an adapter or changed a header. Where none did, the defaults hold.
 */
export class Validity {
  readonly #defaults: Settings["check"];
  #ms = Infinity;
  #uses = Infinity;

  constructor(defaults: Settings["check"]) {
    this.#defaults = defaults;
  }

  /** A rule took part; `cacheMs` is its own, `answeredMs` and `answeredUses` are what an adapter has said of its verdict. */
  takePart(cacheMs: number | undefined, answeredMs?: number, answeredUses?: number): void {
    const own = cacheMs ?? answeredMs ?? this.#defaults.validForMs;
    this.#ms = Math.min(this.#ms, own, answeredMs ?? Infinity);
    this.#uses = Math.min(this.#uses, answeredUses ?? this.#defaults.validUses);
  }

  /** The decision must not be kept. */
  none(): void {
    this.#ms = 0;
  }

  get ms(): number {
    if (this.#uses === 0) return 0;
    return this.#ms === Infinity ? this.#defaults.validForMs : Math.floor(this.#ms);
  }

  get uses(): number {
    if (this.ms === 0) return 0;
    return this.#uses === Infinity ? this.#defaults.validUses : Math.floor(this.#uses);
  }
}
