import type { Charge, Grant, Limit } from "../../sdk/index.ts";

/**
 * What a hub has let through of one count while its store was away, and how its own count stood when it began to. By both
 * it is known how much of that still counts when the store is back.
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
  /** Units that counted before it, which the store knows of, and how long they counted by then. */
  readonly before: number;
  readonly beforeMs: number;
  /** Names the payment, so that one that is sent again is not counted again; a new one when units come to it. */
  id: string;
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
  };
}

/**
 * Units that the store is to be charged for, by how the count stands here now (the answer to a question for 0 units):
 * those that were let through, without those that would count no more if the store had counted them at once. Where it
 * cannot be told to the unit, rather one too much.
 */
export function dueUnits(
  { limit, share, units, sinceMs, before, beforeMs }: LocalDebt,
  now: Grant,
  nowMs: number,
): number {
  const passedMs = Math.max(0, nowMs - sinceMs);
  if (limit.algorithm === "token-bucket") {
    const unitsPerMs = share.amount / share.windowMs;
    const level = Math.min(now.resetMs * unitsPerMs, share.burst - now.remaining);
    return Math.min(units, Math.ceil(level - Math.max(0, before - passedMs * unitsPerMs)));
  }
  const counted = share.amount - now.remaining;
  // What a sliding window held before goes step by step: none of it is taken off.
  const isWindow = limit.algorithm === "fixed-window" || limit.algorithm === "calendar";
  return Math.min(units, counted - (isWindow && passedMs < beforeMs ? before : 0));
}

/** Two debts of one count in one: the earlier one knows what counted before both. */
export function joined(a: LocalDebt, b: LocalDebt, id: string): LocalDebt {
  const isFirst = a.sinceMs < b.sinceMs || (a.sinceMs === b.sinceMs && a.before <= b.before);
  return { ...(isFirst ? a : b), units: a.units + b.units, id };
}
