/** A rate and what may be taken at once: the two numbers of a token bucket. */
export interface Budget {
  /** Units a second, 0 or more. */
  readonly rate: number;
  /** Units that may be taken at once, 0 or more. */
  readonly burst: number;
}

/** One hub's wish for a part of a budget that it divides among proxies by itself. */
export interface Stake {
  /** Whose budget it is: an injective encoding of limit and key. Opaque to adapters, and none of a charge. */
  readonly key: string;
  /** What all hubs may have together. */
  readonly budget: Budget;
  /** The hub that asks: a name that no other hub has. */
  readonly member: string;
  /** Units a second that it could use. */
  readonly demand: number;
  /** What it may still be using, whatever it is answered. */
  readonly held: Budget;
  /** How long it may use the answer, in milliseconds; so long it is kept for the hub when that asks no more. */
  readonly ttlMs: number;
}

/** What a hub may use of a budget until it is answered again, or `ttlMs` have passed since it asked. */
export interface Share extends Budget {
  /** Whether nobody had a part of this budget before, so that its burst is there at once rather than to be refilled. */
  readonly isFresh: boolean;
}
