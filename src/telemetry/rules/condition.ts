import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { Expression } from "../../expression/expression.ts";
import type { ReportRule } from "../../policy/snapshot.ts";
import type { Observer } from "../../util/observer.ts";

/**
 * Whether a record is for a report rule.
 *
 * - `match` or `when` that is absent or fails: the rule does not apply.
 * - `unless` that is absent or fails: it does not excuse; the rule applies, so that nothing goes unseen because of it.
 *
 * Faults are counted per rule, and so is absence in `unless`. Absence in `match` and `when` is what other traffic looks
 * like, and is not. That a policy only observes is a matter of its checks: its report rules record as those of any other.
 */
export class Condition {
  readonly #when: Expression<boolean> | undefined;
  readonly #unless: Expression<boolean> | undefined;
  readonly #rules: readonly string[];
  readonly #observer: Observer;

  constructor(rules: readonly ReportRule[], observer: Observer) {
    this.#when = rules[0]?.when;
    this.#unless = rules[0]?.unless;
    this.#rules = rules.map((rule) => rule.id);
    this.#observer = observer;
  }

  applies(bag: Bag): boolean {
    if (this.#when !== undefined) {
      const value = this.#when.evaluate(bag);
      if (value !== true) {
        if (value instanceof Fault) this.count("when", "fault");
        return false;
      }
    }
    if (this.#unless !== undefined) {
      const value = this.#unless.evaluate(bag);
      if (value === true) return false;
      if (value !== false) this.count("unless", value === undefined ? "absence" : "fault");
    }
    return true;
  }

  /** Counts a failure of one part for each of the rules. */
  count(part: string, kind: "absence" | "fault"): void {
    for (const rule of this.#rules) this.#observer.ruleFault(rule, part, kind);
  }
}
