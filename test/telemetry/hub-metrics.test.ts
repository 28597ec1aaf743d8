import { readdirSync, readFileSync } from "node:fs";
import test from "ava";
import promClient from "prom-client";
import { parseExposition } from "../../adapters/prometheus/exposition-parser.ts";
import { hubMetricNames, type HubMetric } from "../../src/telemetry/hub-metrics/names.ts";
import { createHubMetrics, type HubMetrics } from "../../src/telemetry/hub-metrics/hub-metrics.ts";
import type { ExpositionFormat } from "../../src/util/exposition.ts";
import { snapshotOf } from "./hub.ts";

function create(options: Partial<Parameters<typeof createHubMetrics>[0]> = {}): HubMetrics {
  return createHubMetrics({
    version: "1.2.3",
    now: () => 5_000,
    loaded: () => undefined,
    queues: () => [],
    leases: () => [],
    rules: () => [],
    limitKeys: () => [],
    adapters: () => [],
    caches: () => [],
    buffer: () => undefined,
    credentials: () => [],
    ledger: () => undefined,
    policyStoreUp: () => undefined,
    ...options,
  });
}

async function textOf(metrics: HubMetrics, format: ExpositionFormat): Promise<string> {
  let text = "";
  for await (const piece of metrics.render(format)) text += piece;
  return text;
}

/** Samples of one hub metric as `label=value,...` to number. */
async function samples(metrics: HubMetrics, name: string, part = name): Promise<Record<string, number>> {
  const family = parseExposition(await textOf(metrics, "prometheus"), "prometheus").get(name)!;
  return Object.fromEntries(
    [...family.samples]
      .filter(([key]) => key.startsWith(`${part}{`))
      .map(([key, value]) => [Object.values(JSON.parse(key.slice(key.indexOf("{"))) as object).join(" "), value]),
  );
}

test("what rooms tell is counted under its labels", async (t) => {
  const metrics = create();
  const { observer } = metrics;
  observer.call("mixer", "Check", "OK", 0.02);
  observer.call("mixer", "Check", "OK", 2);
  observer.call("mixer", "Check", "UNAVAILABLE", 1);
  observer.decision(true, 0.01);
  observer.decision(false, 0.01);
  observer.decision(true, 0.01);
  observer.refusal("p/r", "enforce");
  observer.refusal("p/r", "observe");
  observer.ruleFault("p/r", "when", "absence");
  observer.adapterCall("redis", "quota", "timeout", 1000);
  observer.adapterEvent("list", "refreshed", 2);
  observer.adapterEvent("list", "refreshed", -2);
  observer.dropped("log_entry", "closed", 3);
  observer.callerRefused("mixer", "attribute");
  metrics.records.taken += 4;
  t.deepEqual(await samples(metrics, "weir_calls_total"), { "mixer Check OK": 2, "mixer Check UNAVAILABLE": 1 });
  t.deepEqual(await samples(metrics, "weir_decisions_total"), { allowed: 2, refused: 1 });
  t.deepEqual(await samples(metrics, "weir_rule_refusals_total"), { "p/r enforce": 1, "p/r observe": 1 });
  t.deepEqual(await samples(metrics, "weir_rule_faults_total"), { "p/r when absence": 1 });
  t.deepEqual(await samples(metrics, "weir_adapter_calls_total"), { "redis quota timeout": 1 });
  t.deepEqual(await samples(metrics, "weir_adapter_events_total"), { "list refreshed": 2 });
  t.deepEqual(await samples(metrics, "weir_dropped_total"), { "log_entry closed": 3 });
  t.deepEqual(await samples(metrics, "weir_callers_refused_total"), { "mixer attribute": 1 });
  t.deepEqual(await samples(metrics, "weir_records_total"), { taken: 4, full: 0 });
  t.deepEqual(await samples(metrics, "weir_build_info"), { [`1.2.3 ${process.version}`]: 1 });
});

test("a decision is counted once, and its time in the phases that it had", async (t) => {
  const metrics = create();
  metrics.observer.decision(true, 1);
  metrics.observer.decision(true, 10, 4, 5);
  metrics.observer.decision(false, 3, undefined, 2);
  const counts = await samples(
    metrics,
    "weir_decision_phase_duration_seconds",
    "weir_decision_phase_duration_seconds_count",
  );
  t.deepEqual(counts, { rules: 3, asks: 1, limits: 2 });
  const sums = await samples(
    metrics,
    "weir_decision_phase_duration_seconds",
    "weir_decision_phase_duration_seconds_sum",
  );
  for (const [phase, seconds] of [
    ["rules", 0.003],
    ["asks", 0.004],
    ["limits", 0.007],
  ] as const)
    t.true(Math.abs(sums[phase]! - seconds) < 1e-12, phase);
  const total = await samples(metrics, "weir_decision_duration_seconds", "weir_decision_duration_seconds_count");
  t.deepEqual(total, { "": 3 });
});

test("a phase that no decision had is not shown", async (t) => {
  const metrics = create();
  metrics.observer.decision(true, 1);
  const counts = await samples(
    metrics,
    "weir_decision_phase_duration_seconds",
    "weir_decision_phase_duration_seconds_count",
  );
  t.deepEqual(counts, { rules: 1 });
});

test("rules, limits, adapters and caches are read when somebody scrapes", async (t) => {
  const { checks } = await snapshotOf(`
policy: p
check:
  - { name: d, deny: permission_denied }
  - { name: l, limit: 5/s }
`);
  const metrics = create({
    rules: () => checks.map((rule) => ({ rule, applied: 7, granted: 5, refused: 2 })),
    limitKeys: () => [{ rule: "p/l", keys: 3 }],
    adapters: () => [
      { adapter: "redis", ready: false, breakerOpen: true },
      { adapter: "memory", ready: true, breakerOpen: false },
      { adapter: "stdout", ready: true },
    ],
    caches: () => [["mixer", "words", { hits: 9, misses: 1 }]],
  });
  t.deepEqual(await samples(metrics, "weir_rule_matches_total"), { "p/d": 7, "p/l": 7 });
  t.deepEqual(await samples(metrics, "weir_limit_units_total"), { "p/l granted": 5, "p/l refused": 2 });
  t.deepEqual(await samples(metrics, "weir_limit_keys"), { "p/l": 3 });
  t.deepEqual(await samples(metrics, "weir_adapter_breaker_open"), { redis: 1, memory: 0 });
  t.deepEqual(await samples(metrics, "weir_adapter_ready"), { redis: 0, memory: 1, stdout: 1 });
  t.deepEqual(await samples(metrics, "weir_cache_lookups_total"), { "mixer words hit": 9, "mixer words miss": 1 });
});

test("certificates of listeners: the days that are left, and what is wrong with their files", async (t) => {
  const metrics = create({
    now: () => 0,
    credentials: () => [
      { listener: "grpc", problems: ["tls.key: no"], notAfterMs: 36 * 3_600_000 },
      { listener: "admin", problems: [] },
    ],
  });
  t.deepEqual(await samples(metrics, "weir_certificate_days_left"), { grpc: 1.5 });
  t.deepEqual(await samples(metrics, "weir_credentials_problems"), { grpc: 1, admin: 0 });
});

test("durations are cumulated in seconds; a clock that was set back counts as no time", async (t) => {
  const metrics = create();
  for (const ms of [0.01, 0.011, 2.5, 20_000, -5, NaN]) metrics.observer.decision(true, ms);
  const buckets = await samples(metrics, "weir_decision_duration_seconds", "weir_decision_duration_seconds_bucket");
  t.is(buckets["0.00001"], 3);
  t.is(buckets["0.000025"], 4);
  t.is(buckets["0.001"], 4);
  t.is(buckets["0.0025"], 5);
  t.is(buckets["10"], 5);
  t.is(buckets["+Inf"], 6);
  const [sum] = Object.values(
    await samples(metrics, "weir_decision_duration_seconds", "weir_decision_duration_seconds_sum"),
  );
  t.true(Math.abs(sum! - 20.002521) < 1e-9);
  t.deepEqual(await samples(metrics, "weir_decision_duration_seconds", "weir_decision_duration_seconds_count"), {
    "": 6,
  });
});

test("a reload tells result and time; a refused one keeps the time of the last good one", async (t) => {
  let now = 5_000;
  const metrics = create({ now: () => now });
  t.deepEqual(await samples(metrics, "weir_reload_successful"), { "": 0 });
  metrics.observer.reload(true, "a");
  now = 9_000;
  metrics.observer.reload(false, "b");
  t.deepEqual(await samples(metrics, "weir_reloads_total"), { ok: 1, refused: 1 });
  t.deepEqual(await samples(metrics, "weir_reload_successful"), { "": 0 });
  t.deepEqual(await samples(metrics, "weir_reload_success_timestamp_seconds"), { "": 5 });
});

test("gauges are read when somebody scrapes", async (t) => {
  const snapshot = await snapshotOf(`
policy: p
check:
  - { name: d, deny: permission_denied }
  - { name: l, limit: 5/s }
report:
  - { metric: m_total, type: counter }
`);
  const queue = { adapter: "stdout", capability: "logs", entries: 2, bytes: 10, capacity: 100 } as const;
  const metrics = create({ loaded: () => snapshot, queues: () => [queue, queue, { ...queue, capability: "spans" }] });
  t.deepEqual(await samples(metrics, "weir_snapshot_info"), { [snapshot.version]: 1 });
  t.deepEqual(await samples(metrics, "weir_policies"), { "": 1 });
  t.deepEqual(await samples(metrics, "weir_rules"), { deny: 1, limit: 1, metric: 1 });
  t.deepEqual(await samples(metrics, "weir_queue_entries"), { "stdout logs": 4, "stdout spans": 2 });
  t.deepEqual(await samples(metrics, "weir_queue_bytes"), { "stdout logs": 20, "stdout spans": 10 });
  t.deepEqual(await samples(metrics, "weir_queue_capacity"), { "stdout logs": 200, "stdout spans": 100 });
});

test("a metric has a most of series, and counts the rest under other", async (t) => {
  const metrics = create();
  for (let i = 0; i < 25_000; i++) metrics.observer.refusal(`p/${i}`, "enforce");
  const found = await samples(metrics, "weir_rule_refusals_total");
  t.is(Object.keys(found).length, 20_001);
  t.is(found["other other"], 5_000);
});

test("many series come in pieces that end with a line, and between two of them others get their turn", async (t) => {
  const metrics = create();
  for (let i = 0; i < 5000; i++) metrics.observer.refusal(`policy-${i}/rule`, "enforce");
  let turns = 0;
  let pieces = 0;
  let turn = setImmediate(function next() {
    turns++;
    turn = setImmediate(next);
  });
  for await (const piece of metrics.render("prometheus")) {
    pieces++;
    t.true(piece.endsWith("\n"));
    t.true(piece.length < 20_000, `a piece of ${piece.length} characters`);
  }
  clearImmediate(turn);
  t.true(pieces > 10);
  t.true(turns >= pieces - 1, `${turns} turns in ${pieces} pieces`);
});

test("both formats show the process's metrics too, again and again, and no registry but our own is touched", async (t) => {
  const metrics = create();
  metrics.observer.call("mixer", "Check", "OK", 1);
  for (let i = 0; i < 2; i++) {
    const plain = parseExposition(await textOf(metrics, "prometheus"), "prometheus");
    t.is(plain.get("process_cpu_seconds_total")!.type, "counter");
    t.is(plain.get("nodejs_eventloop_lag_seconds")!.type, "gauge");
    t.is(plain.get("weir_calls_total")!.type, "counter");
    const open = parseExposition(`${await textOf(metrics, "openmetrics")}# EOF\n`, "openmetrics");
    t.is(open.get("process_cpu_seconds")!.type, "counter");
    t.is(open.get("weir_calls")!.type, "counter");
  }
  t.deepEqual(promClient.register.getMetricsAsArray(), []);
});

test("what processes before this one lost is counted, and what was counted twice apart from it", async (t) => {
  const lost = [
    { end: "killed", what: "span", adapter: "traces", count: 5 },
    { end: "stopped", what: "scraped_sample", adapter: "prometheus", count: 0 },
    { end: "killed", what: "repeated_sample", adapter: "otlp", count: 7 },
  ] as const;
  const view = { path: "ledger", problem: undefined, past: { ends: { killed: 2, stopped: 1 }, lost } };
  const metrics = create({ ledger: () => view });
  t.deepEqual(await samples(metrics, "weir_lost_at_end_total"), {
    "span traces killed": 5,
    "scraped_sample prometheus stopped": 0,
  });
  t.deepEqual(await samples(metrics, "weir_repeated_at_end_total"), { "otlp killed": 7 });
  t.deepEqual(await samples(metrics, "weir_process_ends_total"), { killed: 2, stopped: 1 });
  t.deepEqual(await samples(metrics, "weir_ledger_up"), { "": 1 });
  const away = create({ ledger: () => ({ path: "ledger", problem: "in use" }) });
  t.deepEqual(await samples(away, "weir_ledger_up"), { "": 0 });
  t.deepEqual(await samples(away, "weir_lost_at_end_total"), {}, "not known, which is not 0");
});

test("every metric of the table is shown, with its labels, and none that is not in it", async (t) => {
  const metrics = create();
  const shown = [...parseExposition(await textOf(metrics, "prometheus"), "prometheus")]
    .filter(([name]) => name.startsWith("weir_"))
    .map(([name, { type, help }]) => [name, type, help]);
  const table: [string, HubMetric][] = Object.entries(hubMetricNames);
  t.deepEqual(
    shown,
    table.map(([name, { type, help }]) => [name, type, help]),
  );
});

test("docs/metrics.md has every metric as the table has it, and none besides", (t) => {
  const rows = readFileSync("docs/metrics.md", "utf8").matchAll(
    /^\| `(weir_\w+)` *\| (\w+) *\| ([^|]*?) *\| (.*?) *\|$/gm,
  );
  const documented = [...rows].map(([, name, type, labels, help]) => [
    name,
    type,
    labels!.replaceAll(/[`\s]/g, ""),
    help,
  ]);
  const table: [string, HubMetric][] = Object.entries(hubMetricNames);
  t.deepEqual(
    documented,
    table.map(([name, { type, labels, help }]) => [name, type, labels.join(","), help]),
  );
});

test("docs/metrics.md names everything that the code says it drops", (t) => {
  const page = readFileSync("docs/metrics.md", "utf8");
  const rows = [...page.matchAll(/^\| (`\w+`(?:, `\w+`)*) *\| (`\w+`.*?) *\|/gm)];
  const dropped = readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => [...readFileSync(`src/${file}`, "utf8").matchAll(/\.dropped\("(\w+)", (?:"(\w+)")?/g)]);
  t.true(dropped.length > 5);
  for (const [, what, reason] of dropped) {
    const row = rows.find(([, whats, reasons]) => whats!.includes(`\`${what}\``) && reasons!.includes(reason ?? ""));
    t.truthy(row, `${what} ${reason}`);
  }
});
