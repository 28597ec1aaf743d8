import type { Bag } from "../attributes/bag.ts";
import { completionOf } from "../attributes/derived.ts";
import { Fault } from "../attributes/fault.ts";
import type { Layout } from "../attributes/layout.ts";
import { traceFormats } from "../attributes/trace-context.ts";
import { TraceReader } from "../attributes/trace-reader.ts";
import type { Expression } from "../expression/expression.ts";
import type { LogRule, MetricRule, Policy, ReportRule, Snapshot, SpanRule } from "../policy/snapshot.ts";
import type { Journal, Exemplar, Instance, Methods, MetricRecorder, Span } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import type { ServiceGraph } from "./graph/service-graph.ts";
import type { TraceIds } from "../util/trace-ids.ts";
import { readerName } from "./buffer/feed.ts";
import { metricSamples, SampleCollector, type MetricSamples } from "./buffer/metric-samples.ts";
import { pushes } from "./buffer/pushing-instance.ts";
import { RecordBuffer, type BufferCounts, type EntrySink } from "./buffer/record-buffer.ts";
import { createDecisionLog, type DecisionLog } from "./decisions/decision-log.ts";
import type { RecentRefusals } from "./decisions/recent-refusals.ts";
import { logEntries, spans, type Cargo } from "./queues/cargo.ts";
import { prepareLog, type PreparedLog } from "./rules/log-rule.ts";
import { groupKey, prepareMetrics, type PreparedMetrics } from "./rules/metric-group.ts";
import type { RecordOutcome } from "./outcome.ts";
import { PolicyIndex } from "./rules/policy-index.ts";
import type { ExportQueue } from "./queues/queue.ts";
import type { AnyQueue, Queues } from "./queues/queues.ts";
import { prepareSpan, type PreparedSpan } from "./rules/span-rule.ts";

/** What the reporter needs of an instance: the methods of the capabilities that its adapter provides. */
export interface ReportingInstance {
  readonly metrics?: Methods<never>["metrics"];
  readonly logs?: Methods<never>["logs"];
  readonly spans?: Methods<never>["spans"];
  readonly exported?: Instance["exported"];
}

export interface ReporterOptions {
  readonly snapshot: Snapshot;
  /** The running instance behind an adapter's name in `weir.yaml`. */
  readonly instanceOf: (adapter: string) => ReportingInstance;
  readonly queues: Queues;
  /** Keeps what records become until exporters have it. Left out: it waits in memory. */
  readonly journal?:
    { readonly journal: Journal; readonly counts: BufferCounts; readonly nextId: () => string } | undefined;
  readonly observer: Observer;
  /** Counted up with each record. */
  readonly counts: RecordCounts;
  /** The service graph, if there is one. */
  readonly graph?: Pick<ServiceGraph, "recorder"> | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly traceIds: TraceIds;
  /** Where the last refusals are kept; left out: decisions are not noted. */
  readonly refusals?: RecentRefusals | undefined;
  /** 0 up to 1; which decisions are among a sample. Default: Math.random. */
  readonly random?: () => number;
}

/** How many records were taken, and how many were not because a queue was full. */
export interface RecordCounts {
  taken: number;
  full: number;
}

/** The report rules of one snapshot, ready for records. */
export interface Reporter {
  /** Takes one record, as a whole or not at all. The bag may be filled anew as soon as this returns. Never throws. */
  report(bag: Bag): RecordOutcome;
  /**
   * Ends the records of a call. What it gives resolves when those that were taken are as safe as `telemetry.buffer`
   * says, and rejects with a WeirError when they may not be; `undefined`: they are.
   */
  commit(): Promise<void> | undefined;
  /** Takes a span of the hub's own; without room in its queue it is dropped and counted. */
  trace(span: Span): void;
  /** Counts records that were not tried because one before them found a queue full: they wait at the caller like it. */
  notTried(records: number): void;
  /** Takes note of decisions; left out where nobody wants to know of them. */
  readonly decisions?: DecisionLog | undefined;
  /**
   * Lets go of the adapters: after the last record of the snapshot and before its instances are closed. Log entries and spans
   * of instances that no other reporter uses are delivered first, for at most `deadlineMs`; the others go on waiting.
   */
  close(deadlineMs: number): Promise<void>;
}

interface PreparedPolicy {
  readonly match?: Expression<boolean>;
  readonly rules: readonly string[];
  readonly metrics: readonly (PreparedMetrics & { readonly collector?: SampleCollector | undefined })[];
  readonly logs: readonly PreparedLog[];
  readonly spans: readonly PreparedSpan[];
}

/**
 * Prepares the report rules of a snapshot. Throws what an adapter's `metrics` throws (a name that its backend cannot
 * take) after letting go of what was opened: the snapshot is then not to be served.
 */
export function createReporter(options: ReporterOptions): Reporter {
  const { observer, queues, counts, now } = options;
  const buffer =
    options.journal &&
    new RecordBuffer({ ...options.journal, whenAway: options.snapshot.settings.telemetry.whenAway, observer });
  const held: AnyQueue[] = [];
  const opened: PreparedMetrics[] = [];
  const collectors: SampleCollector[] = [];
  const fed: ((deadlineMs: number) => Promise<void>)[] = [];
  const release = async (deadlineMs: number): Promise<void> => {
    for (const group of opened.splice(0)) group.close();
    await Promise.all([
      ...held.splice(0).map((queue) => queues.release(queue, deadlineMs)),
      ...fed.splice(0).map((unfeed) => unfeed(deadlineMs)),
    ]);
  };

  let index: PolicyIndex<PreparedPolicy>;
  try {
    index = new PolicyIndex(prepare(options, { opened, held, collectors, fed }, buffer));
  } catch (error) {
    void release(0);
    throw error;
  }
  options.journal?.journal.forget?.(exportersOf(options).map(([cargo, adapter]) => readerName(cargo, adapter)));

  const { traces } = options.snapshot.settings.telemetry;
  const ownSpans = traces && holdQueue(options, spans, traces.to, held);
  const exemplarOf = options.snapshot.settings.telemetry.exemplars
    ? exemplarReader(options.snapshot.reportLayout)
    : undefined;
  const { settings, reportLayout } = options.snapshot;
  const complete = completionOf(reportLayout);
  const { decisions } = settings.telemetry;
  const { refusals, random = Math.random } = options;
  const queue = decisions.to === undefined ? undefined : holdQueue(options, logEntries, decisions.to, held);
  const noting = refusals !== undefined && (queue !== undefined || decisions.recent > 0);
  const draw = settings.telemetry.graph.windowMs > 0 ? options.graph?.recorder(reportLayout) : undefined;
  // What is to be done for the record at hand. The arrays are used again and again, and how much of them counts is kept
  // apart: setting an array's length costs more than all the rest of it.
  const policies: PreparedPolicy[] = [];
  const groups: PreparedPolicy["metrics"][number][] = [];
  const logs: PreparedLog[] = [];
  const traced: PreparedSpan[] = [];
  const made: Span[] = [];
  let policyCount = 0;
  let groupCount = 0;
  let logCount = 0;
  let spanCount = 0;
  let bagAtHand: Bag;
  const visit = (policy: PreparedPolicy): void => {
    if (matches(policy, bagAtHand, observer)) policies[policyCount++] = policy;
  };

  /** Makes the span, unless sampling leaves it out. */
  function trace(rule: PreparedSpan, bag: Bag): void {
    const span = rule.span(bag, now());
    if (span === undefined) return;
    traced[spanCount] = rule;
    made[spanCount++] = span;
  }

  return {
    report(bag) {
      policyCount = 0;
      groupCount = 0;
      logCount = 0;
      spanCount = 0;
      bagAtHand = bag;
      complete?.(bag);
      index.candidates(bag, visit);
      for (let i = 0; i < policyCount; i++) {
        const policy = policies[i]!;
        for (const log of policy.logs) if (log.condition.applies(bag)) logs[logCount++] = log;
        for (const span of policy.spans) if (span.condition.applies(bag)) trace(span, bag);
        for (const group of policy.metrics) if (group.condition.applies(bag)) groups[groupCount++] = group;
      }
      // Nothing of a record is done unless all of it can be: its caller may send it again.
      const room = logCount + spanCount === 0 || (haveRoom(logs, logCount) && haveRoom(traced, spanCount));
      if (!room || (collectors.length > 0 && !haveRoomForSamples(groups, groupCount))) {
        counts.full++;
        return "full";
      }
      // What was made of the record itself is in the backend of traces for certain.
      const exemplar = exemplarOf === undefined ? undefined : spanCount > 0 ? made[0] : exemplarOf(bag);
      for (let i = 0; i < groupCount; i++) groups[i]!.record(bag, exemplar);
      const timeMs = logCount > 0 ? now() : 0;
      for (let i = 0; i < logCount; i++) logs[i]!.sink.push(logs[i]!.entry(bag, timeMs));
      draw?.(bag);
      for (let i = 0; i < spanCount; i++) traced[i]!.sink.push(made[i]!);
      counts.taken++;
      return "taken";
    },
    commit() {
      for (const collector of collectors) collector.flush();
      return buffer?.commit();
    },
    trace(span) {
      if (ownSpans === undefined) return;
      if (ownSpans.room > 0) ownSpans.push(span);
      else observer.dropped("span", "queue_full", 1);
    },
    decisions: noting
      ? createDecisionLog({ settings: decisions, queue, recent: refusals, observer, now, random })
      : undefined,
    notTried(records) {
      counts.full += records;
    },
    close: release,
  };
}

function matches(policy: PreparedPolicy, bag: Bag, observer: Observer): boolean {
  if (policy.match === undefined) return true;
  const value = policy.match.evaluate(bag);
  if (value instanceof Fault) for (const rule of policy.rules) observer.ruleFault(rule, "match", "fault");
  return value === true;
}

/** Whether there is room for all that the first rules would put in. */
function haveRoom(rules: readonly { readonly sink: { readonly room: number } }[], count: number): boolean {
  for (let i = 0; i < count; i++) {
    const { sink } = rules[i]!;
    let needed = 0;
    for (let other = 0; other < count; other++) if (rules[other]!.sink === sink) needed++;
    if (sink.room < needed) return false;
  }
  return true;
}

/** Whether the buffer takes what the first groups of metrics would have it keep. */
function haveRoomForSamples(groups: PreparedPolicy["metrics"], count: number): boolean {
  for (let i = 0; i < count; i++) {
    const { collector } = groups[i]!;
    if (collector !== undefined && collector.room <= 0) return false;
  }
  return true;
}

/** Reads which trace a request is of, unless its caller does not keep it. */
function exemplarReader(layout: Layout): (bag: Bag) => Exemplar | undefined {
  const reader = new TraceReader(layout, traceFormats);
  return (bag) => {
    const context = reader.read(bag);
    if (context?.ids === undefined || context.sampled === false) return undefined;
    return { traceId: context.ids.trace, spanId: context.ids.span };
  };
}

/** The queue of an adapter, noted so that it can be let go. */
function holdQueue<T>(
  { queues, instanceOf, snapshot, journal }: ReporterOptions,
  cargo: Cargo<T>,
  adapter: string,
  held: AnyQueue[],
): ExportQueue<T> {
  const { queueEntries: entries, maxAgeMs } = snapshot.settings.telemetry;
  const queue = queues.hold<T>(cargo, adapter, instanceOf(adapter), { entries, journal: journal?.journal, maxAgeMs });
  held.push(queue);
  return queue;
}

/** What is opened for a reporter, and closed with it. */
interface Opened {
  readonly opened: PreparedMetrics[];
  readonly held: AnyQueue[];
  /** Of metrics that the buffer keeps. */
  readonly collectors: SampleCollector[];
  readonly fed: ((deadlineMs: number) => Promise<void>)[];
}

/** Prepares each policy that has report rules; what is opened on the way is put where it can be closed. */
function prepare(
  options: ReporterOptions,
  { opened, held, collectors, fed }: Opened,
  buffer: RecordBuffer | undefined,
): PreparedPolicy[] {
  const { snapshot, instanceOf, observer, traceIds, journal } = options;
  const hold = <T>(cargo: Cargo<T>, adapter: string): EntrySink<T> => {
    const queue = holdQueue(options, cargo, adapter, held);
    return buffer?.sink(cargo, adapter, queue) ?? queue;
  };
  // What a journal still has for an adapter that no rule names any more is delivered, too.
  if (journal !== undefined)
    for (const [cargo, adapter] of exportersOf(options)) {
      const instance = instanceOf(adapter);
      if (cargo !== metricSamples) hold<never>(cargo as Cargo<never>, adapter);
      else if (pushes(instance)) fed.push(options.queues.feedMetrics(adapter, instance, journal.journal));
    }
  const openMetrics = (rules: readonly [MetricRule, ...MetricRule[]]): PreparedPolicy["metrics"][number] => {
    const adapter = rules[0].to;
    const instance = instanceOf(adapter);
    let collector: SampleCollector | undefined;
    const group = prepareMetrics(
      rules,
      (metrics) => {
        const recorder = instance.metrics!(metrics);
        if (buffer === undefined || !pushes(instance)) return recorder;
        const sink = buffer.sink(metricSamples, adapter, recordingSink(instance.metrics));
        collectors.push((collector = new SampleCollector(metrics, sink, () => recorder.close?.())));
        return collector;
      },
      observer,
    );
    opened.push(group);
    return { ...group, collector };
  };
  const openLog = (rule: LogRule): PreparedLog => prepareLog(rule, hold(logEntries, rule.to), observer);
  const openSpan = (rule: SpanRule): PreparedSpan =>
    prepareSpan(rule, snapshot.reportLayout, hold(spans, rule.to), traceIds, observer);

  return byPolicy(snapshot.reports).map(([policy, rules]) => {
    const groups = new Map<string, [MetricRule, ...MetricRule[]]>();
    for (const rule of rules) {
      if (rule.kind !== "metric") continue;
      const group = groups.get(groupKey(rule));
      if (group === undefined) groups.set(groupKey(rule), [rule]);
      else group.push(rule);
    }
    return {
      ...(policy.reportMatch === undefined ? {} : { match: policy.reportMatch }),
      rules: rules.map((rule) => rule.id),
      metrics: [...groups.values()].map(openMetrics),
      logs: rules.filter((rule) => rule.kind === "log").map(openLog),
      spans: rules.filter((rule) => rule.kind === "span").map(openSpan),
    };
  });
}

/** Records samples at once, for those that go by the buffer: each time by recorders of their own. */
function recordingSink(open: Methods<never>["metrics"]): EntrySink<MetricSamples> {
  return {
    room: Infinity,
    push({ group, rows }) {
      const recorder: MetricRecorder = open(group);
      for (const { labels, values, exemplar } of rows) recorder.record(labels, values, exemplar);
      recorder.close?.();
    },
  };
}

/** Who takes what of a buffer: the adapters that rules name, and those that weir.yaml does, but for what may be the buffer itself. */
function exportersOf({
  snapshot: { adapters, reports },
  instanceOf,
}: ReporterOptions): readonly (readonly [cargo: { readonly capability: string }, adapter: string])[] {
  const used = new Set(reports.map(({ to }) => to));
  return [...adapters.values()].flatMap(({ name, adapter: { provides }, line }) => {
    if (!used.has(name) && (line === undefined || provides.includes("journal"))) return [];
    const cargos = [logEntries, spans].filter(({ capability }) => provides.includes(capability));
    return [...cargos, ...(pushes(instanceOf(name)) ? [metricSamples] : [])].map((cargo) => [cargo, name] as const);
  });
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
