import {
  Answered,
  type Algorithm,
  type Charge,
  type Grant,
  type HoldChange,
  type HoldOutcome,
  type Host,
  type Limit,
  type Usage,
} from "weir/sdk";
import type { Counter } from "./counter.ts";
import { calendar, fixedWindow } from "./fixed-window.ts";
import { changeHeld, type Counts } from "./change-held.ts";
import { Holds, type Held } from "./holds.ts";
import { Extras } from "./extras.ts";
import { Journal } from "./journal.ts";
import { busyMs, KeyTables, startOf } from "./key-tables.ts";
import type { KeyBounds } from "./key-tables.ts";
import { concurrency, renewLease, slidingWindow } from "./sliding-window.ts";
import { steadyClock } from "./steady-clock.ts";
import { tokenBucket } from "./token-bucket.ts";
import { createUsage } from "./usage.ts";

/** How each algorithm counts. */
export const counters: Readonly<Record<Algorithm, Counter>> = {
  "token-bucket": tokenBucket,
  "sliding-window": slidingWindow,
  "fixed-window": fixedWindow,
  calendar,
  concurrency,
};

export interface LimiterOptions extends KeyBounds {
  readonly dedupMs: number;
  readonly maxDedupIds: number;
  /** The most decisions of which is remembered what they took. */
  readonly maxHolds: number;
  /** A number of 32 bits that nobody knows. */
  readonly seed: number;
}

interface Limiter {
  quota(charges: readonly Charge[]): readonly Grant[];
  refund(charges: readonly Charge[]): void;
  holds(changes: readonly HoldChange[]): readonly (readonly HoldOutcome[])[];
  readonly keys: number;
  readonly usage: Usage;
}

/** Judges charges against counters in this process's memory. */
export function createLimiter(options: LimiterOptions, host: Pick<Host, "now" | "count" | "log">): Limiter {
  const clock = steadyClock(() => host.now());
  const tables = new KeyTables(counters, options, options.seed, (limit) => {
    host.count("key_dropped");
    warn(limit, "every counter is in use: those that were not asked for the longest are dropped");
  });
  const answered = new Answered(options.dedupMs, options.maxDedupIds, (ids) => host.count("dedup_forgotten", ids));
  /** What is held of the answers that {@link answered} has. */
  const heldOfAnswer = new WeakMap<Grant, Held>();
  const holds = new Holds(options.maxHolds, () => host.count("hold_forgotten"));
  const journal = new Journal();
  const extras = new Extras(() => host.now());
  let warnedAt = -Infinity;

  /** Takes one charge. With `journaled`, what it changes is written down first. */
  function take(charge: Charge, now: number, journaled: boolean): Grant {
    const { key, amount } = charge;
    const limit = extras.limitOf(key, charge.limit);
    if (!(amount >= 0)) throw new RangeError(`expected an amount of 0 or more, got ${amount}`);
    const needed = neededBy(charge);
    // A charge of nothing is not remembered as an answer, so it repeats none.
    if (charge.dedupId !== undefined && amount > 0) {
      const before = answered.get(charge.dedupId, now);
      if (before !== undefined) return before;
    }
    const table = tables.of(limit);
    const { counter } = table;
    const capacity = counter.capacity(limit);
    let place = table.findFor(charge, startOf(limit));
    const isNew = place < 0;
    if (isNew) {
      if (needed > capacity && charge.spent !== true && !(charge.bestEffort && capacity >= 1))
        return refusedForGood(capacity, 0);
      if (amount === 0) return granted(0, capacity, 0, limit.windowMs);
      place = addKey(limit, key, now);
      if (place < 0) return noRoom(limit.windowMs);
    }
    const state = table.page(place);
    const o = table.offset(place);
    if (!isNew) state[o + table.usedAt] = now;
    const available = counter.available(state, o, limit, now);
    const taken = fitting(charge, available, capacity);
    if (taken < 0) {
      const resetMs = counter.resetMs(state, o, limit, now);
      if (needed > capacity && !charge.bestEffort) return refusedForGood(whole(available, capacity), resetMs);
      const wanted = charge.bestEffort ? Math.min(1, needed, capacity) : needed;
      return refused(whole(available, capacity), resetMs, counter.waitMs(state, o, limit, now, wanted));
    }
    if (taken > 0) {
      if (journaled) journal.note(table, place, state, o);
      counter.take(state, o, limit, now, taken);
    }
    const resetMs = counter.resetMs(state, o, limit, now);
    return granted(taken, whole(available - taken, capacity), resetMs, limit.windowMs);
  }

  function addKey(limit: Limit, key: string, now: number): number {
    const place = tables.add(limit, key, now);
    if (place >= 0) return place;
    host.count("key_refused");
    warn(limit.id, "every counter is in use and busy: new keys are refused");
    return -1;
  }

  /** Says, once a minute, that keys do not find room. */
  function warn(limit: string, message: string): void {
    const now = clock();
    if (now - warnedAt < 60_000) return;
    warnedAt = now;
    host.log.warn({ limit, keys: tables.total }, message);
  }

  /** Answers for a batch in which something was refused: nothing of it is spent. */
  function undone(charges: readonly Charge[], grants: readonly Grant[], now: number): readonly Grant[] {
    journal.undo();
    const wanted = new Map<string, number>();
    return charges.map((charge, i) => {
      const answer = grants[i]!;
      const { key } = charge;
      const limit = extras.limitOf(key, charge.limit);
      const table = tables.of(limit);
      const { counter } = table;
      const capacity = counter.capacity(limit);
      const place = table.find(key, startOf(limit));
      // A repeated answer, a key that got no place and one that nobody holds do not depend on the rest of the batch.
      if (answer.repeated === true || (place < 0 && !answer.allowed)) return answer;
      if (place < 0) return granted(0, capacity, 0, limit.windowMs);
      const state = table.page(place);
      const o = table.offset(place);
      const available = counter.available(state, o, limit, now);
      const remaining = whole(available, capacity);
      const resetMs = counter.resetMs(state, o, limit, now);
      const earlier = wanted.get(key) ?? 0;
      wanted.set(key, earlier + (answer.allowed ? answer.granted : charge.amount));
      if (answer.allowed) return granted(0, remaining, resetMs, limit.windowMs);
      const needed = earlier + (charge.bestEffort ? Math.min(1, neededBy(charge)) : neededBy(charge));
      if (needed > capacity) return refusedForGood(remaining, resetMs);
      return refused(remaining, resetMs, counter.waitMs(state, o, limit, now, needed));
    });
  }

  /** After charges were granted: keeps their answers for those that repeat them, and what they took where it is held. */
  function remember(charges: readonly Charge[], grants: readonly Grant[], now: number): void {
    for (let i = 0; i < charges.length; i++) {
      const { dedupId, hold, amount } = charges[i]!;
      const grant = grants[i]!;
      if (!grant.allowed || (dedupId === undefined && hold === undefined)) continue;
      // A retry holds what the first call took: whichever of their ids comes first ends it.
      const held = grant.repeated === true ? heldOfAnswer.get(grant) : heldOf(charges[i]!, grant, now);
      if (hold !== undefined && held !== undefined) holds.add(hold.id, held, now);
      if (dedupId === undefined || amount === 0 || grant.repeated === true) continue;
      answered.set(dedupId, grant, now);
      if (held !== undefined) heldOfAnswer.set(answered.get(dedupId, now)!, held);
    }
  }

  function heldOf(charge: Charge, { granted: units }: Grant, now: number): Held | undefined {
    const { limit, key, hold } = charge;
    const dedupId = charge.amount === 0 ? undefined : charge.dedupId;
    if (hold === undefined) return undefined;
    const isLease = limit.algorithm === "concurrency";
    if (isLease && units === 0) return undefined;
    const table = tables.of(limit);
    const place = table.find(key, startOf(limit));
    const goneMs = place < 0 ? now : table.counter.goneMs(table.page(place), table.offset(place), limit, now, units);
    return { limit, key, dedupId, units, goneMs, untilMs: isLease ? goneMs : now + hold.forMs };
  }

  const counts: Counts = {
    restore({ limit, key, goneMs }, units, now) {
      const table = tables.of(limit);
      const place = table.find(key, startOf(limit));
      if (place < 0) return 0;
      const { counter } = table;
      counter.available(table.page(place), table.offset(place), limit, now);
      return counter.restore(table.page(place), table.offset(place), limit, now, units, goneMs);
    },

    takeMore({ limit, key }, units, now) {
      const table = tables.of(limit);
      let place = table.find(key, startOf(limit));
      if (place < 0) place = addKey(limit, key, now);
      if (place < 0) return;
      const { counter } = table;
      counter.available(table.page(place), table.offset(place), limit, now);
      counter.take(table.page(place), table.offset(place), limit, now, units);
    },

    renew({ limit, key, units, goneMs }, forMs, now) {
      const table = tables.of(limit);
      const place = table.find(key, startOf(limit));
      if (place < 0) return undefined;
      table.use(place, now);
      concurrency.available(table.page(place), table.offset(place), limit, now);
      return renewLease(table.page(place), table.offset(place), limit, now, units, goneMs, forMs);
    },
  };

  return {
    quota(charges) {
      const now = clock();
      if (charges.length === 1) {
        const grants = [take(charges[0]!, now, false)];
        const { dedupId, hold } = charges[0]!;
        if (dedupId !== undefined || hold !== undefined) remember(charges, grants, now);
        return grants;
      }
      journal.clear();
      let isRefused = false;
      const grants = new Array<Grant>(charges.length);
      for (let i = 0; i < charges.length; i++) {
        // After the last one nothing is left that could refuse.
        const mayBeUndone = isRefused || i < charges.length - 1;
        const grant = take(charges[i]!, now, mayBeUndone);
        if (!grant.allowed) isRefused = true;
        grants[i] = grant;
      }
      if (isRefused) return undone(charges, grants, now);
      remember(charges, grants, now);
      return grants;
    },

    refund(charges) {
      const now = clock();
      for (const { limit, key, amount, dedupId, hold } of charges) {
        if (dedupId !== undefined) answered.delete(dedupId);
        if (hold !== undefined) holds.forget(hold.id, key, dedupId);
        const table = tables.of(limit);
        const place = table.find(key, startOf(limit));
        if (place < 0) continue;
        const { counter } = table;
        counter.available(table.page(place), table.offset(place), limit, now);
        counter.giveBack(table.page(place), table.offset(place), limit, now, amount);
      }
    },

    holds(changes) {
      const now = clock();
      return changes.map((change) => {
        const outcomes = holds.of(change.id, now).map((held) => changeHeld(change, held, counts, now));
        return outcomes.filter((outcome) => outcome !== undefined);
      });
    },

    get keys() {
      return tables.total;
    },

    usage: createUsage({ tables, extras, clock }),
  };
}

/** How many units must be there for a charge that is not of best effort. */
function neededBy({ amount, atLeast }: Charge): number {
  return atLeast === undefined || atLeast < amount ? amount : atLeast;
}

/** How much of a charge fits into what is available, or -1 when it is refused. */
function fitting(charge: Charge, available: number, capacity: number): number {
  const { amount, bestEffort } = charge;
  const needed = neededBy(charge);
  if (needed === 0) return 0;
  if (charge.spent === true) return amount;
  // Fractions of a unit that rounding has lost must not refuse what a caller was told to wait for.
  if (needed <= available + capacity * 1e-9 && needed <= capacity) return amount;
  if (!bestEffort) return -1;
  const rest = whole(available, capacity);
  return rest > 0 ? Math.min(rest, amount) : -1;
}

/** Whole units left. */
function whole(available: number, capacity: number): number {
  return available <= 0 ? 0 : Math.floor(available + capacity * 1e-9);
}

function granted(units: number, remaining: number, resetMs: number, validForMs: number): Grant {
  return { allowed: true, granted: units, remaining, resetMs, validForMs };
}

function refused(remaining: number, resetMs: number, retryAfterMs: number): Grant {
  return { allowed: false, granted: 0, remaining, resetMs, retryAfterMs, validForMs: 0 };
}

function refusedForGood(remaining: number, resetMs: number): Grant {
  return { allowed: false, granted: 0, remaining, resetMs, validForMs: 0 };
}

function noRoom(windowMs: number): Grant {
  return refused(0, windowMs, Math.min(windowMs, busyMs));
}
