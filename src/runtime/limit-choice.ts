import type { Bag } from "../attributes/bag.ts";
import { Fault } from "../attributes/fault.ts";
import type { LimitRule } from "../policy/snapshot.ts";
import type { Limit } from "../sdk/index.ts";
import type { CheckContext } from "./judgement.ts";
import { tellFault } from "./judgement.ts";
import { limitKeyPrefix } from "./limit-key.ts";

/**
 * A limit, and what its keys begin with. Two limits of one rule share their counts exactly where they count in the same
 * window: what was spent under one amount stays spent under the other.
 */
export interface KeyedLimit {
  readonly limit: Limit;
  readonly keyPrefix: string;
}

/** The limit that a request is charged to, where its rule has more than one. */
export type LimitChoice = (bag: Bag, context: Pick<CheckContext, "observer" | "log">) => KeyedLimit;

export function keyedLimit(rule: Pick<LimitRule, "by">, limit: Limit): KeyedLimit {
  const keyPrefix = limitKeyPrefix({ limit, by: rule.by });
  return { limit: { ...limit, keyPrefix }, keyPrefix };
}

/**
 * The choice among the overrides of a rule and its own limit: the first override whose `when` holds. Absence does not
 * hold. Where it cannot be said whether one holds, the least limit is taken of that one and those after it: nobody gets
 * a larger limit by garbage.
 */
export function chooseOverride(rule: LimitRule, own: KeyedLimit): LimitChoice | undefined {
  if (rule.overrides === undefined) return undefined;
  const overrides = rule.overrides.map(({ when, limit }) => ({ when: when.evaluate, ...keyedLimit(rule, limit) }));
  const least: KeyedLimit[] = [];
  let lesser = own;
  for (let i = overrides.length - 1; i >= 0; i--) {
    const override = overrides[i]!;
    lesser = isLess(override.limit, lesser.limit) ? override : lesser;
    least[i] = lesser;
  }
  return (bag, context) => {
    for (let i = 0; i < overrides.length; i++) {
      const override = overrides[i]!;
      const held = override.when(bag);
      if (held === true) return override;
      if (!(held instanceof Fault)) continue;
      tellFault(context, rule, "overrides", held);
      return least[i]!;
    }
    return own;
  };
}

/** Whether one lets less through than the other: by its rate, then by what it lets through at once. */
function isLess(one: Limit, other: Limit): boolean {
  const difference = one.amount / one.windowMs - other.amount / other.windowMs;
  return difference === 0 ? one.burst < other.burst : difference < 0;
}
