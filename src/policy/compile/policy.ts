import type { Phase } from "../../attributes/vocabulary.ts";
import type { Expression } from "../../expression/expression.ts";
import type { Listeners } from "../../listen/settings.ts";
import type { AdapterNames } from "../config/adapter-names.ts";
import { compileCheckRule } from "./check-rule.ts";
import { compileLevels } from "./levels.ts";
import { compileReportRule } from "./report-rule.ts";
import type { RuleContext } from "./rule-head.ts";
import type { RawPolicy } from "../schema/policy.ts";
import { condition } from "./rule-expressions.ts";
import type { RuleExpressions } from "./rule-expressions.ts";
import { shaped } from "./shaped.ts";
import type { Reading } from "../shape/shape.ts";
import type { CheckRule, Place, Policy, ReportRule } from "../snapshot.ts";
import { warnOfHeaderCase } from "./warnings.ts";
import { keyNode } from "../yaml/node.ts";
import { placeAt } from "../yaml/source.ts";

/** What all policies of a set are compiled into. */
export interface PolicySet {
  readonly expressions: RuleExpressions;
  readonly adapters: AdapterNames;
  /** `check.share` of weir.yaml. */
  readonly share: number | undefined;
  readonly listen: Listeners;
  readonly policies: Map<string, Policy>;
  /** Without their ordinals. */
  readonly checks: CheckRule[];
  readonly reports: ReportRule[];
}

/** Compiles one policy document into the set. Its problems are told. */
export function compilePolicy(set: PolicySet, reading: Reading, raw: RawPolicy): void {
  const policy = compilePolicyHead(set, reading, raw);
  const { expressions, adapters, share, listen } = set;
  const context: RuleContext = { reading, policy, expressions, adapters, share, listen, names: new Map() };
  for (const rule of raw.check?.items ?? []) {
    const compiled = compileCheckRule(context, rule);
    if (compiled === undefined) continue;
    set.checks.push(compiled);
    if (compiled.kind === "limit") set.checks.push(...compileLevels(context, rule, compiled));
  }
  for (const rule of raw.report?.items ?? []) {
    const compiled = compileReportRule(context, rule);
    if (compiled !== undefined) set.reports.push(compiled);
  }
  const hasRules = keyNode(raw.node, "check") !== undefined || keyNode(raw.node, "report") !== undefined;
  // In a document with a mistake the rules may stand under the very key that was not known.
  if (!hasRules && raw.policy !== undefined && reading.problems.errors === 0) {
    const message = `the policy "${policy.name}" has no rules`;
    reading.tell(raw.policy.node, { code: "WEIR_POLICY_NO_RULES", message, severity: "warning" });
  }
}

function compilePolicyHead(set: PolicySet, reading: Reading, raw: RawPolicy): Policy {
  const name = raw.policy?.value ?? "";
  const place = placeAt(reading.source, raw.node.start);
  const known = set.policies.get(name);
  if (known !== undefined && raw.policy !== undefined) {
    const message = `a policy is called "${name}" already, at ${showPlace(known.place)}`;
    reading.tell(raw.policy.node, { code: "WEIR_POLICY_DUPLICATE", message });
  }
  const phases: readonly Phase[] = [
    ...((raw.check?.items.length ?? 0) > 0 ? ["check" as const] : []),
    ...((raw.report?.items.length ?? 0) > 0 ? ["report" as const] : []),
  ];
  // Where a mistake leaves a policy without rules, its `match` is still looked at.
  const own = raw.match && set.expressions.compile<boolean>(reading, raw.match, phases[0] ?? "report", condition);
  if (own !== undefined) warnOfHeaderCase(reading, raw.match, own.uses);
  const namespace = raw.namespace?.value;
  const matchIn = (phase: Phase): Expression<boolean> | undefined => {
    if (!phases.includes(phase)) return undefined;
    if (namespace === undefined) return own && set.expressions.compose<boolean>(own.source, phase);
    // One expression, so that the index of rules finds the namespace among its equality tests.
    const test = `destination.namespace == ${JSON.stringify(namespace)}`;
    // A comment at the end of the operator's text must not swallow the bracket.
    const end = own?.source.includes("//") === true ? "\n)" : ")";
    return set.expressions.compose<boolean>(own === undefined ? test : `${test} && (${own.source}${end}`, phase);
  };
  const mode = raw.mode?.value ?? "enforce";
  const match = matchIn("check");
  const reportMatch = matchIn("report");
  const policy = shaped<Policy>({ name, place, mode, namespace, match, reportMatch });
  if (known === undefined && raw.policy !== undefined) set.policies.set(name, policy);
  return policy;
}

function showPlace({ file, line }: Place): string {
  return `${file}:${line}`;
}
