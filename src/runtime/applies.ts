import type { Bag } from "../attributes/bag.ts";
import { Fault } from "../attributes/fault.ts";
import type { Observer } from "../util/observer.ts";
import type { PreparedRule } from "./prepared-rule.ts";

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
  if (matched === false) return false;
  let fault = matched === true ? undefined : matched;
  if (when !== undefined) {
    const held = when(bag);
    if (held instanceof Fault) fault ??= held;
    else if (held !== true) return false;
  }
  if (fault === undefined) return true;
  for (const { slot, value } of equalities) {
    const held = bag.get(slot);
    if (!(held instanceof Fault) && held !== value) return false;
  }
  return fault;
}

/** The `match` of a rule's policy. */
export function matches({ match }: PreparedRule, bag: Bag): Applies {
  if (match === undefined) return true;
  const held = match(bag);
  return held instanceof Fault ? held : held === true;
}

/** Whether `unless` excuses a request from a rule: only when it is true. One that fails does not excuse. */
export function excused({ unless, rule }: PreparedRule, bag: Bag, observer: Observer): boolean {
  if (unless === undefined) return false;
  const held = unless(bag);
  if (typeof held === "boolean") return held;
  observer.ruleFault(rule.id, "unless", held === undefined ? "absence" : "fault");
  return false;
}
