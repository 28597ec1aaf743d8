import { calendarWindow, type Algorithm, type CalendarPeriod, type Charge, type Grant, type Limit } from "weir/sdk";
import type { Store } from "./connection.ts";
import { counterKeys, escaped } from "./counter-key.ts";
import { entryOf, listOf } from "./hold-list.ts";
import { createTake, type Told } from "./take-batch.ts";

export interface QuotaOptions {
  /** Put before every key. */
  readonly prefix: string;
  /** How long a deduplication id is remembered, in milliseconds. */
  readonly dedupMs: number;
  /** The hub's time, milliseconds since 1970. Only the windows of a calendar are looked up by it. */
  readonly now: () => number;
  /** The time in milliseconds, in place of Redis's own clock. For tests. */
  readonly clock?: (() => number) | undefined;
  /** Told when what a charge took could not be listed under its decision. */
  readonly onUnlisted?: (error: unknown) => void;
}

export interface Quota {
  quota(charges: readonly Charge[]): Promise<readonly Grant[]>;
  refund(charges: readonly Charge[]): Promise<void>;
}

export const codes: Readonly<Record<Algorithm, string>> = {
  "token-bucket": "b",
  "sliding-window": "s",
  "fixed-window": "f",
  calendar: "c",
  concurrency: "l",
};

/**
 * Judges charges by counters in Redis: one script and one round trip for all charges that one node can answer for. On a
 * cluster, charges of several slots are taken slot by slot at the same time; when one of them refuses or fails, what the
 * others granted is given back. So never more is admitted than the limits allow; for a moment, less may be.
 */
export function createQuota(store: Store, { prefix, dedupMs, now, clock, onUnlisted }: QuotaOptions): Quota {
  const time = (): string => (clock === undefined ? "" : String(clock()));
  const counterOf = counterKeys(store, prefix);
  /** A charge of nothing is not remembered as an answer, so it repeats none. */
  const dedupOf = ({ amount, dedupId }: Charge): string | undefined => (amount === 0 ? undefined : dedupId);
  const recordOf = (charge: Charge, counter: string): string => {
    const dedupId = dedupOf(charge);
    return `${counter}}${escaped(dedupId === undefined ? `i${charge.hold!.id}` : `d${dedupId}`)}`;
  };
  const slotOf = (charge: Charge): number => store.slotOf(counterOf(charge));
  /** Whether the list of a held charge's decision lies where its counter does. */
  const listsAtOnce = (charge: Charge): boolean =>
    !store.isCluster || store.slotOf(listOf(prefix, charge.hold!.id)) === slotOf(charge);
  const followsOf = (charge: Charge, lists: boolean): number =>
    (dedupOf(charge) === undefined ? 0 : 1) + (charge.hold === undefined ? 0 : lists ? 6 : 2);
  const keysOf = (charge: Charge, follows: number): string[] => {
    const counter = counterOf(charge);
    const keys = [counter];
    const dedupId = dedupOf(charge);
    if (dedupId !== undefined) keys.push(counter + escaped(dedupId));
    if (follows >= 2) keys.push(recordOf(charge, counter));
    if (follows >= 4) keys.push(listOf(prefix, charge.hold!.id));
    return keys;
  };

  const takeBatched = createTake({ dedupMs, tell, send: store.take });
  const take = (charges: readonly Charge[]): Promise<readonly Grant[]> =>
    takeBatched(charges, store.isCluster ? slotOf(charges[0]!) : 0, time());

  function tell(charge: Charge, of: number, { keys, numbers, texts }: Told): void {
    const { limit, hold, amount, atLeast = 0, spent, bestEffort } = charge;
    const follows = followsOf(charge, hold !== undefined && listsAtOnce(charge));
    if (follows === 0) keys.push(counterOf(charge));
    else keys.push(...keysOf(charge, follows));
    const { algorithm, calendar, windowMs, burst } = limit;
    const how = spent === true ? 2 : bestEffort ? 1 : 0;
    numbers.push(codes[algorithm].charCodeAt(0), how, follows, of);
    numbers.push(limit.amount, windowMs, burst, amount, Math.max(amount, atLeast));
    if (calendar !== undefined) texts.push(windowsText(calendar, now()));
    if (hold !== undefined) texts.push(hold.id, hold.forMs, entry(charge));
  }

  function entry(charge: Charge): string {
    const counter = counterOf(charge);
    return entryOf({ limit: charge.limit, counter, record: recordOf(charge, counter) });
  }

  async function giveBack(charges: readonly Charge[]): Promise<void> {
    const follows = charges.map((charge) => followsOf(charge, false));
    const keys = charges.flatMap((charge, i) => keysOf(charge, follows[i]!));
    const args = charges.flatMap((charge, i) => [...limitArgs(charge.limit, now), charge.amount, follows[i]!]);
    await store.refund(keys, [time(), ...args]);
  }

  /**
   * Lists what is held of a decision whose list lies in another slot than the counters: after they were charged, so that
   * a refusal leaves nothing behind. What cannot be listed ends by itself.
   */
  async function listElsewhere(charges: readonly Charge[], grants: readonly Grant[]): Promise<readonly Grant[]> {
    const held = charges.filter((charge) => charge.hold !== undefined && !listsAtOnce(charge));
    if (held.length === 0 || !grants.every(({ allowed }) => allowed)) return grants;
    const listed = held.map((charge) => {
      const { limit, hold } = charge;
      const forMs = limit.algorithm === "concurrency" ? (limit.windowMs * 17) / 16 : hold!.forMs;
      return store.list(listOf(prefix, hold!.id), entry(charge), Math.ceil(forMs) + 1000);
    });
    await Promise.all(listed).catch((error: unknown) => onUnlisted?.(error));
    return grants;
  }

  /** Charges by the node that answers for them, by their places in the batch. */
  function slotsOf(charges: readonly Charge[]): number[][] {
    const slots = new Map<number, number[]>();
    for (const [i, charge] of charges.entries()) {
      const slot = slotOf(charge);
      const places = slots.get(slot);
      if (places === undefined) slots.set(slot, [i]);
      else places.push(i);
    }
    return [...slots.values()];
  }

  async function takeOverSlots(charges: readonly Charge[], slots: readonly number[][]): Promise<readonly Grant[]> {
    const answers = await Promise.allSettled(slots.map((places) => take(places.map((i) => charges[i]!))));
    const failure = answers.find((answer) => answer.status === "rejected");
    const grants: Grant[] = [];
    for (const [n, answer] of answers.entries()) {
      if (answer.status === "fulfilled") for (const [m, i] of slots[n]!.entries()) grants[i] = answer.value[m]!;
    }
    if (failure === undefined && grants.every((grant) => grant.allowed)) return grants;
    const taken = charges.flatMap((charge, i) => {
      const grant = grants[i];
      const spent = grant?.allowed === true && grant.granted > 0 && grant.repeated !== true;
      return spent ? [{ ...charge, amount: grant.granted }] : [];
    });
    // Every slot is tried: one that does not answer must not keep the units of the others.
    const back = await Promise.allSettled(slotsOf(taken).map((places) => giveBack(places.map((i) => taken[i]!))));
    const stuck = [failure, ...back].find((answer) => answer?.status === "rejected");
    if (stuck?.status === "rejected") throw stuck.reason;
    return grants.map((grant) =>
      grant.allowed && grant.repeated !== true
        ? { ...grant, granted: 0, remaining: grant.remaining + grant.granted }
        : grant,
    );
  }

  return {
    quota(charges) {
      if (!store.isCluster) return take(charges);
      const slots = slotsOf(charges);
      const taken = slots.length === 1 ? take(charges) : takeOverSlots(charges, slots);
      if (charges.every(({ hold }) => hold === undefined)) return taken;
      return taken.then((grants) => listElsewhere(charges, grants));
    },
    async refund(charges) {
      await Promise.all(slotsOf(charges).map((places) => giveBack(places.map((i) => charges[i]!))));
    },
  };
}

/** A limit, as the scripts are told of it. */
export function limitArgs(limit: Limit, now: () => number): (string | number)[] {
  const { algorithm, amount, windowMs, calendar, burst } = limit;
  return [codes[algorithm], amount, calendar === undefined ? windowMs : windowsText(calendar, now()), burst];
}

/** The window of a calendar by the hub's clock, and the end of the next one for a Redis whose clock is a little ahead. */
function windowsText(period: CalendarPeriod, nowMs: number): string {
  const { startMs, endMs, nextEndMs } = calendarWindow(period, nowMs);
  return `${startMs} ${endMs} ${nextEndMs}`;
}
