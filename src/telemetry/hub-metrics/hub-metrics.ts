import { collectDefaultMetrics, Registry, type Metric } from "prom-client";
import type { CheckRule, Snapshot } from "../../policy/snapshot.ts";
import type { CacheCounts } from "../../util/cache-counts.ts";
import type { ExpositionFormat } from "../../util/exposition.ts";
import type { Observer } from "../../util/observer.ts";
import { Cells, counterCell, type Cell } from "./cells.ts";
import { expositionText } from "./exposition-text.ts";
import { createHubCounts } from "./hub-counts.ts";
import type { HubMetricName } from "./names.ts";
import { exposed, Published } from "./published.ts";
import type { BufferCounts } from "../buffer/record-buffer.ts";
import type { JournalState, LeaseState } from "../../sdk/index.ts";
import type { LedgerView } from "../ledger/ledger.ts";
import { isRepeated, type LostAmount } from "../ledger/ledger-state.ts";
import type { QueueState } from "../queues/queues.ts";
import type { RecordCounts } from "../report.ts";

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
  /** What the ledger tells of processes before this one; `undefined` where there is none. */
  readonly ledger: () => LedgerView | undefined;
  /** Whether the store that policies are pushed to can be reached; `undefined` where there is none. */
  readonly policyStoreUp: () => boolean | undefined;
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

export interface AdapterState {
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

/** The hub's own metrics: what was counted is handed to prom-client's registry when somebody scrapes. */
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
  ledger,
  policyStoreUp,
}: HubMetricsOptions): HubMetrics {
  const counts = createHubCounts(now);
  const { counters, callLatency, adapterLatency, plainLatency, phasedLatency, phases } = counts;
  const { observer, decisions, records, buffered, reloads } = counts;
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
  const ofLedger = (cells: (view: LedgerView) => Cell[]) => (): Cell[] => {
    const view = ledger();
    return view === undefined ? [] : cells(view);
  };
  publish(
    "weir_ledger_up",
    ofLedger(({ problem }) => one(problem === undefined ? 1 : 0)),
  );
  publish(
    "weir_process_ends_total",
    ofLedger(({ past }) => byLabel({ ...past?.ends })),
  );
  const amounts = (isWanted: (amount: LostAmount) => boolean, labels: (amount: LostAmount) => string[]) =>
    ofLedger(({ past }) =>
      (past?.lost ?? []).filter(isWanted).map((amount) => ({ labels: labels(amount), value: amount.count })),
    );
  publish(
    "weir_lost_at_end_total",
    amounts(
      (amount) => !isRepeated(amount),
      ({ what, adapter, end }) => [what, adapter, end],
    ),
  );
  publish(
    "weir_repeated_at_end_total",
    amounts(isRepeated, ({ adapter, end }) => [adapter, end]),
  );
  publish("weir_policy_store_up", () => {
    const isUp = policyStoreUp();
    return isUp === undefined ? [] : one(isUp ? 1 : 0);
  });
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
