import type { CalendarPeriod } from "./calendar.ts";
import type { Hold } from "./hold.ts";

/** How a limit counts. `concurrency` counts what is at work at once: a unit is taken until it is given back or its lease ends. */
export type Algorithm = "token-bucket" | "sliding-window" | "fixed-window" | "calendar" | "concurrency";

/**
 * How nearly a count that several hubs share is kept: `exact` asks the store each time; `bounded` answers from units that
 * were taken of the store before, so that never more is granted than the limit allows, and at times less; `best-effort`
 * counts in the hub and reconciles with the store behind, so that at times more is granted.
 */
export const consistencies = ["exact", "bounded", "best-effort"] as const;

export type Consistency = (typeof consistencies)[number];

/**
 * One limit of a policy, the same object for every charge while its policy set serves. Where a caller may say another
 * amount or window, such charges come with a limit made for them; it has an id and keys of its own.
 */
export interface Limit {
  /** `policy/rule`; limits that only observe have an id of their own, so that they never share a count with an enforced one. */
  readonly id: string;
  readonly algorithm: Algorithm;
  /** How many units a window allows, above 0; for `concurrency` how many may be taken at once. */
  readonly amount: number;
  /**
   * The window's length in milliseconds, above 0. For `calendar` a month counts as 30 days and a year as 365; for
   * `concurrency` it is how long a lease lasts.
   */
  readonly windowMs: number;
  /** For `calendar`: what its windows are. */
  readonly calendar?: CalendarPeriod;
  /** For `token-bucket`: how many units may be taken at once, at least 1. Default: `amount`. */
  readonly burst: number;
  /** Only what the adapter declares in `consistencies`. Default: `exact`. */
  readonly consistency?: Exclude<Consistency, "exact">;
  /** What the keys of all its charges begin with, where that is known: a store that hashes keys need not look at it. */
  readonly keyPrefix?: string;
}

/** A wish to take some units of a limit. */
export interface Charge {
  readonly limit: Limit;
  /** Whose count this is: an injective encoding of limit, algorithm, window and the values of `by:`. Opaque to adapters. */
  readonly key: string;
  /** Units wanted: a finite number of 0 or more; 0 asks what is left and takes nothing. */
  readonly amount: number;
  /**
   * Units that must be there, where that is more than `amount`: the charge is refused when fewer are, and takes no more
   * than `amount`. With an `amount` of 0 it asks whether something could be taken. Default: `amount`.
   */
  readonly atLeast?: number;
  /** Whether fewer units than wanted are welcome; a best-effort charge is refused only when nothing is left. */
  readonly bestEffort: boolean;
  /**
   * Set for units that are spent already, such as those that a hub let through by itself while the store was away: they
   * are counted even where fewer are left, and the charge is never refused for want of units. What was taken too much
   * counts against those who come later, by the rules of the algorithm. A store that does not know of this takes what
   * is left: such charges are of best effort too. Whoever got no answer sends them again with the same `dedupId`, however
   * late: a store that remembers it as long as the units can count does not count them twice.
   */
  readonly spent?: true;
  /**
   * What this charge shares with others of the same rule: a store that spreads counts over several nodes keeps those of a
   * group on one, so that they can be taken in one step. The same key always comes with the same group. Default: none.
   */
  readonly group?: string;
  /**
   * Identity of the charge, scoped to caller and limit: the same id within the adapter's window gets the answer of the
   * charge that was granted again and spends nothing. A refusal took nothing and is not remembered.
   */
  readonly dedupId?: string;
  /** Only to adapters that provide `holds`: how what is taken is to be remembered. */
  readonly hold?: Hold;
  /**
   * There where the hub keeps a charge and makes it again and again, -1 at first: the adapter may write a whole number
   * into it that says where it found the count, and need not look for it the next time. It may come from a charge of
   * another adapter's, so what it says is to be checked. Default: none.
   */
  hint?: number;
}

/** The answer to one charge. */
export interface Grant {
  /** Whether this charge was not refused. In a batch where another one was refused, `true` with `granted` 0: nothing was spent. */
  readonly allowed: boolean;
  /** Units taken. */
  readonly granted: number;
  /** Units left after this charge. */
  readonly remaining: number;
  /** Milliseconds until the full amount is there again, if nobody takes any more. */
  readonly resetMs: number;
  /**
   * For a refusal: milliseconds until the wanted amount could be there; `undefined` when it never will (it exceeds the
   * limit). For `concurrency` until enough leases have run out, if none is given back before.
   */
  readonly retryAfterMs?: number | undefined;
  /** How long the granted units may be used, in milliseconds. */
  readonly validForMs: number;
  /** Set when this is the answer of an earlier charge with the same `dedupId`: nothing was spent now. */
  readonly repeated?: true;
}

/** What an instance holds of one limit whose units it takes ahead. */
export interface LeaseState {
  /** The limit's id. */
  readonly limit: string;
  /** Units in hand: of all keys, taken from the store and not used. */
  readonly units: number;
  /** Units refused since the start while other hubs held as many. */
  readonly short: number;
}
