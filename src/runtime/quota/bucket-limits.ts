import type { Bag } from "../../attributes/bag.ts";
import { completionOf } from "../../attributes/derived.ts";
import type { LimitRule } from "../../policy/snapshot.ts";
import type { Budget, Share, Stake } from "../../sdk/index.ts";
import { Failure } from "../failure.ts";
import { limitApplies } from "../limits/judge-limits.ts";
import type { CheckContext } from "../judgement.ts";
import { chosenLimit } from "../limits/judge-limits.ts";
import { costOf, countOf } from "../limits/limit-wishes.ts";
import { prepareRule, type PreparedRule } from "../prepared-rule.ts";
import { isAtRateLimit, isThere, needsOf } from "../rate-limit.ts";
import { RuleIndex } from "../rule-index.ts";
import { budgetOf } from "./budget.ts";

/** A limit that holds for a bucket, and whose count of it. */
export interface BucketLimit {
  readonly rule: LimitRule;
  readonly key: string;
  readonly budget: Budget;
  /** Units of one request, above 0. */
  readonly cost: number;
}

/** What holds for a bucket: limits, or that all is refused, because it cannot be said what holds or cannot be kept. */
export type BucketLimits = readonly BucketLimit[] | "refused";

/** The limits of a snapshot as they are divided among proxies. */
export interface QuotaLimits {
  /** What holds for a bucket. The bag may be filled anew as soon as it returns. Never throws. */
  limitsOf(bag: Bag): BucketLimits;
  /** Whether the hubs share what an adapter counts; else each hub has the whole. */
  isShared(adapter: string): boolean;
  /** Asks a shared store for this hub's shares. Never throws, never rejects. */
  apportion(
    adapter: string,
    stakes: readonly Stake[],
  ): readonly Share[] | Failure | Promise<readonly Share[] | Failure>;
}

/** The most limits of one bucket. */
const maxLimits = 16;

/**
 * Prepares the limits that buckets have: those of the rate limit doors that are enforced, each where everything is there
 * that it reads, as with a descriptor.
 */
export function createQuotaLimits(context: CheckContext): QuotaLimits {
  const { snapshot, observer, log } = context;
  const rules = snapshot.checks.filter(isAtRateLimit).filter(({ policy }) => policy.mode === "enforce");
  const index = new RuleIndex(rules);
  const prepared = new Map<number, { readonly limit: PreparedRule; readonly needs: Int32Array }>(
    rules.map((rule) => [
      rule.ordinal,
      { limit: prepareRule(rule, snapshot, context.tables), needs: needsOf(rule, snapshot.layout) },
    ]),
  );
  const complete = completionOf(snapshot.layout);

  function limitsOf(bag: Bag): BucketLimits {
    complete?.(bag);
    const limits: BucketLimit[] = [];
    const count = index.find(bag);
    const found = index.found.slice(0, count);
    for (const ordinal of found) {
      const { limit, needs } = prepared.get(ordinal)!;
      if (!isThere(bag, needs)) continue;
      const rule = limit.rule as LimitRule;
      const applies = limitApplies(context, limit, bag);
      if (applies === false) continue;
      const cost = costOf(rule, bag, observer);
      const { limit: chosen, keyPrefix } = chosenLimit(limit, bag, context);
      const budget = budgetOf(chosen);
      if (applies === "unknown" || cost === undefined || budget === undefined) return "refused";
      if (cost === 0) continue;
      if (limits.length === maxLimits) {
        observer.dropped("quota_bucket", "limits", 1);
        return "refused";
      }
      // What an override allows is divided by itself: a budget has one size.
      const own = chosen === rule.limit ? "" : `${chosen.amount}/${chosen.burst}`;
      limits.push({ rule, key: `quota ${own} ${countOf(rule, keyPrefix, bag, observer)}`, budget, cost });
    }
    return limits;
  }

  return {
    limitsOf(bag) {
      try {
        return limitsOf(bag);
      } catch (error) {
        log.error({ code: "WEIR_INTERNAL", err: error }, "it could not be told which limits a bucket has");
        return "refused";
      }
    },
    isShared: (adapter) => snapshot.adapters.has(adapter) && context.callsOf(adapter).canApportion,
    // What was assigned by a limit of earlier policies may count in an adapter that a reload has taken away.
    apportion(adapter, stakes) {
      return this.isShared(adapter) ? context.callsOf(adapter).apportion(stakes) : new Failure("fault");
    },
  };
}
