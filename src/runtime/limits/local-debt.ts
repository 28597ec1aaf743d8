import type { Charge, Grant, Limit } from "../../sdk/index.ts";

/**
 * Units of one count that a hub has let through while its store was away, and how its own count stood when it began to. By
 * both it is known how much of that still counts when the store is back.
 */
export interface LocalDebt {
  /** As the store is to be charged. */
  readonly limit: Limit;
  readonly key: string;
  readonly group: string | undefined;
  /** What it was counted by here. */
  readonly share: Limit;
  units: number;
  /** When the first of them was let through. */
  readonly sinceMs: number;
  /** Units that counted before it, and how long they counted by then. */
  readonly before: number;
  readonly beforeMs: number;
  /** Names its payment, so that one that is sent again is not counted again. */
  readonly id: string;
  /**
   * Whether the store was sent it and may have counted it: from then on nothing is added to it, and it is sent again under
   * the same id until there is an answer.
   */
  isSent: boolean;
  /** Whether an answer may still come. */
  isUnderWay: boolean;
}

/** Begins a debt with the first grant. */
export function beginDebt(charge: Charge, share: Limit, grant: Grant, nowMs: number, id: string): LocalDebt {
  const { limit, key, group } = charge;
  const isBucket = limit.algorithm === "token-bucket";
  const unitsPerMs = share.amount / share.windowMs;
  const before = isBucket
    ? (grant.resetMs - 1) * unitsPerMs - grant.granted
    : share.amount - grant.remaining - grant.granted;
  return {
    limit,
    key,
    group,
    share,
    units: grant.granted,
    sinceMs: nowMs,
    before: Math.max(0, before),
    beforeMs: grant.resetMs,
    id,
    isSent: false,
    isUnderWay: false,
  };
}

/**
 * Units that the store is to be charged for, by how the count stands here now (the answer to a question for 0 units):
 * those that were let through, without those that would count no more if the store had counted them at once. Where it
 * cannot be told to the unit, rather one too much.
 *
 * @param later units that were let through after these and still count: what was let through first is forgotten first
 */
export function dueUnits(
  { limit, share, units, sinceMs, before, beforeMs }: LocalDebt,
  now: Grant,
  nowMs: number,
  later: number,
): number {
  const passedMs = Math.max(0, nowMs - sinceMs);
  if (limit.algorithm === "token-bucket") {
    const unitsPerMs = share.amount / share.windowMs;
    const level = Math.min(now.resetMs * unitsPerMs, share.burst - now.remaining);
    return Math.min(units, Math.ceil(level - later - Math.max(0, before - passedMs * unitsPerMs)));
  }
  const counted = share.amount - now.remaining - later;
  // What a sliding window held before goes step by step: none of it is taken off.
  const isWindow = limit.algorithm === "fixed-window" || limit.algorithm === "calendar";
  return Math.min(units, counted - (isWindow && passedMs < beforeMs ? before : 0));
}
