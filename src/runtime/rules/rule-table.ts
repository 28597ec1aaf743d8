import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { CheckRule, Policy, Snapshot } from "../../policy/snapshot.ts";
import { type Applies, both, isRuledOut } from "../applies.ts";
import { ConditionTable, conditionWidth, type Tested } from "./condition-table.ts";
import { Forms, type Shaped } from "./forms.ts";
import { prepareRule, type PreparedRule, type Tables } from "../prepared-rule.ts";
import type { RuleIndex } from "./rule-index.ts";

/**
 * What {@link RuleTable.traits} say: the rule's kind; whether it takes part in a decision as most do, being enforced and
 * with the defaults for how long that is valid; whether the `match` of its policy is known to hold where the index has
 * found the rule, see {@link RuleIndex.isMatch}; whether it then applies, having no `when`; whether it is the first rule of its policy in a list, limits not counted;
 * and whether conditions are there for its `when` and `unless`, which those of limits are not. Above that, how far its
 * ordinal is from that of the list's first rule.
 */
export const traits = {
  deny: 0,
  ask: 1,
  headers: 2,
  limit: 3,
  kind: 3,
  usual: 4,
  matched: 8,
  newPolicy: 16,
  certain: 32,
  when: 64,
  unless: 128,
  distanceShift: 8,
} as const;

/** Longer lists, such as those of all rules under a slot, are hardly like another one. */
const maxAlike = 256;

const none: Pick<CheckRule, "when" | "unless"> = {};

/**
 * The check rules of a snapshot as the lists in which the index finds them, each judged from its first rule to its last:
 * {@link RuleTable.open} it, and go on to the {@link RuleTable.next} rule while there is one.
 *
 * What every request looks at of a list's rules are numbers that lie side by side: the first rule's ordinal, and of each
 * rule its traits and its conditions.
 */
export class RuleTable {
  /** All that is known of each rule, by ordinal, for when it decides something. */
  readonly rules: readonly PreparedRule[];
  /** Of the rule that {@link RuleTable.next} has come to. */
  ordinal = 0;
  traits = 0;
  readonly #conditions: ConditionTable;
  readonly #forms: Forms;
  #first = 0;
  /** Where the conditions of the current rule stand, and the next rule. */
  #when = 0;
  #unless = 0;
  #next = 0;

  /** `index` is what finds the rules of this table. */
  constructor(snapshot: Snapshot, tables: Tables, index: RuleIndex) {
    this.rules = snapshot.checks.map((rule) => prepareRule(rule, snapshot, tables));
    const conditions = snapshot.checks.flatMap(({ kind, when, unless }) =>
      kind === "limit" ? [] : [when ?? [], unless ?? []].flat(),
    );
    const numbers = new Map<Tested, readonly number[]>();
    this.#conditions = new ConditionTable(conditions, numbers);
    this.#forms = new Forms(index.lists.map((ordinals) => this.#shaped(ordinals, index, numbers)));
  }

  /** The rules of each list of the index that apply whenever it is found without a {@link RuleIndex.metFault}. */
  certain(lists: readonly (readonly number[])[]): readonly (readonly number[])[] {
    return lists.map((_, list) => {
      const certain: number[] = [];
      this.open(list);
      while (this.next()) if ((this.traits & traits.certain) !== 0) certain.push(this.ordinal);
      return certain;
    });
  }

  /** Begins a list of the index. */
  open(list: number): void {
    const forms = this.#forms;
    const begin = forms.lay(list);
    this.#first = forms.numbers[begin]!;
    this.#next = begin + 1;
  }

  /** Goes to the list's next rule; `false` when there is none. */
  next(): boolean {
    const forms = this.#forms;
    let at = this.#next;
    if (at >= forms.end) return false;
    const what = forms.numbers[at]!;
    this.traits = what;
    this.ordinal = this.#first + (what >>> traits.distanceShift);
    this.#when = ++at;
    if ((what & traits.when) !== 0) at += conditionWidth;
    this.#unless = at;
    if ((what & traits.unless) !== 0) at += conditionWidth;
    this.#next = at;
    return true;
  }

  /** The same as {@link applies} of the rule. */
  applies(matched: Applies, bag: Bag): Applies {
    if (matched === false) return false;
    const held =
      (this.traits & traits.when) === 0
        ? matched
        : both(matched, this.#conditions.evaluate(this.#forms.numbers, this.#when, bag));
    return held instanceof Fault && isRuledOut(this.rules[this.ordinal]!.equalities, bag) ? false : held;
  }

  /** What `unless` of the rule gives; `false` where it has none. */
  unless(bag: Bag): boolean | undefined | Fault {
    if ((this.traits & traits.unless) === 0) return false;
    return this.#conditions.evaluate(this.#forms.numbers, this.#unless, bag);
  }

  #shaped(ordinals: readonly number[], index: RuleIndex, conditions: ReadonlyMap<Tested, readonly number[]>): Shaped {
    const [first = 0] = ordinals;
    const numbers = [first];
    const shape: number[] = [];
    let before: Policy | undefined;
    for (const ordinal of ordinals) {
      const { rule, kind, enforced, cacheMs, policy } = this.rules[ordinal]!;
      const { when, unless } = kind === "limit" ? none : rule;
      const isMatched = policy.match === undefined || index.isMatch(ordinal);
      const what =
        traits[kind] |
        (enforced && cacheMs === undefined ? traits.usual : 0) |
        (isMatched ? traits.matched : 0) |
        (isMatched && kind !== "limit" && when === undefined ? traits.certain : 0) |
        (policy === before ? 0 : traits.newPolicy) |
        (when === undefined ? 0 : traits.when) |
        (unless === undefined ? 0 : traits.unless) |
        ((ordinal - first) << traits.distanceShift);
      if (kind !== "limit") before = policy;
      numbers.push(what);
      shape.push(what);
      for (const condition of [when, unless]) {
        if (condition === undefined) continue;
        const described = conditions.get(condition)!;
        numbers.push(...described);
        shape.push(described[0]!, described[2]!);
      }
    }
    return { shape: ordinals.length > maxAlike ? `${ordinals.length} from ${first} on` : shape.join(), numbers };
  }
}
