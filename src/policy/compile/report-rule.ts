import type { Value } from "../../attributes/value.ts";
import type { Expression } from "../../expression/expression.ts";
import { findAdapter } from "../config/adapter-names.ts";
import { defaultBuckets, readBuckets } from "./buckets.ts";
import { compileHead } from "./rule-head.ts";
import { compileSpan } from "./span-rule.ts";
import type { RuleContext, RuleHead } from "./rule-head.ts";
import { revealOf, shownField } from "./secret-fields.ts";
import type { RawReportRule } from "../schema/report-rule.ts";
import { quantity, scalar, showable, textual } from "./rule-expressions.ts";
import type { Located } from "../shape/shape.ts";
import type { ShownField, LogRule, MetricRule, ReportRule } from "../snapshot.ts";
import { shaped } from "./shaped.ts";
import { keyNode, type MapNode } from "../yaml/node.ts";

/** Compiles one report rule. `undefined` when it cannot be used, which is told; other problems are told as well. */
export function compileReportRule(context: RuleContext, raw: RawReportRule): ReportRule | undefined {
  const subject: Located<string> | undefined =
    raw.kind === "metric" ? raw.metric : raw.kind === "log" ? raw.log : raw.span;
  const head = compileHead(context, raw, raw.name ?? subject, "report");
  const to = raw.to?.value ?? defaultTo[raw.kind];
  const toNode = raw.to?.node ?? keyNode(raw.node, raw.kind)!;
  if (to !== undefined) findAdapter(context.adapters, context.reading, toNode, to, capabilities[raw.kind]);
  if (raw.kind === "metric") return compileMetric(context, raw, head, to!);
  return raw.kind === "log" ? compileLog(context, raw, head, to!) : compileSpan(context, raw, head);
}

const capabilities = { metric: "metrics", log: "logs", span: "spans" } as const;

/** Where each kind goes when the rule does not say. No backend of traces is there by itself. */
const defaultTo = { metric: "prometheus", log: "stdout", span: undefined } as const;

function compileMetric(context: RuleContext, raw: RawReportRule, head: RuleHead, to: string): MetricRule | undefined {
  const { reading, expressions } = context;
  const value = raw.value && expressions.compile<Value>(reading, raw.value, "report", quantity);
  const labels: { name: string; value: Expression }[] = [];
  for (const { name, key, value: label } of raw.labels?.entries ?? []) {
    checkLabelName(context, key, name, raw.type?.value);
    const expression = expressions.compile(reading, label, "report", scalar);
    if (expression !== undefined) labels.push({ name, value: expression });
  }
  if (raw.metric === undefined || raw.type === undefined) return undefined;
  const metric = raw.metric.value;
  const type = raw.type.value;
  if (type !== "counter" && keyNode(raw.node, "value") === undefined) {
    const message = `a ${type} needs the key "value": an expression that is a number or a duration`;
    reading.tell(raw.metric.node, { code: "WEIR_POLICY_SHAPE", message });
  }
  const isDuration = value?.type.kind === "duration";
  if (raw.unit !== undefined && (raw.value === undefined || (value !== undefined && !isDuration))) {
    const message = "unit says how a duration is counted; this metric's value is none";
    reading.tell(keyNode(raw.node, "unit")!, { code: "WEIR_POLICY_SHAPE", message });
  }
  const unit = raw.unit?.value ?? (metric.endsWith("_milliseconds") ? "ms" : "s");
  let buckets: readonly number[] | undefined;
  const bucketsKey = keyNode(raw.node, "buckets");
  if (type !== "histogram") {
    if (bucketsKey !== undefined)
      reading.tell(bucketsKey, {
        code: "WEIR_POLICY_SHAPE",
        message: `buckets belong to a histogram; this metric is a ${type}`,
      });
  } else if (raw.buckets !== undefined) {
    buckets = readBuckets(reading, raw.buckets);
  } else if (bucketsKey === undefined && isDuration) {
    buckets = defaultBuckets(unit);
  } else if (bucketsKey === undefined && value !== undefined) {
    const message = `a histogram of numbers needs the key "buckets"`;
    const hint = "for example buckets: { exponential: { start: 1, factor: 10, count: 8 } }";
    reading.tell(raw.metric.node, { code: "WEIR_POLICY_SHAPE", message, hint });
  }
  const ongoing = raw.ongoing?.value === true || undefined;
  if (ongoing) checkOngoing(context, raw.node, type, value);
  const help = raw.help?.value ?? defaultHelp(type, value, unit);
  return shaped<MetricRule>({ kind: "metric", ...head, to, metric, type, help, unit, labels, value, buckets, ongoing });
}

/** Tells where a metric cannot grow while a request is under way, or does so without being told to. */
function checkOngoing(
  { reading }: RuleContext,
  rule: MapNode,
  type: MetricRule["type"],
  value: Expression | undefined,
): void {
  const code = "WEIR_POLICY_SHAPE";
  const node = keyNode(rule, "ongoing")!;
  if (type !== "counter") {
    const message = `ongoing belongs to a counter; this metric is a ${type}`;
    reading.tell(node, { code, message, hint: `a ${type} takes a request once, as a whole, when it ends` });
  } else if (keyNode(rule, "value") === undefined || value?.constant !== undefined) {
    const message = "ongoing needs a value that grows while a request is under way";
    const hint = "such as value: response.size; what counts requests counts them when they end";
    reading.tell(node, { code, message, hint });
  } else if (value !== undefined && value.uses.every(({ name }) => name.startsWith("connection."))) {
    const message = "ongoing has no effect: what is new of a connection is told by records of their own";
    const hint = "leave it out; connection.sent.bytes and connection.received.bytes are what is new";
    reading.tell(node, { code: "WEIR_POLICY_NO_EFFECT", message, hint, severity: "warning" });
  }
}

/** Prometheus's rules: a name of its own, not one of those that it keeps for itself. */
function checkLabelName(
  { reading }: RuleContext,
  key: { readonly start: number; readonly end: number },
  name: string,
  type: string | undefined,
): void {
  const code = "WEIR_POLICY_SHAPE";
  if (!/^[a-zA-Z_][a-zA-Z0-9_]{0,99}$/.test(name)) {
    const hint =
      name.length > 100 ? undefined : `for example ${name.replaceAll(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=\d|$)/, "_")}`;
    reading.tell(key, { code, message: "a label's name has letters, digits and _, and no digit first", hint });
  } else if (name.startsWith("__")) {
    reading.tell(key, { code, message: `label names that begin with "__" are Prometheus's own` });
  } else if (name === "le" && type === "histogram") {
    reading.tell(key, { code, message: `a histogram's label "le" is Prometheus's own` });
  }
}

function defaultHelp(type: MetricRule["type"], value: Expression | undefined, unit: "s" | "ms"): string {
  if (value === undefined) return "How many requests were reported.";
  const source = value.source.replaceAll(/\s+/g, " ").slice(0, 200);
  const of = value.type.kind === "duration" ? `${source}, in ${unit === "s" ? "seconds" : "milliseconds"}` : source;
  return { counter: `Sum of ${of}.`, gauge: `Last value of ${of}.`, histogram: `Distribution of ${of}.` }[type];
}

const severities: readonly string[] = ["debug", "info", "warning", "error"];

function compileLog(context: RuleContext, raw: RawReportRule, head: RuleHead, to: string): LogRule | undefined {
  const { reading, expressions } = context;
  let severity: LogRule["severity"] = "info";
  if (raw.severity !== undefined) {
    if (severities.includes(raw.severity.text)) severity = raw.severity.text as LogRule["severity"];
    else severity = expressions.compile<string>(reading, raw.severity, "report", textual) ?? severity;
  }
  const reveal = revealOf(raw);
  const fields: ShownField[] = [];
  for (const { name, value } of raw.fields?.entries ?? []) {
    const expression = expressions.compile(reading, value, "report", showable);
    if (expression === undefined) continue;
    fields.push(shownField(name, expression, reveal, expressions.vocabulary));
  }
  if (raw.log === undefined) return undefined;
  return shaped<LogRule>({ kind: "log", ...head, to, log: raw.log.value, severity, fields, reveal });
}
