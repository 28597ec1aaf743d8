import { collectDefaultMetrics, Registry, type Metric } from "prom-client";
import type { CheckRule, Snapshot } from "../policy/snapshot.ts";
import type { CacheCounts } from "../util/cache-counts.ts";
import type { ExpositionFormat } from "../util/exposition.ts";
import type { Observer } from "../util/observer.ts";
import { Cells, counterCell, type Cell } from "./cells.ts";
import { expositionText, type ExposedMetric, type ExposedSample } from "./exposition-text.ts";
import { hubMetricNames, latencyBounds, type HubMetric, type HubMetricName } from "./hub-metric-names.ts";
import { Latency } from "./latency.ts";
import type { BufferCounts } from "./buffer/record-buffer.ts";
import type { JournalState, LeaseState } from "../sdk/index.ts";
import type { QueueState } from "./queues.ts";
import type { RecordCounts } from "./report.ts";

type LoadedPolicies = Pick<Snapshot, "version" | "policies" | "checks" | "reports">;

export interface HubMetricsOptions {
  /** Weir's own version. */
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** The policy set that serves now. */
  readonly loaded: () => LoadedPolicies | undefined;
  readonly queues: () => readonly QueueState[];
  /** What adapters hold of limits that are answered from units taken ahead. */
  readonly leases: () => Iterable<LeaseState & { readonly adapter: string }>;
  /** How the check rules that serve were used. */
  readonly rules: () => Iterable<RuleState>;
  /** How many keys the stores of limits hold, of those that know. */
  readonly limitKeys: () => Iterable<{ readonly rule: string; readonly keys: number }>;
  readonly adapters: () => Iterable<AdapterState>;
  /** What doors keep to be faster, by the door and what it is. */
  readonly caches: () => Iterable<readonly [door: string, cache: string, counts: CacheCounts]>;
  /** How full the buffer beside memory is, where there is one that knows. */
  readonly buffer: () => JournalState | undefined;
  /** The certificates that listeners serve, and whether their files are as they are served. */
  readonly credentials: () => readonly CredentialState[];
}

/** How the files of a listener's certificates and tokens are. */
interface CredentialState {
  readonly listener: string;
  readonly problems: readonly string[];
  /** When the certificate that is served expires, milliseconds since 1970; left out at a listener of plain text. */
  readonly notAfterMs?: number;
}

/** What is counted of one rule; units are those of limits. */
interface RuleState {
  readonly rule: CheckRule;
  readonly applied: number;
  readonly granted: number;
  readonly refused: number;
}

interface AdapterState {
  readonly adapter: string;
  readonly ready: boolean;
  /** Left out for an adapter whose calls no decision waits for. */
  readonly breakerOpen?: boolean;
}

export interface HubMetrics {
  readonly observer: Observer;
  /** For the reporter to count in. */
  readonly records: RecordCounts;
  /** For buffers to count in. */
  readonly buffered: BufferCounts;
  /** A registry of our own, for whoever embeds the hub; the global one of prom-client is not touched. */
  readonly registry: Registry;
  /**
   * The hub's, the process's and Node's metrics as text, without the closing `# EOF` of OpenMetrics; in pieces, between
   * which requests are answered.
   */
  render(format: ExpositionFormat): AsyncIterable<string>;
}

/**
 * The hub's own metrics. What happens is counted in plain fields, which costs nanoseconds where prom-client would hash
 * the labels each time, and is handed to prom-client's registry when somebody scrapes.
 */
export function createHubMetrics({
  version,
  now,
  loaded,
  queues,
  leases,
  rules,
  limitKeys,
  adapters,
  caches,
  buffer,
  credentials,
}: HubMetricsOptions): HubMetrics {
  const counters = {
    calls: new Cells(counterCell),
    refusals: new Cells(counterCell),
    faults: new Cells(counterCell),
    dropped: new Cells(counterCell),
    callersRefused: new Cells(counterCell),
    quotaRequests: new Cells(counterCell),
    adapterCalls: new Cells(counterCell),
    adapterEvents: new Cells(counterCell),
    degraded: new Cells(counterCell),
  };
  const callLatency = new Cells((labels) => new Latency(labels));
  const adapterLatency = new Cells((labels) => new Latency(labels));
  // Most decisions are nothing but rules: they are counted once, and put together with the others in a scrape.
  const plainLatency = new Latency([]);
  const phasedLatency = new Latency([]);
  const phases = { rules: new Latency(["rules"]), asks: new Latency(["asks"]), limits: new Latency(["limits"]) };
  const decisions = { allowed: 0, refused: 0 };
  const records: RecordCounts = { taken: 0, full: 0 };
  const buffered: BufferCounts = { stored: 0, spilled: 0, refused: 0 };
  const reloads = { ok: 0, refused: 0, successful: 0, successMs: 0 };

  const observer: Observer = {
    call(door, method, code, ms) {
      counters.calls.at(door, method, code).value++;
      callLatency.at(door, method).observe(ms);
    },
    decision(allowed, ms, asksMs, limitsMs) {
      if (allowed) decisions.allowed++;
      else decisions.refused++;
      if (asksMs === undefined && limitsMs === undefined) return plainLatency.observe(ms);
      phasedLatency.observe(ms);
      phases.rules.observe(ms - (asksMs ?? 0) - (limitsMs ?? 0));
      if (asksMs !== undefined) phases.asks.observe(asksMs);
      if (limitsMs !== undefined) phases.limits.observe(limitsMs);
    },
    refusal(rule, mode) {
      counters.refusals.at(rule, mode).value++;
    },
    ruleFault(rule, part, kind) {
      counters.faults.at(rule, part, kind).value++;
    },
    limitDegraded(rule, reason) {
      counters.degraded.at(rule, reason).value++;
    },
    adapterCall(adapter, capability, outcome, ms) {
      counters.adapterCalls.at(adapter, capability, outcome).value++;
      adapterLatency.at(adapter, capability).observe(ms);
    },
    quotaUse(rule, allowed, denied) {
      if (allowed > 0) counters.quotaRequests.at(rule, "allowed").value += allowed;
      if (denied > 0) counters.quotaRequests.at(rule, "denied").value += denied;
    },
    adapterEvent(adapter, event, by) {
      if (by > 0) counters.adapterEvents.at(adapter, event).value += by;
    },
    dropped(what, reason, by) {
      if (by > 0) counters.dropped.at(what, reason).value += by;
    },
    callerRefused(at, reason) {
      counters.callersRefused.at(at, reason).value++;
    },
    reload(ok) {
      reloads.successful = ok ? 1 : 0;
      if (!ok) reloads.refused++;
      else {
        reloads.ok++;
        reloads.successMs = now();
      }
    },
  };

  const registry = new Registry();
  const publish = (name: HubMetricName, cells: () => readonly Cell[]): void =>
    registry.registerMetric(new Published(name, cells) as unknown as Metric<string>);
  const one = (value: number): Cell[] => [{ labels: [], value }];
  const perQueue = (value: (queue: QueueState) => number) => (): Cell[] => {
    const sums = new Map<string, { readonly labels: readonly string[]; value: number }>();
    // Over a reload two instances of one name may have a queue each.
    for (const queue of queues()) {
      const labels = [queue.adapter, queue.capability];
      const key = labels.join(" ");
      let sum = sums.get(key);
      if (sum === undefined) sums.set(key, (sum = { labels, value: 0 }));
      sum.value += value(queue);
    }
    return [...sums.values()];
  };

  publish("weir_build_info", () => [{ labels: [version, process.version], value: 1 }]);
  publish("weir_calls_total", () => counters.calls.all);
  publish("weir_call_duration_seconds", () => callLatency.all);
  publish("weir_decisions_total", () => byLabel({ allowed: decisions.allowed, refused: decisions.refused }));
  publish("weir_decision_duration_seconds", () => [plainLatency.with(phasedLatency)]);
  publish("weir_decision_phase_duration_seconds", () => [
    phases.rules.with(plainLatency),
    ...[phases.asks, phases.limits].filter((phase) => phase.value > 0),
  ]);
  publish("weir_rule_matches_total", () => bounded(rules(), ({ rule, applied }) => [[[rule.id], applied]]));
  publish("weir_rule_refusals_total", () => counters.refusals.all);
  publish("weir_quota_requests_total", () => counters.quotaRequests.all);
  publish("weir_rule_faults_total", () => counters.faults.all);
  publish("weir_records_total", () => byLabel({ taken: records.taken, full: records.full }));
  publish("weir_dropped_total", () => counters.dropped.all);
  publish("weir_callers_refused_total", () => counters.callersRefused.all);
  publish("weir_certificate_days_left", () =>
    credentials().flatMap(({ listener, notAfterMs }) =>
      notAfterMs === undefined ? [] : [{ labels: [listener], value: (notAfterMs - now()) / 86_400_000 }],
    ),
  );
  publish("weir_credentials_problems", () =>
    credentials().map(({ listener, problems }) => ({ labels: [listener], value: problems.length })),
  );
  publish("weir_adapter_calls_total", () => counters.adapterCalls.all);
  publish("weir_adapter_call_duration_seconds", () => adapterLatency.all);
  publish("weir_adapter_breaker_open", () =>
    [...adapters()].flatMap(({ adapter, breakerOpen }) =>
      breakerOpen === undefined ? [] : [{ labels: [adapter], value: Number(breakerOpen) }],
    ),
  );
  publish("weir_adapter_ready", () =>
    Array.from(adapters(), ({ adapter, ready }) => ({ labels: [adapter], value: Number(ready) })),
  );
  publish("weir_limit_units_total", () =>
    bounded(rules(), ({ rule, granted, refused }) =>
      rule.kind !== "limit"
        ? []
        : [
            [[rule.id, "granted"], granted],
            [[rule.id, "refused"], refused],
          ],
    ),
  );
  publish("weir_limit_keys", () => bounded(limitKeys(), ({ rule, keys }) => [[[rule], keys]]));
  publish("weir_limits_degraded_total", () => counters.degraded.all);
  publish("weir_adapter_events_total", () => counters.adapterEvents.all);
  const perLimit = (value: (lease: LeaseState) => number) => (): Cell[] =>
    Array.from(leases(), (lease) => ({ labels: [lease.adapter, lease.limit], value: value(lease) }));
  publish(
    "weir_lease_units",
    perLimit((lease) => lease.units),
  );
  publish(
    "weir_lease_short_units_total",
    perLimit((lease) => lease.short),
  );
  publish(
    "weir_queue_entries",
    perQueue((queue) => queue.entries),
  );
  publish(
    "weir_queue_bytes",
    perQueue((queue) => queue.bytes),
  );
  publish(
    "weir_queue_capacity",
    perQueue((queue) => queue.capacity),
  );
  publish("weir_buffer_entries_total", () => byLabel({ ...buffered }));
  const ofBuffer = (value: (state: JournalState) => number) => (): Cell[] => {
    const state = buffer();
    return state === undefined ? [] : one(value(state));
  };
  publish(
    "weir_buffer_bytes",
    ofBuffer((state) => state.bytes),
  );
  publish(
    "weir_buffer_capacity_bytes",
    ofBuffer((state) => state.capacity),
  );
  publish("weir_cache_lookups_total", () =>
    [...caches()].flatMap(([door, cache, { hits, misses }]) => [
      { labels: [door, cache, "hit"], value: hits },
      { labels: [door, cache, "miss"], value: misses },
    ]),
  );
  publish("weir_reloads_total", () => byLabel({ ok: reloads.ok, refused: reloads.refused }));
  publish("weir_reload_successful", () => one(reloads.successful));
  publish("weir_reload_success_timestamp_seconds", () => one(reloads.successMs / 1000));
  publish("weir_snapshot_info", () =>
    byLabel(Object.fromEntries([loaded()].flatMap((set) => (set ? [[set.version, 1]] : [])))),
  );
  publish("weir_policies", () => one(loaded()?.policies.length ?? 0));
  publish("weir_rules", () => byLabel(kinds(loaded())));
  collectDefaultMetrics({ register: registry });

  return {
    observer,
    records,
    buffered,
    registry,
    render: (format) => expositionText(exposed(registry), format),
  };
}

/** The metrics of a registry, one after the other; those of ours without a list of all samples. */
async function* exposed(registry: Registry): AsyncGenerator<ExposedMetric> {
  const metrics = registry.getMetricsAsArray() as unknown as readonly { get(): Promise<ExposedMetric> }[];
  for (const metric of metrics) {
    if (metric instanceof Published) yield { ...metric, values: metric.samples() };
    else yield await metric.get();
  }
}

/** The series of things of which a policy set may have any number; those beyond the most that a metric has are summed up. */
function bounded<T>(
  things: Iterable<T>,
  samplesOf: (thing: T) => readonly (readonly [labels: readonly string[], value: number])[],
): Cell[] {
  const cells = new Cells(counterCell);
  for (const thing of things) for (const [[a, b], value] of samplesOf(thing)) cells.at(a!, b).value += value;
  return [...cells.all];
}

function byLabel(values: Readonly<Record<string, number>>): Cell[] {
  return Object.entries(values).map(([label, value]) => ({ labels: [label], value }));
}

function kinds(set: LoadedPolicies | undefined): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of [...(set?.checks ?? []), ...(set?.reports ?? [])]) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** A metric as prom-client's registry wants one: asked for its samples when somebody scrapes. */
class Published {
  readonly name: HubMetricName;
  readonly help: string;
  readonly type: HubMetric["type"];
  readonly aggregator = "sum";
  readonly #labels: readonly string[];
  readonly #cells: () => readonly Cell[];

  constructor(name: HubMetricName, cells: () => readonly Cell[]) {
    const { help, type, labels }: HubMetric = hubMetricNames[name];
    this.name = name;
    this.help = help;
    this.type = type;
    this.#labels = labels;
    this.#cells = cells;
  }

  async get(): Promise<ExposedMetric & { readonly aggregator: string }> {
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values: [...this.samples()] };
  }

  /** Its samples as they are when they are taken; those of one histogram are taken at once. */
  *samples(): Generator<ExposedSample> {
    for (const cell of this.#cells()) {
      const labels = Object.fromEntries(this.#labels.map((label, i) => [label, cell.labels[i]!]));
      if (cell instanceof Latency) yield* this.#histogram(cell, labels);
      else yield { labels, value: cell.value };
    }
  }

  #histogram(latency: Latency, labels: Record<string, string>): readonly ExposedSample[] {
    let count = 0;
    const buckets = [...latencyBounds, Infinity].map((le, i) => {
      count += latency.counts[i]!;
      return { metricName: `${this.name}_bucket`, labels: { ...labels, le }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: latency.value },
      { metricName: `${this.name}_count`, labels, value: count },
    ];
  }

  /** The registry may be reset by whoever embeds it; counters of ours only grow. */
  reset(): void {}
}
