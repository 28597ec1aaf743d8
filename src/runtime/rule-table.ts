import type { Bag } from "../attributes/bag.ts";
import { Fault } from "../attributes/fault.ts";
import type { Snapshot } from "../policy/snapshot.ts";
import { type Applies, both, isRuledOut } from "./applies.ts";
import { ConditionTable } from "./condition-table.ts";
import { prepareRule, type PreparedRule, type Tables } from "./prepared-rule.ts";
import type { RuleIndex } from "./rule-index.ts";

/**
 * What {@link RuleTable.traits} say: the rule's kind; whether it takes part in a decision as most do, being enforced and
 * with the defaults for how long that is valid; whether the `match` of its policy is known to hold where the index has
 * found the rule, see {@link RuleIndex.isMatch}; and above that, the ordinal of the first rule of its policy.
 */
export const traits = { deny: 0, ask: 1, headers: 2, limit: 3, kind: 3, usual: 4, matched: 8, policyShift: 4 } as const;

/** Each rule has three numbers: its traits, and where its `when` and `unless` stand, or -1 where it has none. */
const width = 3;

/**
 * The check rules of a snapshot by their ordinals. What every request looks at of each rule that may apply lies side by
 * side, and rules of a policy follow each other: of thousands of rules little is in the processor's caches, and each
 * object that is touched costs a miss.
 */
export class RuleTable {
  /** All that is known of each rule, for when it decides something. */
  readonly rules: readonly PreparedRule[];
  readonly #numbers: Int32Array;
  readonly #conditions: ConditionTable;

  /** `index` is what finds the rules of this table. */
  constructor(snapshot: Snapshot, tables: Tables, index: RuleIndex) {
    const rules = snapshot.checks.map((rule) => prepareRule(rule, snapshot, tables));
    const firsts = new Map(rules.map(({ policy }, i) => [policy, i] as const).reverse());
    const conditions = snapshot.checks.flatMap(({ when, unless }) => [when ?? [], unless ?? []].flat());
    const table = new ConditionTable(conditions);
    this.rules = rules;
    this.#conditions = table;
    this.#numbers = Int32Array.from(
      rules.flatMap(({ rule: { when, unless }, kind, enforced, cacheMs, policy }, ordinal) => [
        traits[kind] |
          (enforced && cacheMs === undefined ? traits.usual : 0) |
          (index.isMatch(ordinal) ? traits.matched : 0) |
          (firsts.get(policy)! << traits.policyShift),
        when === undefined ? -1 : table.placeOf(when),
        unless === undefined ? -1 : table.placeOf(unless),
      ]),
    );
  }

  /** The {@link traits} of a rule. */
  traits(ordinal: number): number {
    return this.#numbers[ordinal * width]!;
  }

  /** The same as {@link applies} of the rule. */
  applies(ordinal: number, matched: Applies, bag: Bag): Applies {
    if (matched === false) return false;
    const when = this.#numbers[ordinal * width + 1]!;
    const held = when < 0 ? matched : both(matched, this.#conditions.evaluate(when, bag));
    return held instanceof Fault && isRuledOut(this.rules[ordinal]!.equalities, bag) ? false : held;
  }

  /** What `unless` of a rule gives; `false` where it has none. */
  unless(ordinal: number, bag: Bag): boolean | undefined | Fault {
    const unless = this.#numbers[ordinal * width + 2]!;
    return unless < 0 ? false : this.#conditions.evaluate(unless, bag);
  }
}
