import type { Apportioner } from "./apportioner.ts";
import type { Assignment } from "./assignment.ts";
import type { BucketLimit } from "./bucket-limits.ts";
import type { BucketUse, ProxyBucket } from "./proxy-bucket.ts";

/**
 * One limit that observes, over one bucket of a proxy: what the proxy would have been assigned, and how many of its
 * requests that would have refused. The proxy hears nothing of it. Budgets are divided as those of enforced limits are,
 * on counts of their own.
 *
 * Of when requests came between two reports nothing is known: they are taken to have come evenly.
 */
export class ObservedBucket {
  readonly limit: BucketLimit;
  readonly client: string;
  readonly #apportioner: Apportioner;
  readonly #bucket: ProxyBucket;
  readonly #now: () => number;
  #assignment: Assignment | undefined;
  /** Requests that would be let pass at once. */
  #level = 0;
  #filledMs: number;

  constructor(apportioner: Apportioner, limit: BucketLimit, bucket: ProxyBucket, now: () => number) {
    this.limit = limit;
    this.client = bucket.client;
    this.#apportioner = apportioner;
    this.#bucket = bucket;
    this.#now = now;
    this.#filledMs = now();
  }

  /** Takes what the proxy let pass; what it denied by other limits is none of this one's. */
  report({ allowed: requests, elapsedMs }: BucketUse): void {
    const allowed = this.#passing(requests);
    this.#apportioner.report(this.#bucket, { allowed, denied: requests - allowed, elapsedMs });
    this.follow();
  }

  /** Takes on what would be assigned now. To be called once a second or so. */
  follow(): void {
    const next = this.#apportioner.assign(this.#bucket);
    if (next === undefined) return;
    this.#apportioner.heard(this.#bucket);
    if (next === this.#assignment) return;
    this.#assignment = next;
    this.#filledMs = this.#now();
    // As Envoy does: a token bucket that is another one begins full.
    this.#level = next.kind === "tokens" ? next.maxTokens : 0;
  }

  leave(): void {
    this.#apportioner.leave(this.#bucket);
  }

  /** How many of some requests would have passed since the last report. */
  #passing(requests: number): number {
    const assignment = this.#assignment;
    if (assignment?.kind === "deny") return 0;
    // Before there is one, the filter's own settings answer, not the limit.
    if (assignment?.kind !== "tokens" || !this.#bucket.hasTokens) return requests;
    const nowMs = this.#now();
    const { maxTokens, tokensPerFill, fillSeconds } = assignment;
    const available = this.#level + ((nowMs - this.#filledMs) / 1000) * (tokensPerFill / fillSeconds);
    const passing = Math.min(requests, Math.floor(available + 1e-9));
    this.#level = Math.min(maxTokens, available - passing);
    this.#filledMs = nowMs;
    return passing;
  }
}
