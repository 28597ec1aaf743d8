import type { Bag } from "../../attributes/bag.ts";
import type { LimitRule } from "../../policy/snapshot.ts";
import type { Budget, Limit, Share, Stake } from "../../sdk/index.ts";
import { Failure } from "../failure.ts";
import { DescriptorLimits, isAtRateLimit } from "../limits/descriptor-limits.ts";
import { limitApplies } from "../limits/judge-limits.ts";
import type { CheckContext } from "../judgement.ts";
import { chosenLimit } from "../limits/judge-limits.ts";
import { costOf, countOf } from "../limits/limit-wishes.ts";
import { budgetOf } from "./budget.ts";

/** A limit that holds for a bucket, and whose count of it. */
export interface BucketLimit {
  readonly rule: LimitRule;
  /** The limit that was chosen, its count as charges have it, and what keys of that limit begin with. */
  readonly counted: { readonly limit: Limit; readonly key: string; readonly keyPrefix: string };
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
  /** The limits of policies that observe, which are to be divided as if they held. `undefined` where there are none. */
  readonly observedOf: ((bag: Bag) => readonly BucketLimit[]) | undefined;
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

/** The limits of some rules that a bucket has, and whether it cannot be said of one. */
type Find = (bag: Bag) => { readonly limits: readonly BucketLimit[]; readonly isUnclear: boolean };

/**
 * Prepares the limits that buckets have: those of the rate limit doors, each where everything is there that it reads, as
 * with a descriptor.
 */
function finding(rules: readonly LimitRule[], context: CheckContext): Find {
  const { observer } = context;
  const descriptorLimits = new DescriptorLimits(rules, context);

  return (bag) => {
    const limits: BucketLimit[] = [];
    let isUnclear = false;
    const count = descriptorLimits.find(bag);
    for (let i = 0; i < count; i++) {
      const limit = descriptorLimits.found[i]!;
      const rule = limit.rule as LimitRule;
      const applies = limitApplies(context, limit, bag);
      if (applies === false) continue;
      const cost = costOf(rule, bag, observer);
      const { limit: chosen, keyPrefix } = chosenLimit(limit, bag, context);
      const budget = budgetOf(chosen);
      if (applies === "unknown" || cost === undefined || budget === undefined) {
        isUnclear = true;
        continue;
      }
      if (cost === 0) continue;
      if (limits.length === maxLimits) {
        observer.dropped("quota_bucket", "limits", 1);
        isUnclear = true;
        break;
      }
      // What an override allows is divided by itself: a budget has one size.
      const own = chosen === rule.limit ? "" : `${chosen.amount}/${chosen.burst}`;
      const counted = { limit: chosen, key: countOf(rule, keyPrefix, bag, observer), keyPrefix };
      limits.push({ rule, counted, key: `quota ${own} ${counted.key}`, budget, cost });
    }
    return { limits, isUnclear };
  };
}

/** What buckets have of a snapshot. */
export function createQuotaLimits(context: CheckContext): QuotaLimits {
  const { snapshot, log } = context;
  const rules = snapshot.checks.filter(isAtRateLimit);
  const observing = rules.filter(({ policy }) => policy.mode !== "enforce");
  const enforced = finding(
    rules.filter(({ policy }) => policy.mode === "enforce"),
    context,
  );
  const observed = finding(observing, context);
  const guarded = <T>(bag: Bag, find: Find, read: (found: ReturnType<Find>) => T, otherwise: T): T => {
    try {
      return read(find(bag));
    } catch (error) {
      log.error({ code: "WEIR_INTERNAL", err: error }, "it could not be told which limits a bucket has");
      return otherwise;
    }
  };

  return {
    limitsOf: (bag) =>
      guarded<BucketLimits>(bag, enforced, ({ limits, isUnclear }) => (isUnclear ? "refused" : limits), "refused"),
    observedOf: observing.length === 0 ? undefined : (bag) => guarded(bag, observed, ({ limits }) => limits, []),
    isShared: (adapter) => snapshot.adapters.has(adapter) && context.callsOf(adapter).canApportion,
    // What was assigned by a limit of earlier policies may count in an adapter that a reload has taken away.
    apportion(adapter, stakes) {
      return this.isShared(adapter) ? context.callsOf(adapter).apportion(stakes) : new Failure("fault");
    },
  };
}
