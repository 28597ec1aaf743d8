import type { Charge, Grant, Limit } from "weir/sdk";
import type { Draw, Drawn } from "./draw.ts";
import { unnoticedMs } from "./lease-clock.ts";

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

  /** For how large a lease there is demand. */
  size = 0;
  #sizedAt = -Infinity;
  #sizedUsed = 0;
  #usedBefore = 0;
  /** Sweeps that found nothing used. */
  idle = 0;
  #seenUsed = 0;

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

  /**
   * Reckons the size of the lease from what was used: what callers take in `aheadMs`. It grows at once, eightfold at
   * most, and shrinks by half, after a quarter of that time has been looked at.
   */
  resize(now: number, aheadMs: number): void {
    const used = this.#usedBefore + this.used;
    const sinceMs = now - this.#sizedAt;
    const wanted = ((used - this.#sizedUsed) * aheadMs) / Math.max(sinceMs, aheadMs / 4);
    this.size = Math.min(Math.max(wanted, this.size / 2), this.size * 8 + 8);
    if (sinceMs < aheadMs / 4) return;
    this.#sizedAt = now;
    this.#sizedUsed = used;
  }

  /** Looks whether something was used since the last look; answers for how many looks nothing was. */
  look(): number {
    const used = this.#usedBefore + this.used;
    this.idle = used === this.#seenUsed && this.waiting.length === 0 ? this.idle + 1 : 0;
    this.#seenUsed = used;
    return this.idle;
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
