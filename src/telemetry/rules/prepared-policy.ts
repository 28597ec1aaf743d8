import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { Expression } from "../../expression/expression.ts";
import type { MetricRule, Policy, ReportRule, Snapshot } from "../../policy/snapshot.ts";
import type { Log } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { TraceIds } from "../../util/trace-ids.ts";
import { SampleCollector } from "../buffer/metric-samples.ts";
import type { Outlets } from "../outlets.ts";
import { logEntries, spans } from "../queues/cargo.ts";
import type { OngoingRules } from "./growth.ts";
import { prepareLog, type PreparedLog } from "./log-rule.ts";
import { groupKey, prepareMetrics, type PreparedMetrics } from "./metric-group.ts";
import { prepareSpan, type PreparedSpan } from "./span-rule.ts";

/** The report rules of one policy, each with where it puts what it makes of a record. */
export interface PreparedPolicy {
  /** Left out: for every record. */
  readonly match?: Expression<boolean>;
  /** Ids of its rules. */
  readonly rules: readonly string[];
  readonly metrics: readonly CollectedMetrics[];
  readonly logs: readonly PreparedLog[];
  readonly spans: readonly PreparedSpan[];
}

/** A group of metrics, and what collects its samples where a buffer keeps them. */
export type CollectedMetrics = PreparedMetrics & { readonly collector?: SampleCollector | undefined };

export interface PreparePoliciesOptions {
  readonly snapshot: Pick<Snapshot, "reports" | "reportLayout">;
  /** What is opened for the rules. It is to be released when this throws, too. */
  readonly outlets: Outlets;
  readonly traceIds: TraceIds;
  readonly ongoing: OngoingRules;
  readonly observer: Observer;
  readonly log: Log;
}

/** Prepares each policy that has report rules. Throws what an adapter's `metrics` throws. */
export function preparePolicies(options: PreparePoliciesOptions): PreparedPolicy[] {
  const { snapshot, outlets, traceIds, ongoing, observer, log } = options;
  const openMetrics = (rules: readonly [MetricRule, ...MetricRule[]]): CollectedMetrics => {
    let collector: SampleCollector | undefined;
    const group = prepareMetrics(
      rules,
      (metrics) => {
        const recorder = outlets.recorder(rules[0].to, metrics);
        if (recorder instanceof SampleCollector) collector = recorder;
        return recorder;
      },
      observer,
      ongoing,
      log,
    );
    outlets.closing(group);
    return { ...group, collector };
  };
  return byPolicy(snapshot.reports).map(([policy, rules]) => ({
    ...(policy.reportMatch === undefined ? {} : { match: policy.reportMatch }),
    rules: rules.map((rule) => rule.id),
    metrics: metricGroups(rules).map(openMetrics),
    logs: rules
      .filter((rule) => rule.kind === "log")
      .map((rule) => prepareLog(rule, outlets.sink(logEntries, rule.to), observer)),
    spans: rules
      .filter((rule) => rule.kind === "span")
      .map((rule) => prepareSpan(rule, snapshot.reportLayout, outlets.sink(spans, rule.to), traceIds, observer)),
  }));
}

/** Whether a record is for the rules of a policy. A fault says no, and is counted for each of them. */
export function matches({ match, rules }: PreparedPolicy, bag: Bag, observer: Observer): boolean {
  if (match === undefined) return true;
  const value = match.evaluate(bag);
  if (value instanceof Fault) for (const rule of rules) observer.ruleFault(rule, "match", "fault");
  return value === true;
}

function byPolicy(rules: readonly ReportRule[]): [Policy, ReportRule[]][] {
  const policies = new Map<Policy, ReportRule[]>();
  for (const rule of rules) {
    const known = policies.get(rule.policy);
    if (known === undefined) policies.set(rule.policy, [rule]);
    else known.push(rule);
  }
  return [...policies];
}

function metricGroups(rules: readonly ReportRule[]): [MetricRule, ...MetricRule[]][] {
  const groups = new Map<string, [MetricRule, ...MetricRule[]]>();
  for (const rule of rules) {
    if (rule.kind !== "metric") continue;
    const key = groupKey(rule);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [rule]);
    else group.push(rule);
  }
  return [...groups.values()];
}
