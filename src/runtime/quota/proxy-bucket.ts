import type { BucketLimits } from "./bucket-limits.ts";
import { budgetOfTokens, type Assignment } from "./assignment.ts";
import type { Claim } from "./claim.ts";
import type { Count } from "./count.ts";

/** What a proxy reports of a bucket. */
export interface BucketUse {
  /** Requests that it let pass since its last report. */
  readonly allowed: number;
  readonly denied: number;
  /** The time since then as the proxy tells it, in milliseconds; 0 where it does not. */
  readonly elapsedMs: number;
}

/** The part of a bucket in one count. */
export interface Part {
  readonly count: Count;
  readonly claim: Claim;
}

/** The shortest time over which a rate is told. */
const leastMs = 200;

/** What a proxy needed is forgotten by half in so long a time; what it needs more counts at once. */
const halfLifeMs = 2000;

/** How much more than it uses a proxy may use. */
const headroom = 1.2;

/** One bucket of one proxy: what it needs, and what it was told. */
export class ProxyBucket {
  /** Whose it is: the name of a client, or its address. */
  readonly client: string;
  limits: BucketLimits = [];
  parts: readonly Part[] = [];
  /** What the proxy was told last. */
  assignment: Assignment | undefined;
  /** When it was told that first, and when last. */
  sinceMs = 0;
  sentMs = 0;
  /** Whether it has reported. */
  hasReported = false;
  reportedMs: number;
  /** When it last told of a request. */
  usedMs: number;
  /** Requests a second. */
  #demand = 0;
  #requests = 0;
  #fromMs: number;
  #elapsedMs = 0;

  constructor(client: string, nowMs: number) {
    this.client = client;
    this.reportedMs = this.usedMs = this.#fromMs = nowMs;
  }

  /** Whether the proxy may not have heard of its last grant yet. */
  get isInFlight(): boolean {
    return this.parts.some(({ claim }) => claim.old !== undefined);
  }

  /** Whether it keeps to a token bucket that has not run out. */
  get hasTokens(): boolean {
    return this.assignment?.kind === "tokens" && this.parts.every(({ claim }) => claim.grant !== undefined);
  }

  take(use: BucketUse, nowMs: number): void {
    const requests = use.allowed + use.denied;
    this.hasReported = true;
    this.reportedMs = nowMs;
    if (requests > 0) this.usedMs = nowMs;
    this.#requests += requests;
    this.#elapsedMs += use.elapsedMs;
    // Reports may come late and close upon each other: the longer time is the right one.
    const elapsed = Math.max(nowMs - this.#fromMs, this.#elapsedMs);
    if (elapsed < leastMs) return;
    const rate = (this.#requests * 1000) / elapsed;
    this.#demand = Math.max(rate, rate + (this.#demand - rate) * 2 ** (-elapsed / halfLifeMs));
    this.#requests = this.#elapsedMs = 0;
    this.#fromMs = nowMs;
    this.tellDemand();
  }

  /** Tells each count what the proxy could use of it: no more than the tightest of the others gives. */
  tellDemand(): void {
    for (const { claim } of this.parts) {
      let demand = this.#demand * headroom;
      for (const { claim: other } of this.parts) {
        if (other !== claim && other.target.rate > 0)
          demand = Math.min(demand, (other.target.rate / other.cost) * headroom);
      }
      claim.demand = demand * claim.cost;
      claim.isNew = false;
    }
  }

  /** Requests a second, as it reported. */
  get demand(): number {
    return this.#demand;
  }

  /** What passes now, in requests. */
  get budget(): { readonly rate: number; readonly burst: number } {
    return this.assignment?.kind === "tokens" ? budgetOfTokens(this.assignment) : { rate: 0, burst: 0 };
  }
}
