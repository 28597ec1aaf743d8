/** Makes spans of records, queues and encodes them, without a door, and prints what that took as JSON. Run by `span-rows.ts`. */
import { setImmediate } from "node:timers/promises";
import { encodeScope } from "../../adapters/otlp/encoding.ts";
import { SpanEncoder } from "../../adapters/otlp/encode-spans.ts";
import { Bag } from "../../src/attributes/bag.ts";
import { compilePolicies } from "../../src/policy/index.ts";
import { defineAdapter, type Adapter, type Span } from "../../src/sdk/index.ts";
import { spans as cargo } from "../../src/telemetry/queues/cargo.ts";
import { createQueues } from "../../src/telemetry/queues/queues.ts";
import { createReporter } from "../../src/telemetry/report.ts";
import { createTraceIds } from "../../src/util/trace-ids.ts";
import { systemTimers, type Timers } from "../../src/util/timers.ts";
import { fillBag } from "../../src/wire/http/attributes.ts";
import { randomBytes } from "node:crypto";
import { builtinAdapters } from "../../adapters/index.ts";
import { z } from "zod";
import type { Observer } from "../../src/util/observer.ts";
import { seeded } from "./random.ts";
import { silentLog } from "./silent.ts";

export interface SpanCosts {
  /** CPU of a span in nanoseconds: making it of a record, conditions and conventions and all, and queueing and encoding it. */
  readonly makeNs: number;
  readonly encodeNs: number;
  /** Bytes of a span on the wire. */
  readonly bytes: number;
}

const traces = defineAdapter({
  name: "traces",
  provides: ["spans"],
  config: z.strictObject({}),
  create: () => ({ spans: () => undefined }),
});
const compiled = await compilePolicies({
  config: { path: "weir.yaml", text: "adapters: { traces: {} }\ntelemetry: { mesh: none, graph: { window: 0s } }\n" },
  files: [{ path: "traces.yaml", text: "policy: traces\nreport: [{ span: mesh, to: traces }]\n" }],
  adapters: new Map<string, Adapter>([...builtinAdapters, [traces.name, traces]]),
  folder: process.cwd(),
});
if ("problems" in compiled) throw new Error(compiled.problems[0]!.message);
const { snapshot } = compiled;

/** Counts nothing: what is measured is spans. */
const observer = new Proxy({} as Observer, { get: () => () => undefined });
/** Runs what is due at once in the next turn: a timer of Node takes a millisecond, in which this would only spin. */
const timers: Timers = {
  after(ms, job) {
    if (ms > 0) return systemTimers.after(ms, job);
    const turn = globalThis.setImmediate(job);
    return () => clearImmediate(turn);
  },
};
const outside = { observer, log: silentLog, now: Date.now, random: Math.random, timers };
const queues = createQueues({ ...outside, limits: { delayMs: 0 } });
const encoder = new SpanEncoder({}, encodeScope());
const kept: (readonly Span[])[] = [];
const reporter = createReporter({
  snapshot,
  instanceOf: () => ({ spans: (batch) => void kept.push(batch) }),
  queues,
  observer,
  counts: { taken: 0, full: 0 },
  now: Date.now,
  traceIds: createTraceIds(randomBytes),
  log: silentLog,
});

/** Records of a mesh, as many as one batch of the queue holds. */
const batch = 512;
const random = seeded(1);
const bags = Array.from({ length: batch }, (_, i) => {
  const bag = new Bag(snapshot.reportLayout);
  const hex = (digits: number): string => `1${random.hex(digits - 1)}`;
  fillBag(bag, snapshot.vocabulary, {
    "context.protocol": "http",
    "context.reporter.kind": i % 2 === 0 ? "inbound" : "outbound",
    "source.workload.name": `client-${i % 20}`,
    "source.workload.namespace": "shop",
    "source.ip": `10.0.0.${i % 250}`,
    "destination.workload.name": `server-${i % 20}`,
    "destination.workload.namespace": "shop",
    "destination.service.host": `server-${i % 20}.shop.svc.cluster.local`,
    "destination.port": 8080,
    "request.headers": { traceparent: `00-${hex(32)}-${hex(16)}-01` },
    "request.id": hex(32),
    "request.method": "GET",
    "request.scheme": "http",
    "request.protocol": "HTTP/1.1",
    "request.path": `/items/${i}?page=2`,
    "request.useragent": "curl/8",
    "request.size": 0,
    "request.time": "2026-01-01T00:00:00.25Z",
    "response.code": 200,
    "response.size": 1200 + i,
    "response.duration": "0.0125s",
  });
  return bag;
});

/** Nanoseconds of CPU of each of `count` steps: a low percentile over rounds, so that what else the machine does counts least. */
async function measured(count: number, step: () => void | Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 400; round++) {
    const before = process.cpuUsage();
    await step();
    const { user, system } = process.cpuUsage(before);
    times.push(((user + system) * 1000) / count);
  }
  // The first rounds are those in which code is compiled.
  return times.slice(100).sort((a, b) => a - b)[15]!;
}

const makeNs = await measured(batch * 4, async () => {
  for (let i = 0; i < 4; i++) {
    for (const bag of bags) if (reporter.report(bag) !== "taken") throw new Error("a record was not taken");
    kept.length = 0;
    while (kept.length === 0) await setImmediate();
  }
});
const spans = kept[0]!;
let bytes = 0;
let encoded = 0;
const queue = createQueues({ ...outside, limits: { delayMs: 0 } }).hold(
  cargo,
  "traces",
  {
    spans(each) {
      bytes = encoder.encode(each, 0).message.length / each.length;
      encoded += each.length;
    },
  },
  { entries: 10_000, journal: undefined, maxAgeMs: 0 },
);
const encodeNs = await measured(batch * 4, async () => {
  encoded = 0;
  for (let i = 0; i < 4; i++) for (const span of spans) queue.push(span);
  while (encoded < batch * 4) await setImmediate();
});
const costs: SpanCosts = { makeNs, encodeNs, bytes };
process.stdout.write(`${JSON.stringify(costs)}\n`);
process.exit();
