import type { Bag } from "../attributes/bag.ts";
import { Fault } from "../attributes/fault.ts";
import type { Equality } from "../expression/expression.ts";
import type { CheckRule } from "../policy/snapshot.ts";
import type { Observer } from "../util/observer.ts";
import type { Condition, PreparedRule } from "./prepared-rule.ts";

/** Whether a rule applies to a request; a fault when that cannot be said. */
export type Applies = boolean | Fault;

/**
 * Whether `match` and `when` of a rule both hold. Absence in either means that the rule does not apply.
 *
 * Where one of them is a fault, the rule does not apply if one of the equality tests that they begin with is false or
 * absent; else the fault is the answer. So the answer is the same whether the index left the rule out by such a test or
 * the rule was looked at.
 */
export function applies({ when, equalities }: PreparedRule, matched: Applies, bag: Bag): Applies {
  const held = holds(when, matched, bag);
  return held instanceof Fault && isRuledOut(equalities, bag) ? false : held;
}

/** Whether `match` and `when` both hold, and a fault where one is a fault and the other may hold. */
export function holds(when: Condition | undefined, matched: Applies, bag: Bag): Applies {
  return matched === false || when === undefined ? matched : both(matched, when(bag));
}

/** {@link holds} of what `match` and `when` gave. */
export function both(matched: true | Fault, held: boolean | undefined | Fault): Applies {
  if (held === true) return matched;
  if (!(held instanceof Fault)) return false;
  return matched === true ? held : matched;
}

/** Whether one of the tests is false or rests on an absent attribute. */
export function isRuledOut(equalities: readonly Equality[], bag: Bag): boolean {
  for (const { slot, value } of equalities) {
    const held = bag.get(slot);
    if (!(held instanceof Fault) && held !== value) return true;
  }
  return false;
}

/** The `match` of a rule's policy. */
export function matches({ match }: PreparedRule, bag: Bag): Applies {
  if (match === undefined) return true;
  const held = match(bag);
  return held instanceof Fault ? held : held === true;
}

/** Whether `unless` excuses a request from a rule. */
export function excused({ unless, rule }: PreparedRule, bag: Bag, observer: Observer): boolean {
  return unless !== undefined && isExcuse(unless(bag), rule, observer);
}

/** Whether what `unless` gave excuses a request: only when it is true. One that fails does not excuse. */
export function isExcuse(held: boolean | undefined | Fault, rule: CheckRule, observer: Observer): boolean {
  if (typeof held === "boolean") return held;
  observer.ruleFault(rule.id, "unless", held === undefined ? "absence" : "fault");
  return false;
}
