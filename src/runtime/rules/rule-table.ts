import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { CheckRule, Policy, Snapshot } from "../../policy/snapshot.ts";
import { type Applies, both as and, isRuledOut } from "../applies.ts";
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

// What a module has for itself is a constant to V8, what it exports or imports is read each time.
const { when: hasWhen, unless: hasUnless, certain: isCertain, distanceShift } = traits;
const width = conditionWidth;

/**
 * The check rules of a snapshot as the lists in which the index finds them, each judged from its first rule to its last:
 * {@link RuleTable.open} one and walk over {@link RuleTable.numbers} from what that answers to {@link RuleTable.end}.
 *
 * What every request looks at of a list's rules are these numbers, which lie side by side: of each rule its
 * {@link traits} and its conditions, `when` first.
 */
export class RuleTable {
  /** All that is known of each rule, by ordinal, for when it decides something. */
  readonly rules: readonly PreparedRule[];
  readonly numbers: Int32Array;
  /** The ordinal of the first rule of the list that was opened, and where the numbers of its rules end. */
  first = 0;
  end = 0;
  readonly #conditions: ConditionTable;
  readonly #forms: Forms;

  /** `index` is what finds the rules of this table. */
  constructor(snapshot: Snapshot, tables: Tables, index: RuleIndex) {
    this.rules = snapshot.checks.map((rule) => prepareRule(rule, snapshot, tables));
    const numbers = new Map<Tested, readonly number[]>();
    const conditions = this.rules.flatMap(conditionsOf);
    this.#conditions = new ConditionTable(conditions, numbers, this.#shared(index));
    this.#forms = new Forms(index.lists.map((ordinals) => this.#shaped(ordinals, index, numbers)));
    this.numbers = this.#forms.numbers;
  }

  /** The rules of each list of the index that apply whenever it is found without a {@link RuleIndex.metFault}. */
  certain(lists: readonly (readonly number[])[]): readonly (readonly number[])[] {
    return lists.map((_, list) => {
      const certain: number[] = [];
      for (let at = this.open(list); at < this.end; at = behindRule(this.numbers, at)) {
        const what = this.numbers[at]!;
        if ((what & isCertain) !== 0) certain.push(this.first + (what >>> distanceShift));
      }
      return certain;
    });
  }

  /** To be called before a request is judged: what conditions gave is remembered for one request. */
  begin(): void {
    this.#conditions.begin();
  }

  /** Begins a list of the index, and answers where the numbers of its first rule begin. */
  open(list: number): number {
    const forms = this.#forms;
    const begin = forms.lay(list);
    this.first = forms.numbers[begin]!;
    this.end = forms.end;
    return begin + 1;
  }

  /** The same as {@link applies} of the rule with this ordinal, whose `when` stands at `when` if it has one. */
  applies(matched: true | Fault, what: number, ordinal: number, when: number, bag: Bag): Applies {
    if ((what & hasWhen) === 0) {
      if (matched === true) return true;
      return isRuledOut(this.rules[ordinal]!.equalities, bag) ? false : matched;
    }
    const held = this.#conditions.evaluate(this.numbers, when, bag);
    if (held === false) return false;
    const both = and(matched, held);
    return both instanceof Fault && isRuledOut(this.rules[ordinal]!.equalities, bag) ? false : both;
  }

  /** What the `unless` that stands at `unless` gives. */
  unless(unless: number, bag: Bag): boolean | undefined | Fault {
    return this.#conditions.evaluate(this.numbers, unless, bag);
  }

  /** The conditions that one request may come to more than once. */
  #shared({ lists, ofFaults }: RuleIndex): ReadonlySet<Tested> {
    const shared = new Set<Tested>();
    const ofAll = new Set<Tested>();
    for (const [list, ordinals] of lists.entries()) {
      if (ofFaults.has(list)) continue;
      const met = list === 0 ? ofAll : new Set<Tested>();
      for (const ordinal of ordinals) {
        for (const condition of conditionsOf(this.rules[ordinal]!)) {
          if (met.has(condition) || ofAll.has(condition)) shared.add(condition);
          met.add(condition);
        }
      }
    }
    return shared;
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

/** Where the numbers of the next rule begin. */
function behindRule(numbers: Int32Array, at: number): number {
  const what = numbers[at]!;
  return at + 1 + ((what & hasWhen) === 0 ? 0 : width) + ((what & hasUnless) === 0 ? 0 : width);
}

/** The conditions of a rule that stand in the table. */
function conditionsOf({ kind, rule }: PreparedRule): readonly Tested[] {
  const { when, unless } = kind === "limit" ? none : rule;
  return [when ?? [], unless ?? []].flat();
}
