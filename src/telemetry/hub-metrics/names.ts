/** The upper bounds of every latency that the hub measures, in seconds: a check takes microseconds, a backend a second. */
export const latencyBounds: readonly number[] = [
  0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
  1, 2.5, 5, 10,
];

/**
 * Every metric of the hub's own, beside those of the process and of Node (`process_*`, `nodejs_*`, by prom-client).
 * `docs/metrics.md` explains each; a test holds the two together. A name that was published keeps its meaning.
 */
export const hubMetricNames = {
  weir_build_info: { type: "gauge", labels: ["version", "node"], help: "Always 1. Which Weir runs, on which Node." },
  weir_calls_total: {
    type: "counter",
    labels: ["door", "method", "code"],
    help: "Calls that ended at a door, by status.",
  },
  weir_call_duration_seconds: { type: "histogram", labels: ["door", "method"], help: "How long calls took at a door." },
  weir_decisions_total: { type: "counter", labels: ["outcome"], help: "Decisions: allowed or refused." },
  weir_decision_duration_seconds: {
    type: "histogram",
    labels: [],
    help: "How long decisions took, adapters included.",
  },
  weir_decision_phase_duration_seconds: {
    type: "histogram",
    labels: ["phase"],
    help: "How long decisions took for rules, for the asks that were waited for, and for limits.",
  },
  weir_rule_matches_total: {
    type: "counter",
    labels: ["rule"],
    help: "Requests, or descriptors, that a check rule applied to.",
  },
  weir_rule_refusals_total: {
    type: "counter",
    labels: ["rule", "mode"],
    help: "Requests that a rule refused, or would have in mode observe.",
  },
  weir_quota_requests_total: {
    type: "counter",
    labels: ["rule", "outcome"],
    help: "Requests that proxies which keep to a limit by themselves reported: allowed or denied.",
  },
  weir_rule_faults_total: {
    type: "counter",
    labels: ["rule", "part", "kind"],
    help: "Parts of rules that could not be evaluated: absence of an attribute, or a fault.",
  },
  weir_records_total: {
    type: "counter",
    labels: ["outcome"],
    help: "Reported records: taken, or full where one found a queue without room: it and those after it in its message wait at the caller.",
  },
  weir_dropped_total: { type: "counter", labels: ["what", "reason"], help: "Things left out or thrown away." },
  weir_callers_refused_total: {
    type: "counter",
    labels: ["at", "reason"],
    help: "Callers that were turned away, at a listener or at a door.",
  },
  weir_certificate_days_left: {
    type: "gauge",
    labels: ["listener"],
    help: "Days until the certificate that a listener serves expires.",
  },
  weir_credentials_problems: {
    type: "gauge",
    labels: ["listener"],
    help: "What is wrong with the files of a listener's certificates and tokens; the certificate from before is served.",
  },
  weir_adapter_calls_total: {
    type: "counter",
    labels: ["adapter", "capability", "outcome"],
    help: "Calls to adapters: ok, fault, timeout, busy or open (circuit breaker).",
  },
  weir_adapter_call_duration_seconds: {
    type: "histogram",
    labels: ["adapter", "capability"],
    help: "How long calls to adapters took.",
  },
  weir_adapter_breaker_open: {
    type: "gauge",
    labels: ["adapter"],
    help: "1 while the circuit breaker keeps calls from an adapter, else 0.",
  },
  weir_adapter_ready: {
    type: "gauge",
    labels: ["adapter"],
    help: "1 when an adapter says that it can serve, 0 when it says why it cannot or does not take what is offered to it again.",
  },
  weir_limit_units_total: {
    type: "counter",
    labels: ["rule", "outcome"],
    help: "Units that a limit granted, and units that were refused because it was used up.",
  },
  weir_limit_keys: {
    type: "gauge",
    labels: ["rule"],
    help: "Keys of which a limit holds a count, where its adapter knows.",
  },
  weir_limits_degraded_total: {
    type: "counter",
    labels: ["rule", "reason"],
    help: "Decisions of limits whose store did not answer, so that onError did: fault, timeout, busy or open (circuit breaker).",
  },
  weir_adapter_events_total: { type: "counter", labels: ["adapter", "event"], help: "Events that adapters count." },
  weir_lease_units: {
    type: "gauge",
    labels: ["adapter", "limit"],
    help: "Units of a bounded limit that this hub has taken ahead and not used.",
  },
  weir_lease_short_units_total: {
    type: "counter",
    labels: ["adapter", "limit"],
    help: "Units of a bounded limit that this hub refused while other hubs held as many: at most so many more an exact limit would have admitted.",
  },
  weir_queue_entries: {
    type: "gauge",
    labels: ["adapter", "capability"],
    help: "Log entries (logs) or spans that wait for an adapter.",
  },
  weir_queue_bytes: {
    type: "gauge",
    labels: ["adapter", "capability"],
    help: "Estimated bytes of what waits for an adapter.",
  },
  weir_queue_capacity: {
    type: "gauge",
    labels: ["adapter", "capability"],
    help: "How many log entries or spans may wait for an adapter.",
  },
  weir_buffer_entries_total: {
    type: "counter",
    labels: ["outcome"],
    help: "Log entries, spans and groups of samples that a buffer beside memory has stored, those that went by it (spilled), and those that it may not have stored, whose callers were told so (refused).",
  },
  weir_buffer_bytes: { type: "gauge", labels: [], help: "What the buffer beside memory holds." },
  weir_buffer_capacity_bytes: { type: "gauge", labels: [], help: "What the buffer beside memory may hold." },
  weir_cache_lookups_total: {
    type: "counter",
    labels: ["door", "cache", "outcome"],
    help: "What doors looked for in their caches: hit or miss.",
  },
  weir_reloads_total: { type: "counter", labels: ["result"], help: "Policy sets that were loaded (ok) or refused." },
  weir_reload_successful: {
    type: "gauge",
    labels: [],
    help: "1 when the last policy set was loaded, 0 when it was refused.",
  },
  weir_reload_success_timestamp_seconds: {
    type: "gauge",
    labels: [],
    help: "When a policy set was last loaded, in seconds since 1970.",
  },
  weir_snapshot_info: {
    type: "gauge",
    labels: ["version"],
    help: "Always 1. The version of the policy set that serves.",
  },
  weir_ledger_up: {
    type: "gauge",
    labels: [],
    help: "1 while the ledger of what a kill would lose is written, 0 while it cannot be. Left out where there is none.",
  },
  weir_process_ends_total: {
    type: "counter",
    labels: ["end"],
    help: "Processes of this hub that have ended before this one, by the ledger: in order (stopped) or not (killed).",
  },
  weir_lost_at_end_total: {
    type: "counter",
    labels: ["what", "adapter", "end"],
    help: "What processes of this hub that have ended took with them, by the ledger: at most so much.",
  },
  weir_repeated_at_end_total: {
    type: "counter",
    labels: ["adapter", "end"],
    help: "Samples of metrics that a buffer brought again after the end of a process, by the ledger: at most so many were counted twice.",
  },
  weir_policy_store_up: {
    type: "gauge",
    labels: [],
    help: "1 while pushed policies can be had from their store, 0 while not; what serves goes on then. Left out where none are pushed.",
  },
  weir_policies: {
    type: "gauge",
    labels: [],
    help: "Policies of the set that serves, with those that ship with Weir.",
  },
  weir_rules: { type: "gauge", labels: ["kind"], help: "Rules of the set that serves, by kind." },
} as const satisfies Record<string, HubMetric>;

export interface HubMetric {
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
}

export type HubMetricName = keyof typeof hubMetricNames;
