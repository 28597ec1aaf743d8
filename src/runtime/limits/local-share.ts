import type { Limit } from "../../sdk/index.ts";

/** What a hub counts by while the store of a limit is away: its part of the limit. */
export interface LocalShare {
  readonly part: number;
  readonly limit: Limit;
}

const shares = new WeakMap<Limit, LocalShare>();

/**
 * A hub's part of a limit, above 0 and at most 1: the same object for the same limit and part. A token bucket flows by
 * the exact part and has it of the burst; a window has that many whole units. Each has at least one unit, so where there
 * are more hubs than units, each of them still admits one.
 */
export function localShare(limit: Limit, part: number): Limit {
  if (part >= 1) return limit;
  const known = shares.get(limit);
  if (known?.part === part) return known.limit;
  const isBucket = limit.algorithm === "token-bucket";
  const amount = isBucket ? limit.amount * part : Math.max(1, Math.floor(limit.amount * part));
  const share = { ...limit, amount, burst: isBucket ? Math.max(1, limit.burst * part) : amount };
  shares.set(limit, { part, limit: share });
  return share;
}
