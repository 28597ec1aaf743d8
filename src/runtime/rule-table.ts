import type { Bag } from "../attributes/bag.ts";
import { Fault } from "../attributes/fault.ts";
import type { Snapshot } from "../policy/snapshot.ts";
import { type Applies, both, isRuledOut } from "./applies.ts";
import { ConditionTable } from "./condition-table.ts";
import { prepareRule, type PreparedRule, type Tables } from "./prepared-rule.ts";

/** What a byte of {@link RuleTable.traits} says: the rule's kind, and whether it is {@link RuleTable.isUsual}. */
export const traits = { deny: 0, ask: 1, headers: 2, limit: 3, kind: 3, usual: 4 } as const;

/**
 * The check rules of a snapshot by their ordinals. What every request looks at of each rule that may apply lies side by
 * side, and rules of a policy follow each other: of thousands of rules little is in the processor's caches, and each
 * object that is touched costs a miss.
 */
export class RuleTable {
  /** All that is known of each rule, for when it decides something. */
  readonly rules: readonly PreparedRule[];
  /** {@link traits} of each rule. */
  readonly traits: Uint8Array;
  /** For each rule the ordinal of the first rule of its policy. */
  readonly policies: Int32Array;
  /** `when` and `unless` of each rule. */
  readonly #conditions: ConditionTable;

  constructor(snapshot: Snapshot, tables: Tables) {
    const rules = snapshot.checks.map((rule) => prepareRule(rule, snapshot, tables));
    const firsts = new Map(rules.map(({ policy }, i) => [policy, i] as const).reverse());
    this.rules = rules;
    this.traits = Uint8Array.from(rules, ({ kind, enforced, cacheMs }) => {
      return traits[kind] | (enforced && cacheMs === undefined ? traits.usual : 0);
    });
    this.policies = Int32Array.from(rules, ({ policy }) => firsts.get(policy)!);
    this.#conditions = new ConditionTable(rules.flatMap(({ rule }) => [rule.when ?? always, rule.unless ?? never]));
  }

  /** Whether a rule takes part in a decision as most do: it is enforced, and has the defaults for how long that is valid. */
  isUsual(ordinal: number): boolean {
    return (this.traits[ordinal]! & traits.usual) !== 0;
  }

  /** The same as {@link applies} of the rule. */
  applies(ordinal: number, matched: Applies, bag: Bag): Applies {
    if (matched === false) return false;
    const held = both(matched, this.#conditions.evaluate(ordinal * 2, bag));
    return held instanceof Fault && isRuledOut(this.rules[ordinal]!.equalities, bag) ? false : held;
  }

  /** What `unless` of a rule gives; `false` where it has none. */
  unless(ordinal: number, bag: Bag): boolean | undefined | Fault {
    return this.#conditions.evaluate(ordinal * 2 + 1, bag);
  }
}

const always = { evaluate: () => true };
const never = { evaluate: () => false };
