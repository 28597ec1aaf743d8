import type { Bag } from "../../attributes/bag.ts";
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

/** Why a condition does not hold. */
interface Unmet {
  readonly part: "match" | "when" | "by";
  readonly source: string;
  /** What is not there, where that is why. */
  readonly absent?: readonly string[];
  /** What went wrong, where that is why. */
  readonly fault?: string;
}

/**
 * Tells, for every rule that a step concerns, what it made of the request, those that were reached first. Conditions are
 * evaluated anew, on a copy of the attributes; what came of a rule that applied is taken from the outcome.
 */
export function trace(snapshot: Snapshot, step: Pick<Step, "kind" | "asked">, bag: Bag, outcome: Outcome): Tried[] {
  const copy = copyBag(bag);
  const tried: Tried[] = [];
  const matches = new Map<Policy, Unmet | undefined>();
  for (const rule of rulesOf(snapshot, step)) {
    const { policy } = rule;
    const isFirst = !matches.has(policy);
    if (isFirst) matches.set(policy, unmet("match", step.kind === "check" ? policy.match : policy.reportMatch, copy));
    const match = matches.get(policy);
    if (match === undefined || match.fault !== undefined) tried.push(tryRule(rule, match, copy, outcome));
    else if (isFirst) tried.push({ name: policy.name, reached: false, ...passedOver(match) });
  }
  return tried.sort((a, b) => Number(b.reached) - Number(a.reached));
}

function rulesOf(
  snapshot: Snapshot,
  { kind, asked }: Pick<Step, "kind" | "asked">,
): readonly (CheckRule | ReportRule)[] {
  if (kind === "report") return snapshot.reports;
  if (kind === "ongoing") return snapshot.reports.filter((rule) => rule.kind === "metric" && rule.ongoing === true);
  const at = asked.at ?? "check";
  return snapshot.checks.filter((rule) => (rule.kind === "limit" ? rule.at : "check") === at);
}

/** What a rule made of the request. `match` is given where it could not be evaluated: the rule may act all the same. */
function tryRule(rule: CheckRule | ReportRule, match: Unmet | undefined, bag: Bag, outcome: Outcome): Tried {
  const name = rule.id;
  const when = unmet("when", rule.when, bag);
  if (when !== undefined && when.fault === undefined) return { name, reached: false, ...passedOver(when) };
  const failed = match ?? when;
  if (failed !== undefined) {
    const { verdict } = isReport(rule) ? { verdict: "does not apply" } : acted(rule, outcome);
    return { name, reached: true, verdict: `${verdict}: ${failed.part} fails: ${failed.fault}`, why: failed.source };
  }
  const absent =
    rule.kind === "limit" && rule.at === "ratelimit" ? rule.by.flatMap(({ value }) => absentOf(value, bag)) : [];
  if (absent.length > 0) {
    const source = rule.kind === "limit" ? rule.by.map(({ value }) => value.source).join(", ") : "";
    return { name, reached: false, ...passedOver({ part: "by", source, absent }) };
  }
  if (rule.unless?.evaluate(bag) === true) {
    return { name, reached: true, verdict: "does not apply: unless holds", why: rule.unless.source };
  }
  return { name, reached: true, ...acted(rule, outcome) };
}

function isReport(rule: CheckRule | ReportRule): rule is ReportRule {
  return rule.kind === "metric" || rule.kind === "log" || rule.kind === "span";
}

function acted(
  rule: CheckRule | ReportRule,
  { decision, samples, entries, spans }: Outcome,
): Omit<Tried, "name" | "reached"> {
  switch (rule.kind) {
    case "metric":
      return {
        verdict: samples.some(({ metric }) => metric === rule.metric) ? "counted" : "applies, without a sample",
      };
    case "log":
      return { verdict: entries.some(({ name }) => name === rule.log) ? "logged" : "applies, without an entry" };
    case "span":
      return { verdict: spans.length > 0 ? "traced" : "applies, without a span" };
    case "headers":
      return { verdict: decision?.allowed === true ? "edits headers" : "edits nothing: the request was refused" };
  }
  const limit = decision?.limits.find((state) => state.rule === rule.id);
  const why = limit === undefined ? {} : { why: `${limit.remaining} left` };
  if (decision?.rules.includes(rule.id) === true) return { verdict: "refuses", ...why };
  if (decision?.observed.includes(rule.id) === true) return { verdict: "would refuse (mode: observe)", ...why };
  if (rule.kind === "limit" && limit === undefined) return { verdict: "not judged" };
  return { verdict: "allows", ...why };
}

function passedOver({ part, source, absent }: Unmet): Omit<Tried, "name" | "reached"> {
  if (absent === undefined) return { verdict: `does not apply: ${part} is false`, why: source };
  const names = absent.length === 0 ? "an attribute is absent" : `${absent.join(", ")} absent`;
  return { verdict: `does not apply: ${part} needs what is not there (${names})`, why: source };
}

function unmet(part: "match" | "when", expression: Expression<boolean> | undefined, bag: Bag): Unmet | undefined {
  const value = expression === undefined || expression.evaluate(bag);
  if (value === true || expression === undefined) return undefined;
  const { source } = expression;
  if (value instanceof Fault) return { part, source, fault: value.message };
  return value === false ? { part, source } : { part, source, absent: absentOf(expression, bag) };
}

/** What an expression reads without a test for it, and is not there. */
function absentOf({ uses }: Expression, bag: Bag): string[] {
  return uses
    .filter(({ name, key, guarded }) => {
      const slot = key === undefined ? bag.layout.find(name) : bag.layout.keysOf(name)?.get(key);
      return !guarded && slot !== undefined && bag.peek(slot) === undefined;
    })
    .map(({ name, key }) => (key === undefined ? name : `${name}[${JSON.stringify(key)}]`));
}
