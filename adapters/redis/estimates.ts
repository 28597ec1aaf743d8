import { calendarWindow, type Answered, type Charge, type Grant, type Host, type Limit } from "weir/sdk";
import { question, type Draw, type DrawOn } from "./draw.ts";
import { msPerUnit } from "./slice.ts";

export interface EstimateOptions {
  readonly draw: DrawOn;
  /** Milliseconds that have passed; see `leaseClock`. */
  readonly clock: () => number;
  /** Milliseconds since 1970: where windows begin, until Redis has said. */
  readonly now: () => number;
  readonly maxKeys: number;
  readonly answered: Answered;
  readonly count: Host["count"];
}

/** What this hub believes of one count. */
interface Estimate {
  readonly key: string;
  limit: Limit;
  /** Units that can be taken, by the last word of Redis and what was taken since; below 0 where hubs took too much. */
  free: number;
  at: number;
  /** When the full amount is there again, with windows. */
  endsAt: number;
  /** Units taken that Redis has not been told of, and those of them that are on their way. */
  untold: number;
  /** Whether anybody asked since Redis was asked. */
  wanted: boolean;
  idle: number;
}

/** How many messages are under way at once. */
const atOnce = 256;

/**
 * Limits of `consistency: best-effort`: each hub counts for itself and never waits; behind, it tells Redis what it took
 * and hears what is left. Redis counts all of it, also beyond the limit, so what was granted too much is refused after.
 */
export class Estimates {
  readonly #options: EstimateOptions;
  readonly #estimates = new Map<string, Estimate>();

  constructor(options: EstimateOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#estimates.size;
  }

  /** The grant or refusal of a charge; a charge for which there is no room is refused. */
  take(charge: Charge): Grant {
    const { limit, amount, atLeast, bestEffort, dedupId } = charge;
    const { clock, answered } = this.#options;
    const now = clock();
    const before = dedupId === undefined ? undefined : answered.get(dedupId, now);
    if (before !== undefined) return before;
    const estimate = this.#estimateOf(charge, now);
    if (estimate === undefined) return refusal(0, limit.windowMs, limit.windowMs);
    bring(estimate, limit, now);
    estimate.wanted = true;
    const needed = atLeast === undefined || atLeast < amount ? amount : atLeast;
    const capacity = capacityOf(limit);
    const fits = charge.spent === true || needed <= estimate.free + capacity * 1e-9;
    const taken = fits ? amount : bestEffort ? Math.min(amount, Math.floor(estimate.free)) : 0;
    const missing = (bestEffort ? Math.min(1, needed) : needed) - estimate.free;
    estimate.free -= Math.max(0, taken);
    const remaining = Math.max(0, Math.floor(estimate.free + capacity * 1e-9));
    const perUnit = msPerUnit(limit);
    const resetMs = Math.ceil(
      perUnit > 0 ? (capacity - estimate.free) * perUnit : estimate.free < capacity ? estimate.endsAt - now : 0,
    );
    if (!fits && taken < 1) {
      if (needed > capacity && !bestEffort) return refusal(remaining, Math.max(0, resetMs));
      const waitMs = perUnit > 0 ? missing * perUnit : estimate.endsAt - now;
      return refusal(remaining, Math.max(0, resetMs), Math.max(1, Math.ceil(waitMs)));
    }
    estimate.untold += taken;
    const grant = {
      allowed: true,
      granted: taken,
      remaining,
      resetMs: Math.max(0, resetMs),
      validForMs: limit.windowMs,
    };
    if (dedupId !== undefined && amount > 0) answered.set(dedupId, grant, now);
    return grant;
  }

  /** Gives units back that were granted. */
  putBack(charges: readonly Charge[]): void {
    for (const { key, limit, amount, dedupId } of charges) {
      if (dedupId !== undefined) this.#options.answered.delete(dedupId);
      const estimate = this.#estimates.get(key);
      if (estimate === undefined) continue;
      estimate.free = Math.min(capacityOf(limit), estimate.free + amount);
      estimate.untold -= amount;
      estimate.wanted = true;
    }
  }

  /** Tells Redis what was taken and hears what is left. Never rejects: what could not be told is told the next time. */
  async reconcile(): Promise<void> {
    let under: Promise<void>[] = [];
    for (const estimate of this.#estimates.values()) {
      if (!estimate.wanted && estimate.untold === 0) {
        if (++estimate.idle > 10) this.#estimates.delete(estimate.key);
        continue;
      }
      estimate.idle = 0;
      under.push(this.#tell(estimate));
      if (under.length < atOnce) continue;
      await Promise.all(under);
      under = [];
    }
    await Promise.all(under);
  }

  async #tell(estimate: Estimate): Promise<void> {
    const { draw, clock } = this.#options;
    const { key, limit, untold } = estimate;
    const sentAt = clock();
    estimate.wanted = false;
    estimate.untold = 0;
    try {
      const message: Draw = { ...question, how: "always", amount: Math.max(0, untold), back: Math.max(0, -untold) };
      const drawn = await draw(limit, key, message);
      const now = clock();
      estimate.free = drawn.free - estimate.untold;
      estimate.at = now;
      if (drawn.resetMs > 0) estimate.endsAt = sentAt + drawn.resetMs;
    } catch {
      estimate.untold += untold;
      estimate.wanted = true;
      this.#options.count("estimate_untold");
    }
  }

  #estimateOf({ key, limit }: Charge, now: number): Estimate | undefined {
    const known = this.#estimates.get(key);
    if (known !== undefined) {
      if (known.limit !== limit) {
        known.free += capacityOf(limit) - capacityOf(known.limit);
        known.limit = limit;
      }
      return known;
    }
    if (this.#estimates.size >= this.#options.maxKeys) {
      this.#options.count("lease_no_room");
      return undefined;
    }
    const estimate = {
      ...{ key, limit, free: capacityOf(limit), at: now, endsAt: now + this.#windowLeft(limit) },
      ...{ untold: 0, wanted: true, idle: 0 },
    };
    this.#estimates.set(key, estimate);
    return estimate;
  }

  /** How long the window lasts that it is now, by this hub's clock. */
  #windowLeft({ algorithm, windowMs, calendar }: Limit): number {
    const now = this.#options.now();
    if (calendar !== undefined) return calendarWindow(calendar, now).endMs - now;
    return algorithm === "fixed-window" ? windowMs - (now % windowMs) : windowMs;
  }
}

/** Lets time pass for an estimate: a bucket fills, a window that has ended is a new one. */
function bring(estimate: Estimate, limit: Limit, now: number): void {
  const capacity = capacityOf(limit);
  if (limit.algorithm === "token-bucket") {
    const passed = Math.max(0, now - estimate.at);
    estimate.free = Math.min(capacity, estimate.free + passed / msPerUnit(limit));
  } else if (now >= estimate.endsAt) {
    // What was taken of the window before and not told yet is of no use to Redis any more.
    estimate.free = capacity;
    estimate.untold = 0;
    estimate.endsAt = now + limit.windowMs;
    estimate.wanted = true;
  }
  estimate.at = now;
}

function capacityOf(limit: Limit): number {
  return limit.algorithm === "token-bucket" ? limit.burst : limit.amount;
}

function refusal(remaining: number, resetMs: number, retryAfterMs?: number): Grant {
  const grant = { allowed: false, granted: 0, remaining, resetMs, validForMs: 0 };
  return retryAfterMs === undefined ? grant : { ...grant, retryAfterMs };
}
