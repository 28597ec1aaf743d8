import type { Bag } from "../attributes/bag.ts";
import { completionOf } from "../attributes/derived.ts";
import type { Snapshot } from "../policy/snapshot.ts";
import type { Log, Span } from "../sdk/index.ts";
import type { TraceIds } from "../util/trace-ids.ts";
import { createDecisionLog, type DecisionLog } from "./decisions/decision-log.ts";
import type { RecentRefusals } from "./decisions/recent-refusals.ts";
import type { ServiceGraph } from "./graph/service-graph.ts";
import type { RecordOutcome } from "./outcome.ts";
import { createOutlets, type OutletsOptions } from "./outlets.ts";
import { logEntries, spans } from "./queues/cargo.ts";
import { exemplarReader } from "./rules/exemplar.ts";
import { OngoingRules, type Told } from "./rules/growth.ts";
import type { PreparedLog } from "./rules/log-rule.ts";
import { takeOngoing, type TakeOngoing } from "./rules/ongoing.ts";
import { PolicyIndex } from "./rules/policy-index.ts";
import { matches, preparePolicies, type CollectedMetrics, type PreparedPolicy } from "./rules/prepared-policy.ts";
import type { PreparedSpan } from "./rules/span-rule.ts";

export interface ReporterOptions extends OutletsOptions {
  readonly snapshot: Snapshot;
  /** Counted up with each record. */
  readonly counts: RecordCounts;
  /** The service graph, if there is one. */
  readonly graph?: Pick<ServiceGraph, "recorder"> | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly traceIds: TraceIds;
  readonly log: Log;
  /** Where the last refusals are kept; left out: decisions are not noted. */
  readonly refusals?: RecentRefusals | undefined;
  /** Makes what adapters know of a request. Left out: no rule reads such. */
  readonly produce?: ((bag: Bag) => void) | undefined;
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
  /**
   * Takes one record of a request, as a whole or not at all. `told`: what {@link Reporter.ongoing} was told of it before.
   * The bag may be filled anew as soon as this returns. Never throws.
   */
  report(bag: Bag, told?: Told): RecordOutcome;
  /** Takes a record of a request that is still under way; left out where no rule asks for that. */
  readonly ongoing?: TakeOngoing | undefined;
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

/**
 * Prepares the report rules of a snapshot. Throws what an adapter's `metrics` throws (a name that its backend cannot
 * take) after letting go of what was opened: the snapshot is then not to be served.
 */
export function createReporter(options: ReporterOptions): Reporter {
  const { snapshot, observer, counts, now, traceIds, log, refusals, random = Math.random } = options;
  const { settings, reportLayout } = snapshot;
  const outlets = createOutlets(options);
  const ongoing = new OngoingRules(snapshot);
  let prepared: readonly PreparedPolicy[];
  try {
    outlets.openForJournal();
    prepared = preparePolicies({ snapshot, outlets, traceIds, ongoing, observer, log });
  } catch (error) {
    void outlets.release(0);
    throw error;
  }
  outlets.forgetOthers();
  const { traces, decisions, exemplars, graph } = settings.telemetry;
  const ownSpans = traces && outlets.queue(spans, traces.to);
  const decided = decisions.to === undefined ? undefined : outlets.queue(logEntries, decisions.to);
  const isNoting = refusals !== undefined && (decided !== undefined || decisions.recent > 0);
  const exemplarOf = exemplars ? exemplarReader(reportLayout) : undefined;
  const complete = completionOf(reportLayout, options.produce);
  const draw = graph.windowMs > 0 ? options.graph?.recorder(reportLayout) : undefined;
  const index = new PolicyIndex(prepared);
  const collects = prepared.some(({ metrics }) => metrics.some(({ collector }) => collector !== undefined));
  // What is to be done for the record at hand. The arrays are used again and again, and how much of them counts is kept
  // apart: setting an array's length costs more than all the rest of it.
  const policies: PreparedPolicy[] = [];
  const groups: CollectedMetrics[] = [];
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
    report(bag, told) {
      policyCount = 0;
      groupCount = 0;
      logCount = 0;
      spanCount = 0;
      bagAtHand = bag;
      complete?.(bag);
      index.candidates(bag, visit);
      for (let i = 0; i < policyCount; i++) {
        const policy = policies[i]!;
        if (policy.logs.length > 0)
          for (const log of policy.logs) if (log.condition.applies(bag)) logs[logCount++] = log;
        if (policy.spans.length > 0) for (const span of policy.spans) if (span.condition.applies(bag)) trace(span, bag);
        for (const group of policy.metrics) if (group.condition.applies(bag)) groups[groupCount++] = group;
      }
      // Nothing of a record is done unless all of it can be: its caller may send it again.
      const room = logCount + spanCount === 0 || (haveRoom(logs, logCount) && haveRoom(traced, spanCount));
      if (!room || (collects && !haveRoomForSamples(groups, groupCount))) {
        counts.full++;
        return "full";
      }
      // What was made of the record itself is in the backend of traces for certain.
      const exemplar = exemplarOf === undefined ? undefined : spanCount > 0 ? made[0] : exemplarOf(bag);
      for (let i = 0; i < groupCount; i++) groups[i]!.record(bag, exemplar, told);
      const timeMs = logCount > 0 ? now() : 0;
      for (let i = 0; i < logCount; i++) logs[i]!.sink.push(logs[i]!.entry(bag, timeMs));
      draw?.(bag);
      for (let i = 0; i < spanCount; i++) traced[i]!.sink.push(made[i]!);
      counts.taken++;
      return "taken";
    },
    ongoing: ongoing.isEmpty ? undefined : takeOngoing(prepared, { complete, exemplarOf, observer }),
    commit: () => outlets.commit(),
    trace(span) {
      if (ownSpans === undefined) return;
      if (ownSpans.room > 0) ownSpans.push(span);
      else observer.dropped("span", "queue_full", 1);
    },
    decisions: isNoting
      ? createDecisionLog({ settings: decisions, queue: decided, recent: refusals, observer, now, random })
      : undefined,
    notTried(records) {
      counts.full += records;
    },
    close: (deadlineMs) => outlets.release(deadlineMs),
  };
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
function haveRoomForSamples(groups: readonly CollectedMetrics[], count: number): boolean {
  for (let i = 0; i < count; i++) {
    const { collector } = groups[i]!;
    if (collector !== undefined && collector.room <= 0) return false;
  }
  return true;
}
