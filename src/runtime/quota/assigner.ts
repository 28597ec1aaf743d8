import type { Budget } from "../../sdk/index.ts";
import { budgetOfTokens, tokensOf, type Assignment, type Tokens } from "./assignment.ts";
import { nothing } from "./claim.ts";
import { couldUseMore, lacksBurst, worthwhile } from "./plan.ts";
import type { Part, ProxyBucket } from "./proxy-bucket.ts";

/** A proxy that has not reported for so many times to live is taken for gone. */
const silentTtls = 3;

/**
 * Decides what a proxy is told of a bucket, and when: by what the counts of the bucket can give, and what it was told
 * before.
 */
export class Assigner {
  readonly #ttlMs: number;
  readonly #graceMs: number;

  constructor(ttlMs: number, graceMs: number) {
    this.#ttlMs = ttlMs;
    this.#graceMs = graceMs;
  }

  /** What is to be sent to the proxy now; it counts as sent. `undefined`: nothing. */
  assign(bucket: ProxyBucket, nowMs: number): Assignment | undefined {
    // A proxy that reports no more is to lose what it has.
    if (nowMs - bucket.reportedMs > silentTtls * this.#ttlMs) return undefined;
    if (bucket.limits === "refused") return this.#blanket(bucket, "deny", nowMs);
    const binding: Part[] = [];
    for (const part of bucket.parts) {
      const { count } = part;
      if (count.state === "awaited" || count.isHeldBack(nowMs)) return undefined;
      if (count.state !== "lost" || count.rule.onError === "local") binding.push(part);
      else if (count.rule.onError === "deny") return this.#blanket(bucket, "deny", nowMs);
    }
    if (binding.length === 0) return this.#blanket(bucket, "allow", nowMs);
    for (const { count } of binding) {
      count.ledger.settle(nowMs);
      // Nothing may be sent that would outlast what is kept for this hub.
      if (count.state === "shared" && nowMs + this.#ttlMs + this.#graceMs > count.holdUntilMs) return undefined;
    }
    return this.#change(bucket, binding, nowMs) ?? this.#refresh(bucket, nowMs);
  }

  /** Another assignment than the one that the proxy has, if there is to be one. */
  #change(bucket: ProxyBucket, parts: readonly Part[], nowMs: number): Assignment | undefined {
    // The proxy has not heard of the last one yet.
    if (bucket.isInFlight) return undefined;
    let isPlanned = true;
    for (const { count } of parts) isPlanned = count.ledger.plan(nowMs, this.#ttlMs) && isPlanned;
    if (!isPlanned) return undefined;
    if (!bucket.hasTokens) {
      const tokens = tokensOf(offered(parts));
      if (tokens !== undefined) return this.#grant(bucket, tokens, nowMs);
      return bucket.assignment?.kind === "deny" ? undefined : this.#blanket(bucket, "deny", nowMs);
    }
    const isLate = nowMs >= bucket.sentMs + this.#ttlMs - this.#graceMs;
    if (parts.some(({ claim }) => claim.yields)) {
      const tokens = tokensOf(offered(parts));
      if (tokens !== undefined) return this.#grant(bucket, tokens, nowMs);
      const isOut = parts.some(({ count, claim }) => claim.target.burst < claim.cost || count.ledger.isOver);
      if (isOut) return this.#blanket(bucket, "deny", nowMs);
    } else if (isLate || parts.every(({ claim }) => couldUseMore(claim))) {
      const tokens = tokensOf(offered(parts));
      if (tokens !== undefined && (isLate || tokensRate(tokens) > bucket.budget.rate * worthwhile))
        return this.#grant(bucket, tokens, nowMs);
    } else if (nowMs - bucket.sinceMs >= this.#ttlMs && parts.every(({ claim }) => lacksBurst(claim))) {
      const offer = offered(parts);
      const tokens = tokensOf(offer);
      if (tokens !== undefined && tokens.maxTokens >= 2 * bucket.budget.burst && offer.rate >= bucket.budget.rate)
        return this.#grant(bucket, tokens, nowMs);
    }
    return undefined;
  }

  /** The same again, before it runs out. What comes after it has run out would begin with a full burst. */
  #refresh(bucket: ProxyBucket, nowMs: number): Assignment | undefined {
    const { assignment, sentMs } = bucket;
    if (assignment === undefined || nowMs < sentMs + this.#ttlMs / 2) return undefined;
    if (assignment.kind === "tokens") {
      if (!bucket.hasTokens || nowMs >= sentMs + this.#ttlMs - this.#graceMs) return undefined;
      for (const { claim } of bucket.parts) claim.grant!.untilMs = nowMs + this.#ttlMs + this.#graceMs;
    }
    bucket.sentMs = nowMs;
    return assignment;
  }

  #grant(bucket: ProxyBucket, tokens: Tokens, nowMs: number): Tokens {
    const { rate, burst } = budgetOfTokens(tokens);
    for (const { count, claim } of bucket.parts) {
      const units = { rate: rate * claim.cost, burst: burst * claim.cost };
      count.ledger.commit(claim, units, nowMs, nowMs + this.#ttlMs + this.#graceMs);
    }
    return this.#sent(bucket, tokens, nowMs);
  }

  /** Lets all pass, or nothing; `undefined` where the proxy knows that. */
  #blanket(bucket: ProxyBucket, kind: "allow" | "deny", nowMs: number): Assignment | undefined {
    if (bucket.assignment?.kind === kind) return this.#refresh(bucket, nowMs);
    for (const { count, claim } of bucket.parts) count.ledger.commit(claim, nothing, nowMs, nowMs);
    return this.#sent(bucket, { kind }, nowMs);
  }

  #sent<T extends Assignment>(bucket: ProxyBucket, assignment: T, nowMs: number): T {
    bucket.assignment = assignment;
    bucket.sinceMs = bucket.sentMs = nowMs;
    return assignment;
  }
}

/** What all counts of a bucket can give, in requests. */
function offered(parts: readonly Part[]): Budget {
  let rate = Infinity;
  let burst = Infinity;
  for (const { count, claim } of parts) {
    const offer = count.ledger.offer(claim);
    rate = Math.min(rate, offer.rate / claim.cost);
    burst = Math.min(burst, offer.burst / claim.cost);
  }
  return { rate, burst };
}

function tokensRate(tokens: Tokens): number {
  return budgetOfTokens(tokens).rate;
}
