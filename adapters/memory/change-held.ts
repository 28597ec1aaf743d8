import type { HoldChange, HoldOutcome } from "weir/sdk";
import type { Held } from "./holds.ts";

/** The counts that held charges are in. */
export interface Counts {
  /** Gives units back as far as they still count, and answers how many. */
  restore(held: Held, units: number, now: number): number;
  /** Takes more units, whatever is left. */
  takeMore(held: Held, units: number, now: number): void;
  /** Lets a lease end in so many milliseconds and answers when it does; `undefined` when it has ended. */
  renew(held: Held, forMs: number, now: number): number | undefined;
}

/** Does with one held charge what is wanted, and answers what came of it; `undefined` where it is not concerned. */
export function changeHeld(change: HoldChange, held: Held, counts: Counts, now: number): HoldOutcome | undefined {
  const { limit, units } = held;
  const isLease = limit.algorithm === "concurrency";
  switch (change.kind) {
    case "release":
      return isLease ? release(held, counts, now) : undefined;
    case "renew": {
      if (!isLease) return undefined;
      const endMs = counts.renew(held, Math.min(change.forMs ?? limit.windowMs, limit.windowMs), now);
      if (endMs === undefined) return undefined;
      held.goneMs = held.untilMs = endMs;
      return { limit: limit.id, units, forMs: endMs - now };
    }
    case "refund": {
      if (isLease || change.limits?.includes(limit.id) === false) return undefined;
      held.untilMs = -Infinity;
      return { limit: limit.id, units: counts.restore(held, Math.min(change.amount ?? units, units), now) };
    }
    case "end": {
      if (isLease) return release(held, counts, now);
      const used = change.used.get(limit.id);
      if (used === undefined) return undefined;
      held.untilMs = -Infinity;
      if (used <= units) return { limit: limit.id, units: counts.restore(held, units - used, now) };
      counts.takeMore(held, used - units, now);
      return { limit: limit.id, units: units - used };
    }
  }
}

function release(held: Held, counts: Counts, now: number): HoldOutcome {
  held.untilMs = -Infinity;
  return { limit: held.limit.id, units: counts.restore(held, held.units, now) };
}
