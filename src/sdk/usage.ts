import type { Call } from "./adapter.ts";
import type { Charge, Limit } from "./limit.ts";

/** One count of a limit, by what the charges that take from it say. */
export type Counted = Pick<Charge, "limit" | "key" | "group">;

/** Where one count of a limit stands. */
export interface KeyUsage {
  /** {@link Charge.key} */
  readonly key: string;
  /** Units that are taken and have not come back yet. */
  readonly used: number;
  /** Milliseconds until none is, if nobody takes any more. */
  readonly resetMs: number;
}

/** The counts of a limit of which most is taken. */
export interface TopKeys {
  /** Most used first. */
  readonly keys: readonly KeyUsage[];
  /** How many counts were looked at. */
  readonly seen: number;
  /** Whether those were all. */
  readonly complete: boolean;
}

/**
 * For `quota`: what people who look after limits ask of a store. How much is left of a key is no part of it: a charge
 * with an amount of 0 tells. Nothing of this may hold up charges, however many keys there are.
 */
export interface Usage {
  /** How many counts of a limit are held; `undefined` where that cannot be said at once. */
  held?(limit: Limit): number | undefined;
  /** Where a key stands, whether anything is taken of it or not. */
  look(count: Counted, call: Call): Promise<KeyUsage>;
  /** The counts of which something is taken, whose keys begin with `prefix`, of whatever group: the `most` that have taken most. A store may stop before it has seen all. */
  top(limit: Limit, prefix: string, most: number, call: Call): Promise<TopKeys>;
  /** Forgets what is taken of a key, and what was granted beyond the limit. */
  reset(count: Counted, call: Call): Promise<void>;
  /** The same for every key that begins with `prefix`. Answers how many there were. */
  resetAll(limit: Limit, prefix: string, call: Call): Promise<number>;
  /**
   * Lets that many units more be taken of a key until a time, in milliseconds since 1970. It takes the place of what was
   * granted before; 0 takes it back. What was taken of it counts as taken afterwards.
   */
  grant(count: Counted, extra: number, untilMs: number, call: Call): Promise<void>;
}
