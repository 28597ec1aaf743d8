import { Answered, type Charge, type Grant, type Host, type LeaseState } from "weir/sdk";
import { question, type Draw, type DrawOn, type Drawn } from "./draw.ts";
import { Shortfall } from "./shortfall.ts";
import { msPerUnit, Slice } from "./slice.ts";

export interface LeaseOptions {
  readonly draw: DrawOn;
  /** Milliseconds that have passed; see `leaseClock`. */
  readonly clock: () => number;
  /** A number above 0 that no other lease on the same count has. */
  readonly nextNumber: () => number;
  /** For how long of its demand a hub takes units ahead, in milliseconds. A lease lasts four times as long. */
  readonly aheadMs: number;
  /** The most counts of which this hub keeps anything. The charges of others ask Redis each time. */
  readonly maxKeys: number;
  readonly answered: Answered;
  readonly count: Host["count"];
}

/** How many times `aheadMs` a lease lasts that its hub does not renew. */
const lasting = 4;

/** Windows shorter than that are over before a lease is of use: such limits ask Redis each time. */
const shortestMs = 200;

/**
 * Limits of `consistency: bounded`: answers charges from units that this hub has leased, and asks Redis for more before
 * they run out, one message at a time for each count. What does not fit into the units in hand is judged by Redis, which
 * takes those units back in the same message. A count without much demand has no lease and is exact.
 *
 * Never above the limit: see the script, which counts what is leased, and docs/limits.md.
 */
export class Leases {
  readonly #options: LeaseOptions;
  readonly #slices = new Map<string, Slice>();
  readonly shortfall = new Shortfall();
  #closing = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** How many counts something is kept of. */
  get size(): number {
    return this.#slices.size;
  }

  /** The grant or refusal of a charge, where it can be said without asking; else `undefined`, with nothing taken. */
  take(charge: Charge): Grant | undefined {
    const slice = this.#slices.get(charge.key);
    return slice === undefined ? undefined : this.#take(slice, charge, this.#options.clock());
  }

  #take(slice: Slice, charge: Charge, now: number): Grant | undefined {
    const { limit, amount, atLeast, dedupId } = charge;
    if (charge.spent === true) return undefined;
    if (dedupId !== undefined) {
      const before = this.#options.answered.get(dedupId, now);
      if (before !== undefined) return before;
    }
    if (slice.limit !== limit) slice.follow(limit);
    const needed = atLeast === undefined || atLeast < amount ? amount : atLeast;
    if (now < slice.until && needed <= slice.units) {
      slice.units -= amount;
      if (slice.units < slice.low) this.#askAhead(slice, now);
      const grant = slice.granted(amount, now);
      if (dedupId !== undefined) this.#remember(charge, grant, now);
      return grant;
    }
    if (now >= slice.retryAt) return undefined;
    if (charge.bestEffort && now < slice.until && slice.units >= 1) {
      const rest = Math.floor(slice.units);
      slice.units -= rest;
      const grant = slice.granted(rest, now);
      if (dedupId !== undefined) this.#remember(charge, grant, now);
      return grant;
    }
    const wanted = charge.bestEffort ? Math.min(1, needed) : needed;
    if (wanted < slice.refused || wanted > capacityOf(charge)) return undefined;
    this.shortfall.refused(limit.id, wanted, slice.others);
    return slice.refusal(now, slice.waitAt + (wanted - slice.refused) * msPerUnit(limit));
  }

  /** Has Redis judge a charge. Rejects when it does not answer in time. */
  ask(charge: Charge): Promise<Grant> {
    const slice = this.#sliceOf(charge);
    if (slice === undefined) return this.#askAlone(charge);
    return new Promise((resolve, reject) => {
      slice.waiting.push({ charge, resolve, reject });
      if (slice.flight === undefined) this.#send(slice);
    });
  }

  /** Gives units back that were granted. Those that Redis does not know as used yet are in hand again. */
  async putBack(charges: readonly Charge[]): Promise<void> {
    const now = this.#options.clock();
    for (const { key, limit, amount, dedupId } of charges) {
      if (dedupId !== undefined) this.#options.answered.delete(dedupId);
      const slice = this.#slices.get(key);
      if (slice === undefined) {
        await this.#options.draw(limit, key, { ...question, back: amount });
        continue;
      }
      const untold = slice.number === 0 || now >= slice.until ? 0 : Math.min(amount, slice.used - slice.told);
      if (untold > 0) slice.units += untold;
      slice.retryAt = -Infinity;
      slice.back += amount - Math.max(0, untold);
      if (slice.back > 0 && slice.flight === undefined) this.#send(slice);
    }
  }

  /**
   * Returns what was not used for a while, renews what is, and forgets counts that nobody asks for. Called twice in
   * `aheadMs`.
   */
  sweep(): void {
    const now = this.#options.clock();
    for (const slice of this.#slices.values()) {
      if (slice.flight !== undefined) continue;
      const isIdle = slice.demand.look(slice.usedInAll, slice.waiting.length > 0) >= 2;
      if (slice.isDone || (isIdle && now >= slice.until)) slice.end();
      if (isIdle && slice.number === 0 && slice.back === 0) {
        if (now >= slice.retryAt) this.#slices.delete(slice.key);
      } else if (isIdle || slice.back > 0 || (slice.number !== 0 && now - slice.sentAt >= this.#options.aheadMs)) {
        if (isIdle) this.#release(slice);
        this.#send(slice);
      } else if (slice.low < 0 && now >= slice.aheadAt) slice.low = slice.units / 2;
    }
  }

  /** Units in hand and refused too early, by limit. */
  *states(): Generator<LeaseState> {
    const held = this.held();
    for (const [limit, units] of held) yield { limit, units, short: this.shortfall.of(limit) };
    for (const [limit, short] of this.shortfall.entries()) if (!held.has(limit)) yield { limit, units: 0, short };
  }

  /** Units in hand, by limit. */
  held(): ReadonlyMap<string, number> {
    const now = this.#options.clock();
    const units = new Map<string, number>();
    for (const slice of this.#slices.values()) {
      const { id } = slice.limit;
      units.set(id, (units.get(id) ?? 0) + (now < slice.until ? Math.max(0, slice.units) : 0));
    }
    return units;
  }

  /** Returns everything. What cannot be told counts as used when its lease ends. */
  async close(): Promise<void> {
    this.#closing = true;
    const returned = Array.from(this.#slices.values(), async (slice) => {
      await slice.flight;
      if (slice.number === 0 && slice.back === 0) return;
      this.#release(slice);
      this.#send(slice);
      await slice.flight;
    });
    await Promise.all(returned);
  }

  #release(slice: Slice): void {
    slice.giveUp();
    slice.demand.size = 0;
  }

  #sliceOf({ key, limit }: Charge): Slice | undefined {
    const known = this.#slices.get(key);
    if (known !== undefined) return known;
    if (this.#slices.size >= this.#options.maxKeys) {
      this.#options.count("lease_no_room");
      return undefined;
    }
    const slice = new Slice(key, limit);
    this.#slices.set(key, slice);
    return slice;
  }

  /** A charge of a count that nothing is kept of. */
  async #askAlone(charge: Charge): Promise<Grant> {
    const { clock, draw, answered } = this.#options;
    const { key, limit, dedupId } = charge;
    const before = dedupId === undefined ? undefined : answered.get(dedupId, clock());
    if (before !== undefined) return before;
    const drawn = await draw(limit, key, { ...question, ...wishOf(charge) });
    const now = clock();
    const slice = new Slice(key, limit);
    slice.hear(drawn, question, now, now);
    return this.#answer(slice, charge, drawn, now);
  }

  #askAhead(slice: Slice, now: number): void {
    slice.low = -1;
    if (slice.flight === undefined && now >= slice.aheadAt && !this.#closing) this.#send(slice);
  }

  /** Sends the next message of a count: with the charge that has waited longest, if any does. */
  #send(slice: Slice): void {
    const { clock, draw, nextNumber, aheadMs } = this.#options;
    const sentAt = clock();
    const first = slice.waiting.shift();
    const { limit } = slice;
    // Redis is to judge by everything that is free, the units in hand too.
    if (first !== undefined) slice.giveUp();
    const { demand } = slice;
    if (demand.idle < 2) demand.resize(slice.usedInAll, sentAt, aheadMs);
    const isShort =
      limit.windowMs < shortestMs && (limit.algorithm === "fixed-window" || limit.algorithm === "calendar");
    let share = this.#closing || isShort || demand.size < 2 ? 0 : demand.size - slice.units;
    if (slice.waiting.length > 0 && !isShort) share = Math.max(share, sumOf(slice.waiting));
    share = Math.max(0, Math.floor(share));
    if (share > 0 && slice.number === 0) slice.number = nextNumber();
    const wish = first === undefined ? question : wishOf(first.charge);
    const message = slice.tell({ ...wish, share, lastsMs: aheadMs * lasting }, sentAt);
    slice.flight = draw(limit, slice.key, message).then(
      (drawn) => {
        slice.flight = undefined;
        const now = clock();
        slice.hear(drawn, message, sentAt, now);
        if (slice.limit !== limit) slice.giveUp();
        if (slice.isDone) slice.end();
        slice.pace(message, drawn, now, aheadMs);
        if (first !== undefined) first.resolve(this.#answer(slice, first.charge, drawn, now));
        this.#serve(slice, now, undefined);
      },
      (error: unknown) => {
        slice.flight = undefined;
        const now = clock();
        slice.aheadAt = now + aheadMs / 2;
        if (first === undefined) this.#options.count("lease_unanswered");
        else first.reject(error);
        this.#serve(slice, now, { error });
      },
    );
  }

  #answer(slice: Slice, charge: Charge, drawn: Drawn, now: number): Grant {
    if (drawn.allowed) {
      slice.spent(drawn.granted);
      const grant = slice.granted(drawn.granted, now);
      if (charge.dedupId !== undefined) this.#remember(charge, grant, now);
      return grant;
    }
    const needed = charge.bestEffort ? Math.min(1, neededBy(charge)) : neededBy(charge);
    this.shortfall.refused(charge.limit.id, needed, drawn.others);
    return slice.refusal(now, drawn.waitMs < 0 ? undefined : Math.max(slice.waitAt, now + drawn.waitMs));
  }

  /** Answers whoever can be answered now; the others wait for another message, or have none to wait for. */
  #serve(slice: Slice, now: number, failure: { readonly error: unknown } | undefined): void {
    for (const waiting of slice.waiting.splice(0)) {
      const grant = this.#take(slice, waiting.charge, now);
      if (grant !== undefined) waiting.resolve(grant);
      else if (failure !== undefined) waiting.reject(failure.error);
      else slice.waiting.push(waiting);
    }
    if (slice.flight === undefined && (slice.waiting.length > 0 || (slice.back > 0 && failure === undefined)))
      this.#send(slice);
  }

  #remember({ amount, dedupId }: Charge, grant: Grant, now: number): void {
    if (amount > 0) this.#options.answered.set(dedupId!, grant, now);
  }
}

/** What was spent already is told until there is an answer, so Redis is to know it again; other charges are told once. */
function wishOf(charge: Charge): Pick<Draw, "amount" | "needed" | "how" | "dedupId"> {
  const { amount, dedupId, spent, bestEffort } = charge;
  const wish = {
    amount,
    needed: neededBy(charge),
    how: spent === true ? "always" : bestEffort ? "some" : "all",
  } as const;
  return spent === true && dedupId !== undefined ? { ...wish, dedupId } : wish;
}

function neededBy({ amount, atLeast }: Charge): number {
  return atLeast === undefined || atLeast < amount ? amount : atLeast;
}

function capacityOf({ limit }: Charge): number {
  return limit.algorithm === "token-bucket" ? limit.burst : limit.amount;
}

function sumOf(waiting: Slice["waiting"]): number {
  let sum = 0;
  for (const { charge } of waiting) sum += charge.amount;
  return sum;
}
