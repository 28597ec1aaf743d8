import type { Share } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import { Failure } from "../failure.ts";
import { Assigner } from "./assigner.ts";
import type { Assignment } from "./assignment.ts";
import type { BucketLimit, BucketLimits, QuotaLimits } from "./bucket-limits.ts";
import { BucketPlaces, type BucketBounds } from "./bucket-places.ts";
import { dividedCounts, type DividedCounts } from "./divided-count.ts";
import { Count } from "./count.ts";
import { ObservedBucket } from "./observed-bucket.ts";
import { ProxyBucket, type BucketUse, type Part } from "./proxy-bucket.ts";

/** What limits are counted in, as the policies that serve name it. */
export type QuotaStores = Pick<QuotaLimits, "isShared" | "apportion">;

export interface ApportionerOptions {
  /** The name of this hub among those that share a store; no other may have it. */
  readonly member: string;
  /** Milliseconds of a clock that is never set. */
  readonly now: () => number;
  readonly observer: Observer;
  readonly stores: QuotaStores;
  /** How long an assignment holds, in milliseconds: whole seconds, 2 at least. */
  readonly ttlMs: number;
  /** How long an idle bucket is kept. Default 10 minutes. */
  readonly idleMs?: number;
  /**
   * Whether nothing is assigned at first of limits that this hub counts alone, for as long as proxies may hold what was
   * assigned before it started. Default: no.
   */
  readonly holdsBack?: boolean;
  /** The most counts. Default 50,000. */
  readonly maxCounts?: number;
}

/** The most stakes of one call to a store. */
const maxStakes = 500;

/**
 * Divides the budgets of limits over proxies that keep to them by themselves. Whoever holds a proxy's stream tells what
 * it reports, and asks what is to be sent to it: {@link Apportioner.assign}.
 *
 * An assignment that was sent counts from then on, together with the one before until the proxy has read it
 * ({@link Apportioner.heard}), and until its time to live is over as the proxy counts it, which begins when it has read
 * it. One that is never known to be read counts `graceMs` longer than its time to live.
 */
export class Apportioner {
  readonly ttlMs: number;
  readonly graceMs: number;
  readonly #options: ApportionerOptions;
  readonly #counts = new Map<string, Count>();
  readonly #idleMs: number;
  readonly #holdMs: number;
  readonly #holdBackUntilMs: number;
  readonly #asking = new Set<string>();
  readonly #assigner: Assigner;
  readonly #maxCounts: number;
  readonly #places: BucketPlaces<ProxyBucket>;
  readonly #observed: BucketPlaces<ProxyBucket>;
  /** For people. */
  readonly divided: DividedCounts;

  constructor(options: ApportionerOptions) {
    this.#options = options;
    this.ttlMs = options.ttlMs;
    this.graceMs = Math.min(1000, options.ttlMs / 4);
    this.#assigner = new Assigner(this.ttlMs, this.graceMs);
    this.#maxCounts = options.maxCounts ?? 50_000;
    this.#places = new BucketPlaces(this.#maxCounts);
    this.#observed = new BucketPlaces(this.#maxCounts);
    this.#idleMs = options.idleMs ?? 600_000;
    this.divided = dividedCounts(this.#counts, [this.#places, this.#observed], options.now);
    this.#holdMs = 3 * (this.ttlMs + this.graceMs);
    this.#holdBackUntilMs = options.holdsBack === true ? options.now() + this.ttlMs + this.graceMs : -Infinity;
  }

  /** How many buckets there are. */
  get buckets(): number {
    return this.#places.size;
  }

  /** How many counts there are. */
  get counts(): number {
    return this.#counts.size;
  }

  /** Whether a client may have one bucket more; if not, that is counted. */
  hasRoom(client: string, bounds: BucketBounds, places = this.#places): boolean {
    const refusal = this.#counts.size >= this.#maxCounts ? "full" : places.refusal(client, bounds);
    if (refusal !== undefined) this.#options.observer.dropped("quota_bucket", refusal, 1);
    return refusal === undefined;
  }

  /** A bucket of a client that has room for it. */
  subscribe(limits: BucketLimits, client: string): ProxyBucket {
    const bucket = new ProxyBucket(client, this.#options.now());
    this.#places.add(bucket, limits === "refused" ? 0 : limits.length);
    this.rebase(bucket, limits);
    return bucket;
  }

  /** A bucket's part in a limit that observes; `undefined` where there is no room for it, which is counted. */
  observe(limit: BucketLimit, client: string, bounds: BucketBounds): ObservedBucket | undefined {
    if (!this.hasRoom(client, bounds, this.#observed)) return undefined;
    const { now } = this.#options;
    const bucket = new ProxyBucket(client, now());
    this.#observed.add(bucket, 1);
    this.rebase(bucket, [limit]);
    return new ObservedBucket(this, limit, bucket, now);
  }

  /** Says which limits hold for a bucket now. */
  rebase(bucket: ProxyBucket, limits: BucketLimits): void {
    const nowMs = this.#options.now();
    bucket.limits = limits;
    const before = new Map(bucket.parts.map((part) => [part.count, part]));
    const kept = new Set<Count>();
    bucket.parts = (limits === "refused" ? [] : limits).flatMap((limit): Part[] => {
      const count = this.#countOf(limit, nowMs);
      // Two rules never share a count.
      kept.add(count);
      const part = before.get(count);
      if (part !== undefined && part.claim.cost === limit.cost) return [part];
      if (part !== undefined) kept.delete(count);
      count.ledger.settle(nowMs);
      const claim = count.ledger.add(limit.cost, nowMs);
      if (bucket.assignment?.kind === "tokens") {
        // The proxy goes on with what it has until it hears of something else.
        const { rate, burst } = bucket.budget;
        const untilMs = bucket.sentMs + this.ttlMs + this.graceMs;
        count.ledger.commit(claim, { rate: rate * limit.cost, burst: burst * limit.cost }, nowMs, untilMs);
      }
      return [{ count, claim }];
    });
    for (const { count, claim } of before.values()) if (!kept.has(count)) count.ledger.leave(claim);
  }

  /** Takes what a proxy reports. */
  report(bucket: ProxyBucket, use: BucketUse): void {
    const { now, observer } = this.#options;
    const isFirst = !bucket.hasReported;
    bucket.take(use, now());
    for (const { count, claim } of bucket.parts) {
      observer.quotaUse(count.rule.id, use.allowed, use.denied);
      // What passed before there was an assignment is charged like any other.
      if (isFirst) count.ledger.spend(Math.min(use.allowed, Number.MAX_SAFE_INTEGER) * claim.cost);
    }
  }

  /** The proxy's stream is gone, or it was told to abandon the bucket. What it was assigned counts until it runs out. */
  leave(bucket: ProxyBucket): void {
    this.#places.delete(bucket);
    this.#observed.delete(bucket);
    for (const { count, claim } of bucket.parts) count.ledger.leave(claim);
    bucket.parts = [];
  }

  /** Whether a bucket has not been used for so long that it is to be abandoned. */
  isIdle(bucket: ProxyBucket): boolean {
    return this.#options.now() - bucket.usedMs >= this.#idleMs;
  }

  /** The proxy has read what was sent to it last: what it was told before does not count any more. */
  heard(bucket: ProxyBucket): void {
    const nowMs = this.#options.now();
    const untilMs = nowMs + this.ttlMs;
    for (const { count, claim } of bucket.parts) {
      count.ledger.confirm(claim, nowMs);
      if (claim.grant !== undefined) claim.grant.untilMs = Math.max(claim.grant.untilMs, untilMs);
    }
  }

  /** Whether a bucket has no assignment only until a store has answered. */
  isAwaited(bucket: ProxyBucket): boolean {
    return bucket.assignment === undefined && bucket.parts.some(({ count }) => count.state === "awaited");
  }

  /** Whether a bucket has no assignment since proxies may hold what was assigned before this hub started. */
  isHeldBack(bucket: ProxyBucket): boolean {
    const nowMs = this.#options.now();
    return bucket.parts.some(({ count }) => count.isHeldBack(nowMs));
  }

  /** What is to be sent to the proxy now; it counts as sent. `undefined`: nothing. */
  assign(bucket: ProxyBucket): Assignment | undefined {
    return this.#assigner.assign(bucket, this.#options.now());
  }

  /** Looks after all counts: forgets those that are idle, and asks for this hub's shares. To be called once a second or so. */
  round(): void | Promise<void> {
    const nowMs = this.#options.now();
    const byAdapter = new Map<string, Count[]>();
    for (const [name, count] of this.#counts) {
      count.ledger.settle(nowMs);
      if (count.state === "whole" ? count.ledger.isIdle : count.ledger.claims.size === 0) {
        // A store keeps what this hub had until it runs out.
        this.#counts.delete(name);
        continue;
      }
      if (count.state === "shared") count.fail(nowMs);
    }
    for (const count of this.#counts.values()) {
      if (count.state === "whole") continue;
      const { via } = count.rule;
      const asked = byAdapter.get(via);
      if (asked === undefined) byAdapter.set(via, [count]);
      else asked.push(count);
    }
    const pending = [...byAdapter].map(([adapter, counts]) => this.#ask(adapter, counts)).filter(isPromise);
    return pending.length === 0 ? undefined : Promise.all(pending).then(() => undefined);
  }

  #countOf(limit: BucketLimit, nowMs: number): Count {
    const { via } = limit.rule;
    const name = `${via} ${limit.key}`;
    let count = this.#counts.get(name);
    if (count === undefined) {
      const isShared = this.#options.stores.isShared(via);
      const holdBackUntilMs = isShared ? undefined : this.#holdBackUntilMs;
      this.#counts.set(name, (count = new Count(limit, isShared, nowMs, holdBackUntilMs)));
    } else count.renew(limit);
    return count;
  }

  /** Asks a store for this hub's shares. One call at a time: an answer that comes late must not undo a later one. */
  #ask(adapter: string, counts: readonly Count[]): void | Promise<void> {
    if (this.#asking.has(adapter)) return;
    const { member, now, stores } = this.#options;
    const askFrom = (at: number): void | Promise<void> => {
      const part = counts.slice(at, at + maxStakes);
      if (part.length === 0) return;
      const holdUntilMs = now() + this.#holdMs;
      const taken = (answer: readonly Share[] | Failure): void | Promise<void> => {
        const nowMs = now();
        for (const [i, count] of part.entries()) {
          count.ledger.settle(nowMs);
          if (answer instanceof Failure) count.fail(nowMs);
          else count.take(answer[i]!, holdUntilMs);
        }
        return askFrom(at + maxStakes);
      };
      const stakes = part.map((count) => count.stake(member, this.#holdMs));
      const answer = stores.apportion(adapter, stakes);
      return answer instanceof Promise ? answer.then(taken) : taken(answer);
    };
    const pending = askFrom(0);
    if (!(pending instanceof Promise)) return;
    this.#asking.add(adapter);
    return pending.finally(() => this.#asking.delete(adapter));
  }
}

function isPromise(value: void | Promise<void>): value is Promise<void> {
  return value instanceof Promise;
}
