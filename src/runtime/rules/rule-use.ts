import type { CheckRule } from "../../policy/snapshot.ts";
import type { Wish } from "../limits/charging.ts";
import { Failure } from "../failure.ts";

const counted = ["applied", "granted", "refused"] as const;

/** How often the check rules of one snapshot were used, by their ordinals: to count is to add to a number in an array. */
export class RuleUse {
  readonly rules: readonly CheckRule[];
  /**
   * Requests, or descriptors, that a rule applied to: nothing says that `match` or `when` does not hold. Those of
   * {@link RuleUse.together} come on top of it.
   */
  readonly applied: Float64Array;
  /** How often each of some lists of rules applied, whole: see {@link RuleUse.countTogether}. */
  together = new Float64Array(0);
  /** The rules of those lists, by ordinals. */
  #lists: readonly (readonly number[])[] = [];
  /** Of limits: units that were granted. */
  readonly granted: Float64Array;
  /** Of limits: units that were wanted and not granted, since the limit was used up. */
  readonly refused: Float64Array;

  constructor(rules: readonly CheckRule[]) {
    this.rules = rules;
    this.applied = new Float64Array(rules.length);
    this.granted = new Float64Array(rules.length);
    this.refused = new Float64Array(rules.length);
  }

  /** Says which rules apply together: for all of a list one number is added to. */
  countTogether(lists: readonly (readonly number[])[]): void {
    this.together = new Float64Array(lists.length);
    this.#lists = lists;
  }

  /** What was counted of each rule, by ordinals. */
  counts(what: (typeof counted)[number]): Float64Array {
    if (what !== "applied") return this[what];
    const applied = this.applied.slice();
    for (const [i, list] of this.#lists.entries()) {
      const together = this.together[i]!;
      if (together > 0) for (const ordinal of list) applied[ordinal]! += together;
    }
    return applied;
  }

  /** Counts what charges took, once their answers are final. What was given back at once was never taken. */
  charged(wishes: readonly Wish[]): void {
    for (let i = 0; i < wishes.length; i++) {
      const { rule, charge, answer } = wishes[i]!;
      if (answer === undefined || answer instanceof Failure || answer.repeated === true) continue;
      const { allowed, granted } = answer;
      if (allowed) this.granted[rule.ordinal]! += granted;
      // An answer that allows and grants nothing was given back, because another limit refused.
      if (!allowed) this.refused[rule.ordinal]! += charge.amount;
      else if (charge.bestEffort && granted > 0) this.refused[rule.ordinal]! += charge.amount - granted;
    }
  }
}

/** What is counted of one rule. */
export interface RuleTotals {
  readonly rule: CheckRule;
  readonly applied: number;
  readonly granted: number;
  readonly refused: number;
}

/** The counts of rules over reloads: a rule that stays goes on counting. */
export class RuleUses {
  /** Those that serve, or on which there are requests still; the last one serves. */
  readonly #alive: RuleUse[] = [];
  /** What was counted on snapshots that are over, of rules that are there still. */
  readonly #past = new Map<string, Record<(typeof counted)[number], number>>();

  /** A snapshot serves from now on. */
  begin(use: RuleUse): void {
    this.#alive.push(use);
    const known = new Set(use.rules.map(({ id }) => id));
    for (const id of this.#past.keys()) if (!known.has(id)) this.#past.delete(id);
  }

  /** The last request of a snapshot is over. */
  end(use: RuleUse): void {
    this.#alive.splice(this.#alive.indexOf(use), 1);
    const known = new Set(this.#alive.at(-1)?.rules.map(({ id }) => id));
    for (const count of counted) {
      const counts = use.counts(count);
      for (const { id, ordinal } of use.rules) {
        if (!known.has(id)) continue;
        const past = this.#past.get(id) ?? { applied: 0, granted: 0, refused: 0 };
        past[count] += counts[ordinal]!;
        this.#past.set(id, past);
      }
    }
  }

  /** Of each check rule that serves. */
  *totals(): Generator<RuleTotals> {
    const use = this.#alive.at(-1);
    if (use === undefined) return;
    const older = this.#alive.slice(0, -1).map((before) => ({
      before: countsOf(before),
      ordinals: new Map(before.rules.map(({ id, ordinal }) => [id, ordinal])),
    }));
    const now = countsOf(use);
    for (const rule of use.rules) {
      const totals = { rule, applied: 0, granted: 0, refused: 0 };
      for (const count of counted) {
        totals[count] = now[count][rule.ordinal]! + (this.#past.get(rule.id)?.[count] ?? 0);
        for (const { before, ordinals } of older) totals[count] += before[count][ordinals.get(rule.id) ?? -1] ?? 0;
      }
      yield totals;
    }
  }
}

function countsOf(use: RuleUse): Readonly<Record<(typeof counted)[number], Float64Array>> {
  return { applied: use.counts("applied"), granted: use.counts("granted"), refused: use.counts("refused") };
}
