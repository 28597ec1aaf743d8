import type { Bag } from "../attributes/bag.ts";
import { Fault } from "../attributes/fault.ts";
import type { Equality } from "../expression/expression.ts";
import type { CheckRule } from "../policy/snapshot.ts";

/** Tests of a slot against a text, one of which must hold for each rule that stands under it. */
interface SlotIndex {
  readonly slot: number;
  /** Where the list of a text's rules begins in {@link RuleIndex.#lists}. */
  readonly byValue: ReadonlyMap<string, number>;
  /** Where the list of all its rules begins. */
  readonly all: number;
}

/**
 * Finds the rules that may apply to a request by the equality tests that they begin with, so that what a request costs
 * does not grow with rules for other services.
 *
 * A rule is left out only when one of its tests is false, or rests on an absent attribute: in both cases the rule does
 * not apply, whatever else it says. Where the attribute is a fault, every rule that rests on it is a candidate.
 */
export class RuleIndex {
  /**
   * Lists of rules in one block. Each is how many there are and then their ordinals; or, where those follow each other as
   * those of a policy do, minus how many there are and then the first.
   */
  readonly #lists: Int32Array;
  /** Rules without an equality test: the first list. */
  static readonly #always = 0;
  readonly #slots: readonly SlotIndex[];
  /** For each rule, whether the `match` of its policy is nothing but the test that the rule stands under. */
  readonly #isMatch: Uint8Array;
  /** Whether the last call of {@link RuleIndex.find} came upon a fault, for which rules are found that may not match. */
  metFault = false;
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
    const lists: number[] = [];
    const listed = (ordinals: readonly number[]): number => {
      const start = lists.length;
      const count = ordinals.length;
      if (count > 0 && ordinals.every((ordinal, i) => ordinal === ordinals[0]! + i)) lists.push(-count, ordinals[0]!);
      else {
        lists.push(count);
        for (const ordinal of ordinals) lists.push(ordinal);
      }
      return start;
    };
    listed(always);
    this.#slots = [...slots]
      .sort(([a], [b]) => a - b)
      .map(([slot, byValue]) => ({
        slot,
        byValue: new Map([...byValue].map(([value, ordinals]) => [value, listed(ordinals)])),
        all: listed([...byValue.values()].flat().sort((a, b) => a - b)),
      }));
    this.#lists = Int32Array.from(lists);
    this.#found = new Int32Array(rules.length);
    this.#spare = new Int32Array(rules.length);
  }

  /** The ordinals that the last call of {@link RuleIndex.find} has found, in ascending order, from 0 up to its answer. */
  get found(): Int32Array {
    return this.#found;
  }

  /** Looks up the rules that may apply and answers how many there are. The slots that were looked at count as read. */
  find(bag: Bag): number {
    this.metFault = false;
    let count = this.#add(0, RuleIndex.#always);
    for (const { slot, byValue, all } of this.#slots) {
      const value = bag.get(slot);
      if (value === undefined) continue;
      const isFault = value instanceof Fault;
      if (isFault) this.metFault = true;
      const list = isFault ? all : byValue.get(value as string);
      if (list !== undefined) count = this.#add(count, list);
    }
    return count;
  }

  /**
   * Whether the `match` of a rule's policy is nothing but the test that the rule stands under: where that is found without
   * a {@link RuleIndex.metFault}, it is known to hold.
   */
  isMatch(ordinal: number): boolean {
    return this.#isMatch[ordinal] === 1;
  }

  /** Merges a list into what was found, of which there is `count`, and answers how much there is now. */
  #add(count: number, list: number): number {
    const lists = this.#lists;
    const from = this.#found;
    const size = lists[list]!;
    if (size < 0) return this.#addRun(count, lists[list + 1]!, -size);
    let at = list + 1;
    const end = at + size;
    let n = 0;
    if (count === 0) {
      while (at < end) from[n++] = lists[at++]!;
      return n;
    }
    const into = this.#spare;
    let i = 0;
    while (i < count && at < end) into[n++] = from[i]! < lists[at]! ? from[i++]! : lists[at++]!;
    while (i < count) into[n++] = from[i++]!;
    while (at < end) into[n++] = lists[at++]!;
    this.#found = into;
    this.#spare = from;
    return n;
  }

  /** The same for ordinals that follow each other. */
  #addRun(count: number, first: number, size: number): number {
    const from = this.#found;
    let n = 0;
    if (count === 0) {
      while (n < size) from[n] = first + n++;
      return n;
    }
    const into = this.#spare;
    const end = first + size;
    let i = 0;
    while (i < count && from[i]! < first) into[n++] = from[i++]!;
    for (let ordinal = first; ordinal < end; ordinal++) into[n++] = ordinal;
    while (i < count) into[n++] = from[i++]!;
    this.#found = into;
    this.#spare = from;
    return n;
  }
}

/** The equality tests that must all hold for a rule to apply. */
export function equalitiesOf(rule: CheckRule): readonly Equality[] {
  return [...(rule.policy.match?.equalities ?? []), ...(rule.when?.equalities ?? [])];
}
