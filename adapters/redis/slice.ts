import type { Charge, Grant, Limit } from "weir/sdk";
import { Demand } from "./demand.ts";
import type { Draw, Drawn } from "./draw.ts";
import { unnoticedMs } from "./lease-clock.ts";

/** The shortest time for which Redis is left alone after it had nothing; and the longest, while nobody can return units. */
const backOffMs = 10;
const maxBackOffMs = 1000;

/** What is asked of Redis in a message, beside how the lease stands. */
type Asked = Pick<Draw, "amount" | "needed" | "how" | "dedupId" | "share" | "lastsMs">;

/** A charge that waits for Redis. */
export interface Waiting {
  readonly charge: Charge;
  resolve(grant: Grant): void;
  reject(error: unknown): void;
}

/**
 * What this hub holds of one count: units of a lease that it may give out by itself until a time that comes before the
 * one at which Redis takes them for used. What is told of the lease are sums since it began, so that a message that is
 * lost, late or doubled takes nothing wrong.
 */
export class Slice {
  readonly key: string;
  /** The limit as the policy that serves has it. */
  limit: Limit;

  /** Units that may be given out before `until`. */
  units = 0;
  until = -Infinity;
  /** Below so many units more are asked for ahead; below 0 while that is no use. */
  low = -1;

  /** Names the lease for Redis; 0 for none. */
  number = 0;
  /** Since the lease began: units leased and returned, and units told as used. */
  leased = 0;
  returned = 0;
  told = 0;
  /** What Redis has confirmed to know of: units used and returned. */
  known = 0;
  returnedKnown = 0;
  /** Units that Redis granted outright and that are to go back. */
  back = 0;

  /** Redis's last word: units free beside all leases, and those that other hubs hold. */
  free = 0;
  others = 0;
  resetAt = 0;
  /** Until then charges of `refused` units and more are refused without asking. */
  retryAt = -Infinity;
  refused = 0;
  waitAt = 0;
  /** Before that, asking ahead is no use. */
  aheadAt = -Infinity;

  /** The message under way; at most one. */
  flight: Promise<void> | undefined;
  sentAt = -Infinity;
  readonly waiting: Waiting[] = [];

  readonly demand = new Demand();
  /** Units that were used before the lease began. */
  #usedBefore = 0;

  constructor(key: string, limit: Limit) {
    this.key = key;
    this.limit = limit;
  }

  /** Units of the lease that were used. */
  get used(): number {
    return this.leased - this.returned - this.units;
  }

  /** Notes units that Redis granted outright, for the demand. */
  spent(units: number): void {
    this.#usedBefore += units;
  }

  /** Takes on the limit of another policy set. With other amounts the units in hand are not its own any more. */
  follow(limit: Limit): void {
    const { amount, burst, windowMs } = this.limit;
    this.limit = limit;
    if (amount === limit.amount && burst === limit.burst && windowMs === limit.windowMs) return;
    this.giveUp();
    this.retryAt = this.aheadAt = -Infinity;
  }

  /** Notes the units in hand as returned; the next message says so. */
  giveUp(): void {
    if (this.units <= 0) return;
    this.returned += this.units;
    this.units = 0;
  }

  /** Lets go of a lease of which nothing is left, or which has run out: Redis then counts all of it as used. */
  end(): void {
    this.#usedBefore += this.used;
    this.number = this.leased = this.returned = this.told = this.known = this.returnedKnown = this.units = 0;
    this.until = -Infinity;
  }

  /** Whether all of the lease is used up or returned and Redis knows. */
  get isDone(): boolean {
    const { number, units, known, used, returned, returnedKnown } = this;
    return number !== 0 && units === 0 && known === used && returned === returnedKnown;
  }

  /** Units that were used since anything is kept of the count. */
  get usedInAll(): number {
    return this.#usedBefore + this.used;
  }

  /** The next message: what is asked, and how the lease stands. It is then under way. */
  tell(asked: Asked, sentAt: number): Draw {
    const { number: lease, used, known: usedKnown, returned, back } = this;
    this.told = used;
    this.back = 0;
    this.low = -1;
    this.sentAt = sentAt;
    return { ...asked, back, lease, used, usedKnown, returned };
  }

  /** Notes what Redis said to a message. `sentAt`: when it was asked, which is before the time of its answer. */
  hear(drawn: Drawn, { used, returned }: Draw, sentAt: number, now: number): void {
    this.known = used;
    this.returnedKnown = returned;
    if (this.number !== 0) {
      this.units += drawn.leased - this.leased;
      this.leased = drawn.leased;
      // The hub's clock may run slower than Redis's by 1 %.
      this.until = sentAt + drawn.goodMs * 0.99 - unnoticedMs;
    }
    this.free = Math.max(0, drawn.free);
    this.others = drawn.others;
    this.resetAt = now + drawn.resetMs;
  }

  /**
   * Notes when to ask again, where there was not enough: when Redis says, within bounds. Hubs that hold units may return
   * some at any time, so while there are such the longest pause is a quarter of `aheadMs`.
   */
  pace(message: Draw, { allowed, waitMs, others, leased }: Drawn, now: number, aheadMs: number): void {
    const longest = others > 0 ? Math.max(backOffMs, aheadMs / 4) : maxBackOffMs;
    const pause = Math.min(Math.max(waitMs, backOffMs), longest);
    const gotNone = message.share > 0 && leased <= message.used + message.returned;
    this.low = gotNone ? -1 : Math.min(this.demand.size, this.units) / 2;
    if (gotNone) this.aheadAt = now + pause;
    if (allowed || waitMs < 0) this.retryAt = -Infinity;
    else {
      this.retryAt = now + pause;
      this.waitAt = now + Math.max(waitMs, pause);
      this.refused = message.how === "some" ? Math.min(1, message.needed) : message.needed;
    }
  }

  granted(units: number, now: number): Grant {
    const { limit } = this;
    return {
      allowed: true,
      granted: units,
      remaining: this.#remaining(),
      resetMs: this.#resetMs(now),
      validForMs: limit.windowMs,
    };
  }

  /** A refusal; with `waitAt` it says when the units may be there. */
  refusal(now: number, waitAt: number | undefined): Grant {
    const grant = {
      allowed: false,
      granted: 0,
      remaining: this.#remaining(),
      resetMs: this.#resetMs(now),
      validForMs: 0,
    };
    return waitAt === undefined ? grant : { ...grant, retryAfterMs: Math.max(1, Math.ceil(waitAt - now)) };
  }

  #remaining(): number {
    const left = this.free + this.units;
    return left <= 0 ? 0 : Math.floor(left);
  }

  /** A unit in hand is not used: a bucket is full sooner by what it takes to drain. */
  #resetMs(now: number): number {
    const left = this.resetAt - now - Math.max(0, this.units) * msPerUnit(this.limit);
    return left <= 0 ? 0 : Math.ceil(left);
  }
}

/** How long a unit takes to be there again; with windows they all come at once. */
export function msPerUnit(limit: Limit): number {
  return limit.algorithm === "token-bucket" ? limit.windowMs / limit.amount : 0;
}
