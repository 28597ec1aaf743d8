import { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { Expression } from "../../expression/expression.ts";
import type { CheckRule, Policy, ReportRule, Snapshot } from "../../policy/snapshot.ts";
import { copyBag } from "./attributes.ts";
import type { Outcome } from "./outcome.ts";
import type { Step } from "./test-file.ts";

/** A rule, or a policy whose rules were passed over together, and why it did or did not act. */
export interface Tried {
  /** `policy/rule`, or the policy's name alone. */
  readonly name: string;
  /** Whether the request came as far as to be judged by the rule: `match` and `when` held. */
  readonly reached: boolean;
  /** What became of it, in a few words. */
  readonly verdict: string;
  /** The expression or the fact that made it so. */
  readonly why?: string;
}

type Test =
  | { readonly holds: true }
  | { readonly holds: false; readonly source: string; readonly absent?: readonly string[]; readonly fault?: string };

/**
 * Tells, for every rule that a step concerns, what it made of the request, those that were reached first. Conditions are evaluated anew, on a copy of
 * the attributes; what came of a rule that applied is taken from the outcome.
 */
export function trace(snapshot: Snapshot, step: Pick<Step, "kind" | "asked">, bag: Bag, outcome: Outcome): Tried[] {
  const copy = copyBag(bag);
  const tried: Tried[] = [];
  const passedOver = new Map<Policy, boolean>();
  for (const rule of rulesOf(snapshot, step)) {
    const seen = passedOver.get(rule.policy);
    if (seen === true) continue;
    if (seen === undefined) {
      const match = holds(rule.policy.match, copy);
      passedOver.set(rule.policy, !match.holds);
      if (!match.holds) {
        tried.push({ name: rule.policy.name, reached: false, ...unmet("match", match) });
        continue;
      }
    }
    tried.push(tryRule(rule, copy, outcome));
  }
  return tried.sort((a, b) => Number(b.reached) - Number(a.reached));
}

function rulesOf(
  snapshot: Snapshot,
  { kind, asked }: Pick<Step, "kind" | "asked">,
): readonly (CheckRule | ReportRule)[] {
  if (kind === "report") return snapshot.reports;
  const at = asked.at ?? "check";
  return snapshot.checks.filter((rule) => (rule.kind === "limit" ? rule.at : "check") === at);
}

function tryRule(rule: CheckRule | ReportRule, bag: Bag, outcome: Outcome): Tried {
  const name = rule.id;
  const when = holds(rule.when, bag);
  if (!when.holds && when.fault === undefined) return { name, reached: false, ...unmet("when", when) };
  if (rule.unless !== undefined) {
    const unless = holds(rule.unless, bag);
    if (unless.holds) {
      return { name, reached: true, verdict: "does not apply: unless holds", why: rule.unless.source };
    }
  }
  return { name, reached: true, ...acted(rule, outcome) };
}

function acted(rule: CheckRule | ReportRule, { decision, samples, entries }: Outcome): Omit<Tried, "name" | "reached"> {
  switch (rule.kind) {
    case "metric":
      return {
        verdict: samples.some(({ metric }) => metric === rule.metric) ? "counted" : "applies, without a sample",
      };
    case "log":
      return { verdict: entries.some(({ name }) => name === rule.log) ? "logged" : "applies, without an entry" };
    case "headers":
      return { verdict: decision?.allowed === true ? "edits headers" : "edits nothing: the request was refused" };
  }
  const limit = decision?.limits.find((state) => state.rule === rule.id);
  const why = limit === undefined ? {} : { why: `${limit.remaining} of ${limit.amount} left` };
  if (decision?.rules.includes(rule.id) === true) return { verdict: "refuses", ...why };
  if (decision?.observed.includes(rule.id) === true) return { verdict: "would refuse (mode: observe)", ...why };
  if (rule.kind === "limit" && limit === undefined) return { verdict: "not judged" };
  return { verdict: "allows", ...why };
}

function unmet(part: string, test: Test & { holds: false }): Omit<Tried, "name" | "reached"> {
  if (test.fault !== undefined) return { verdict: `${part} fails: ${test.fault}`, why: test.source };
  if (test.absent === undefined) return { verdict: `does not apply: ${part} is false`, why: test.source };
  const names = test.absent.length === 0 ? "an attribute is absent" : `${test.absent.join(", ")} absent`;
  return { verdict: `does not apply: ${part} needs what is not there (${names})`, why: test.source };
}

function holds(expression: Expression<boolean> | undefined, bag: Bag): Test {
  if (expression === undefined) return { holds: true };
  const value = expression.evaluate(bag);
  if (value === true) return { holds: true };
  const { source } = expression;
  if (value instanceof Fault) return { holds: false, source, fault: value.message };
  if (value === false) return { holds: false, source };
  const absent = expression.uses
    .filter(({ guarded }) => !guarded)
    .filter(({ name, key }) => {
      const slot = key === undefined ? bag.layout.find(name) : bag.layout.keysOf(name)?.get(key);
      return slot !== undefined && bag.peek(slot) === undefined;
    })
    .map(({ name, key }) => (key === undefined ? name : `${name}[${JSON.stringify(key)}]`));
  return { holds: false, source, absent };
}
