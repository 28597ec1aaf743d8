import type { Bag } from "../attributes/bag.ts";
import type { Snapshot } from "../policy/snapshot.ts";
import type { Instance } from "../sdk/index.ts";
import type { Check } from "./check.ts";
import type { Asked, Decision } from "./decision.ts";
import type { Holds } from "./limits/holds.ts";
import type { ManagedInstance } from "./instance.ts";
import type { QuotaLimits } from "./quota/bucket-limits.ts";
import type { RateLimit } from "./rate-limit.ts";

/** One snapshot that serves. Whoever acquired it must release it, once. */
export interface Serving<T> {
  readonly snapshot: Snapshot;
  /** What `prepare` made. */
  readonly prepared: T;
  /** Judges a request. Never throws, never rejects; the bag must stay as it is until the decision is there. */
  check(bag: Bag, asked: Asked): Decision | Promise<Decision>;
  /** Begins to judge the descriptors of a request to a rate limit door. */
  readonly rateLimit: RateLimit;
  /** What decisions took of limits. */
  readonly holds: Holds;
  /** The limits of buckets whose proxies keep to them by themselves. */
  readonly quotas: QuotaLimits;
  /** The instance behind an adapter's name in `weir.yaml`. Throws when there is none. */
  instanceOf(adapter: string): Instance;
  /** Says that the request is over. The instances of a snapshot that was replaced are closed after its last one. */
  release(): void;
}

/** One snapshot with the instances it holds, and how many requests are on it. */
export class Holding<T> implements Serving<T> {
  readonly snapshot: Snapshot;
  readonly prepared: T;
  readonly check: Check;
  readonly rateLimit: RateLimit;
  readonly holds: Holds;
  readonly quotas: QuotaLimits;
  readonly instanceOf: (adapter: string) => Instance;
  readonly held: readonly ManagedInstance[];
  /** Resolves when the last request is over and the snapshot serves no more. */
  readonly ended: Promise<void>;
  #end!: () => void;
  #requests = 0;
  #replaced = false;
  #over = false;

  constructor(
    snapshot: Snapshot,
    prepared: T,
    check: Check,
    rateLimit: RateLimit,
    holds: Holds,
    quotas: QuotaLimits,
    instanceOf: (adapter: string) => Instance,
    held: readonly ManagedInstance[],
    onEnd: (ended: Holding<T>) => void,
  ) {
    this.snapshot = snapshot;
    this.prepared = prepared;
    this.check = check;
    this.rateLimit = rateLimit;
    this.holds = holds;
    this.quotas = quotas;
    this.instanceOf = instanceOf;
    this.held = held;
    this.ended = new Promise((resolve) => {
      this.#end = () => {
        if (this.#over) return;
        this.#over = true;
        onEnd(this);
        resolve();
      };
    });
  }

  acquire(): this {
    this.#requests++;
    return this;
  }

  release(): void {
    if (--this.#requests === 0 && this.#replaced) this.#end();
  }

  /** Says that another snapshot serves from now on. */
  replace(): void {
    this.#replaced = true;
    if (this.#requests === 0) this.#end();
  }

  /** Ends it whatever is still under way. */
  force(): void {
    this.#replaced = true;
    this.#end();
  }
}
