import type { Bag } from "../attributes/bag.ts";
import { Fault } from "../attributes/fault.ts";
import type { Equality } from "../expression/expression.ts";
import type { CheckRule } from "../policy/snapshot.ts";

/** Tests of a slot against a text, one of which must hold for each rule that stands under it. */
interface SlotIndex {
  readonly slot: number;
  readonly byValue: ReadonlyMap<string, Int32Array>;
  readonly all: Int32Array;
}

/**
 * Finds the rules that may apply to a request by the equality tests that they begin with, so that what a request costs
 * does not grow with rules for other services.
 *
 * A rule is left out only when one of its tests is false, or rests on an absent attribute: in both cases the rule does
 * not apply, whatever else it says. Where the attribute is a fault, every rule that rests on it is a candidate.
 */
export class RuleIndex {
  /** Rules without an equality test. */
  readonly #always: Int32Array;
  readonly #slots: readonly SlotIndex[];
  #found: Int32Array;
  #spare: Int32Array;

  constructor(rules: readonly CheckRule[]) {
    const values = new Map<number, Set<string>>();
    for (const rule of rules) {
      for (const { slot, value } of equalitiesOf(rule)) {
        let known = values.get(slot);
        if (known === undefined) values.set(slot, (known = new Set()));
        known.add(value);
      }
    }
    // A rule with several tests stands under the slot that tells the most rules apart.
    const weight = (slot: number): number => values.get(slot)!.size;
    const always: number[] = [];
    const slots = new Map<number, Map<string, number[]>>();
    for (const rule of rules) {
      let best: Equality | undefined;
      for (const equality of equalitiesOf(rule)) {
        if (best === undefined || weight(equality.slot) > weight(best.slot)) best = equality;
      }
      if (best === undefined) {
        always.push(rule.ordinal);
        continue;
      }
      let byValue = slots.get(best.slot);
      if (byValue === undefined) slots.set(best.slot, (byValue = new Map()));
      const ordinals = byValue.get(best.value);
      if (ordinals === undefined) byValue.set(best.value, [rule.ordinal]);
      else ordinals.push(rule.ordinal);
    }
    this.#always = Int32Array.from(always);
    this.#slots = [...slots]
      .sort(([a], [b]) => a - b)
      .map(([slot, byValue]) => ({
        slot,
        byValue: new Map([...byValue].map(([value, ordinals]) => [value, Int32Array.from(ordinals)])),
        all: Int32Array.from([...byValue.values()].flat()).sort(),
      }));
    this.#found = new Int32Array(rules.length);
    this.#spare = new Int32Array(rules.length);
  }

  /** The ordinals that the last call of {@link RuleIndex.find} has found, in ascending order, from 0 up to its answer. */
  get found(): Int32Array {
    return this.#found;
  }

  /** Looks up the rules that may apply and answers how many there are. The slots that were looked at count as read. */
  find(bag: Bag): number {
    this.#found.set(this.#always);
    let count = this.#always.length;
    for (const { slot, byValue, all } of this.#slots) {
      const value = bag.get(slot);
      if (value === undefined) continue;
      const more = value instanceof Fault ? all : byValue.get(value as string);
      if (more !== undefined) count = this.#merge(count, more);
    }
    return count;
  }

  #merge(count: number, more: Int32Array): number {
    const from = this.#found;
    if (count === 0) {
      from.set(more);
      return more.length;
    }
    const into = this.#spare;
    let i = 0;
    let j = 0;
    let n = 0;
    while (i < count && j < more.length) into[n++] = from[i]! < more[j]! ? from[i++]! : more[j++]!;
    while (i < count) into[n++] = from[i++]!;
    while (j < more.length) into[n++] = more[j++]!;
    this.#found = into;
    this.#spare = from;
    return n;
  }
}

/** The equality tests that must all hold for a rule to apply. */
export function equalitiesOf(rule: CheckRule): readonly Equality[] {
  return [...(rule.policy.match?.equalities ?? []), ...(rule.when?.equalities ?? [])];
}
