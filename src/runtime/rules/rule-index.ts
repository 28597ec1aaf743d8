import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { Layout } from "../../attributes/layout.ts";
import type { Equality } from "../../expression/expression.ts";
import type { CheckRule } from "../../policy/snapshot.ts";
import { ownText } from "../../util/own-texts.ts";

/** Tests of a slot against a text, one of which must hold for each rule that stands under it. */
interface SlotIndex {
  readonly slot: number;
  /** The list of each text's rules, by its place in {@link RuleIndex.lists}. */
  readonly byValue: ReadonlyMap<string, number>;
  /** The same by the number of the text in the layout, where it has one; -1 for a text that no rule stands under. */
  readonly byNumber: Int32Array;
  /** The list of all its rules. */
  readonly all: number;
}

const none: readonly never[] = [];

/**
 * Finds the rules that may apply to a request by the equality tests that they begin with, so that what a request costs
 * does not grow with rules for other services.
 *
 * A rule is left out only when one of its tests is false, or rests on an absent attribute: in both cases the rule does
 * not apply, whatever else it says. Where the attribute is a fault, every rule that rests on it is a candidate.
 */
export class RuleIndex {
  /** The ordinals of rules, ascending, in the lists in which they are found. First those that have no equality test. */
  readonly lists: readonly (readonly number[])[];
  /** The lists that are found only with a {@link RuleIndex.metFault}. */
  readonly ofFaults: ReadonlySet<number>;
  readonly #slots: readonly SlotIndex[];
  /** For each rule, whether the `match` of its policy is nothing but the test that the rule stands under. */
  readonly #isMatch: Uint8Array;
  /** Whether the last call of {@link RuleIndex.find} came upon a fault, for which rules are found that may not match. */
  metFault = false;
  /** What the last call of {@link RuleIndex.find} has found, from 0 up to its answer: places in {@link RuleIndex.lists}. */
  readonly found: Int32Array;

  /** `layout` is that of the bags. */
  constructor(rules: readonly CheckRule[], { numbered }: Layout) {
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
    this.#isMatch = new Uint8Array(rules.reduce((most, { ordinal }) => Math.max(most, ordinal + 1), 0));
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
      const { match } = rule.policy;
      if (match?.equalitiesOnly === true && match.equalities.length === 1 && match.equalities[0] === best)
        this.#isMatch[rule.ordinal] = 1;
      const ordinals = byValue.get(best.value);
      if (ordinals === undefined) byValue.set(best.value, [rule.ordinal]);
      else ordinals.push(rule.ordinal);
    }
    const lists: number[][] = [always];
    this.lists = lists;
    this.#slots = [...slots]
      .sort(([a], [b]) => a - b)
      .map(([slot, ordinals]) => {
        const all = lists.push([...ordinals.values()].flat().sort((a, b) => a - b)) - 1;
        // Copies that are made one after the other lie side by side, so that looking them up brings less memory.
        const byValue = new Map([...ordinals].map(([value, own]) => [ownText(value), lists.push(own) - 1]));
        const texts = numbered?.slot === slot ? numbered.texts : none;
        return { slot, byValue, byNumber: Int32Array.from(texts, (text) => byValue.get(text) ?? -1), all };
      });
    this.ofFaults = new Set(this.#slots.map(({ all }) => all));
    this.found = new Int32Array(1 + this.#slots.length);
  }

  /**
   * Looks up the lists of rules that may apply, none of which is empty, and answers how many there are. No rule is in two
   * of them. The slots that were looked at count as read.
   */
  find(bag: Bag): number {
    this.metFault = false;
    const { found } = this;
    let count = 0;
    if (this.lists[0]!.length > 0) found[count++] = 0;
    for (const { slot, byValue, byNumber, all } of this.#slots) {
      const number = bag.getNumber(slot);
      if (number >= 0) {
        const list = byNumber[number]!;
        if (list >= 0) found[count++] = list;
        continue;
      }
      const value = bag.get(slot);
      if (value === undefined) continue;
      const isFault = value instanceof Fault;
      if (isFault) this.metFault = true;
      const list = isFault ? all : byValue.get(value as string);
      if (list !== undefined) found[count++] = list;
    }
    return count;
  }

  /** The ordinals of all rules that may apply, ascending. The slots that were looked at count as read. */
  rules(bag: Bag): readonly number[] {
    const count = this.find(bag);
    let rules: readonly number[] = count === 0 ? none : this.lists[this.found[0]!]!;
    for (let i = 1; i < count; i++) rules = merged(rules, this.lists[this.found[i]!]!);
    return rules;
  }

  /**
   * Whether the `match` of a rule's policy is nothing but the test that the rule stands under: where that is found without
   * a {@link RuleIndex.metFault}, it is known to hold.
   */
  isMatch(ordinal: number): boolean {
    return this.#isMatch[ordinal] === 1;
  }
}

function merged(a: readonly number[], b: readonly number[]): readonly number[] {
  const both: number[] = [];
  let i = 0;
  let k = 0;
  while (i < a.length && k < b.length) both.push(a[i]! < b[k]! ? a[i++]! : b[k++]!);
  while (i < a.length) both.push(a[i++]!);
  while (k < b.length) both.push(b[k++]!);
  return both;
}

/** The equality tests that must all hold for a rule to apply. */
export function equalitiesOf(rule: CheckRule): readonly Equality[] {
  return [...(rule.policy.match?.equalities ?? []), ...(rule.when?.equalities ?? [])];
}
