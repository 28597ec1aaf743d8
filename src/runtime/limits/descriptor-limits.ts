import type { Bag } from "../../attributes/bag.ts";
import { completionOf } from "../../attributes/derived.ts";
import type { Layout } from "../../attributes/layout.ts";
import type { CheckRule, LimitRule } from "../../policy/snapshot.ts";
import type { CheckContext } from "../judgement.ts";
import { prepareRule, type PreparedRule } from "../prepared-rule.ts";
import { RuleIndex } from "../rules/rule-index.ts";

interface DescriptorLimit {
  readonly prepared: PreparedRule;
  /** Slots that `match`, `when` and `by` read without a test for their absence. */
  readonly needs: Int32Array;
}

const nothing: readonly never[] = [];

/**
 * Limits of the rate limit doors. One of them may apply to a descriptor only where everything is there that its `match`,
 * `when` and `by` read.
 */
export class DescriptorLimits {
  /** What the last call of {@link DescriptorLimits.find} has found, in the order of the rules, from 0 up to its answer. */
  readonly found: PreparedRule[] = [];
  readonly #index: RuleIndex;
  /** By the ordinals of their rules. */
  readonly #limits = new Map<number, DescriptorLimit>();
  readonly #complete: ((bag: Bag) => void) | undefined;

  constructor(
    rules: readonly LimitRule[],
    { snapshot, tables, produce }: Pick<CheckContext, "snapshot" | "tables" | "produce">,
  ) {
    this.#index = new RuleIndex(rules, snapshot.layout);
    for (const rule of rules) {
      const needs = needsOf(rule, snapshot.layout);
      this.#limits.set(rule.ordinal, { prepared: prepareRule(rule, snapshot, tables), needs });
    }
    this.#complete = completionOf(snapshot.layout, produce);
  }

  /** Completes the bag, looks up the limits that may apply to it, and answers how many there are. */
  find(bag: Bag): number {
    this.#complete?.(bag);
    const ordinals = this.#index.rules(bag);
    let count = 0;
    for (let i = 0; i < ordinals.length; i++) {
      const { prepared, needs } = this.#limits.get(ordinals[i]!)!;
      if (isThere(bag, needs)) this.found[count++] = prepared;
    }
    return count;
  }
}

export function isAtRateLimit(rule: CheckRule): rule is LimitRule {
  return rule.kind === "limit" && rule.at === "ratelimit";
}

/** The slots that must hold something for a limit to apply. What an expression tests with `has()` may be absent. */
function needsOf({ policy, when, by }: LimitRule, layout: Layout): Int32Array {
  const needs = new Set<number>();
  for (const expression of [policy.match, when, ...by.map(({ value }) => value)]) {
    for (const { name, key, guarded } of expression?.uses ?? nothing) {
      const slot = key === undefined ? layout.find(name) : layout.keysOf(name)?.get(key);
      if (!guarded && slot !== undefined) needs.add(slot);
    }
  }
  return Int32Array.from(needs);
}

function isThere(bag: Bag, slots: Int32Array): boolean {
  for (let i = 0; i < slots.length; i++) if (bag.peek(slots[i]!) === undefined) return false;
  return true;
}
