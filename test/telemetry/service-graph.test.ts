import test from "ava";
import fc from "fast-check";
import { Layout } from "../../src/attributes/layout.ts";
import { standardVocabulary } from "../../src/attributes/standard-vocabulary.ts";
import { graphAttributes } from "../../src/policy/graph-attributes.ts";
import { createServiceGraph, type GraphEdge } from "../../src/telemetry/graph/service-graph.ts";
import { latencyBoundsMs, Traffic } from "../../src/telemetry/graph/traffic.ts";
import { quantileOf } from "../../src/util/quantile.ts";
import { heapBytes } from "../heap-bytes.ts";
import { bagOf, type Attributes } from "../attributes/bag-of.ts";

function graphOf(options: { windowMs?: number; maxEdges?: number } = {}) {
  let nowMs = 1_800_000_000_000;
  const dropped: string[] = [];
  const graph = createServiceGraph({
    windowMs: options.windowMs ?? 100_000,
    maxEdges: options.maxEdges ?? 100,
    observer: { dropped: (what, reason, by) => void dropped.push(`${what} ${reason} ${by}`) },
    now: () => nowMs,
    random: () => 0.5,
  });
  const layout = new Layout();
  for (const [name, type] of Object.entries(graphAttributes)) layout.declare(name, type);
  const record = graph.recorder(layout);
  const tell = (attributes: Attributes): void => record(bagOf({ layout, vocabulary: standardVocabulary }, attributes));
  const names = ({ source, destination }: GraphEdge) =>
    `${source.name}.${source.namespace} -> ${destination.name}.${destination.namespace}`;
  return {
    tell,
    dropped,
    view: () => graph.view(),
    shown: () => graph.view().edges.map((edge) => `${names(edge)} ${edge.protocol} ${edge.requests}/${edge.errors}`),
    pass: (ms: number) => void (nowMs += ms),
  };
}

const call = (more: Attributes = {}): Attributes => ({
  "source.workload.name": "web",
  "source.workload.namespace": "shop",
  "destination.workload.name": "cart",
  "destination.workload.namespace": "shop",
  "context.protocol": "http",
  "context.reporter.kind": "inbound",
  "response.code": 200,
  "response.duration": "3ms",
  ...more,
});

const judged: readonly (readonly [title: string, attributes: Attributes, shown: readonly string[]])[] = [
  ["a request is an edge", call(), ["web.shop -> cart.shop http 1/0"]],
  ["5xx is a failure", call({ "response.code": 503 }), ["web.shop -> cart.shop http 1/1"]],
  ["4xx is none", call({ "response.code": 404 }), ["web.shop -> cart.shop http 1/0"]],
  ["UNAVAILABLE is a failure", call({ "response.grpc_status": "14" }), ["web.shop -> cart.shop http 1/1"]],
  ["NOT_FOUND is none", call({ "response.grpc_status": "5" }), ["web.shop -> cart.shop http 1/0"]],
  [
    "a connection counts when it closes",
    call({ "context.protocol": "tcp", "connection.event": "close" }),
    ["web.shop -> cart.shop tcp 1/0"],
  ],
  ["and not while it is open", call({ "context.protocol": "tcp", "connection.event": "continue" }), []],
  [
    "flags of a connection are a failure",
    call({ "context.protocol": "tcp", "connection.event": "close", "context.proxy_error_code": "UF" }),
    ["web.shop -> cart.shop tcp 1/1"],
  ],
  [
    "without workloads, account and service name the ends",
    {
      "source.serviceAccount": "front",
      "source.namespace": "shop",
      "destination.service.name": "cart",
      "destination.service.namespace": "shop",
    },
    ["front.shop -> cart.shop  1/0"],
  ],
  ["a host is a service's last name", { "destination.service.host": "api.example" }, ["unknown. -> api.example.  1/0"]],
  ["a record that names no side is left out", { "response.code": 200 }, []],
  [
    "a long name is cut",
    call({ "source.workload.name": "w".repeat(5000) }),
    [`${"w".repeat(253)}.shop -> cart.shop http 1/0`],
  ],
];

for (const [title, attributes, shown] of judged) {
  test(title, (t) => {
    const graph = graphOf();
    graph.tell(attributes);
    t.deepEqual(graph.shown(), shown);
  });
}

test("where both sides report, the server's side is shown; the caller's where that is all there is", (t) => {
  const graph = graphOf();
  for (let i = 0; i < 3; i++) graph.tell(call({ "context.reporter.kind": "outbound" }));
  t.deepEqual(graph.shown(), ["web.shop -> cart.shop http 3/0"]);
  graph.tell(call());
  t.deepEqual(graph.shown(), ["web.shop -> cart.shop http 1/0"]);
});

test("what is older than the window goes, step by step, and rates are of the time that is covered", (t) => {
  const graph = graphOf();
  graph.tell(call());
  t.is(graph.view().spanMs, 1);
  graph.pass(50_000);
  graph.tell(call());
  t.is(graph.view().spanMs, 50_000);
  t.deepEqual(graph.shown(), ["web.shop -> cart.shop http 2/0"]);
  graph.pass(55_000);
  t.deepEqual(graph.shown(), ["web.shop -> cart.shop http 1/0"]);
  t.is(graph.view().spanMs, 95_000);
  graph.pass(100_000);
  t.deepEqual(graph.shown(), []);
});

test("beyond the most edges, idle ones make room; where none is idle the new one is dropped and counted", (t) => {
  const graph = graphOf({ maxEdges: 2 });
  for (const name of ["a", "b", "c"]) graph.tell(call({ "source.workload.name": name }));
  t.deepEqual(graph.dropped, ["graph_edge full 1"]);
  graph.pass(95_000);
  graph.tell(call({ "source.workload.name": "b" }));
  graph.pass(20_000);
  graph.tell(call({ "source.workload.name": "d" }));
  t.deepEqual(graph.shown().sort(), ["b.shop -> cart.shop http 1/0", "d.shop -> cart.shop http 1/0"]);
  t.is(graph.dropped.length, 1);
});

test("the sum of a window is what was counted in its steps, whatever came in which order", (t) => {
  const event = fc.record({
    step: fc.nat(40),
    failed: fc.boolean(),
    ms: fc.oneof(fc.double({ min: 0, max: 1e6 }), fc.constant(NaN)),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const ordered = events.toSorted((a, b) => a.step - b.step);
      const traffic = new Traffic();
      for (const { step, failed, ms } of ordered) traffic.count(1, step, failed, ms);
      const now = ordered.at(-1)?.step ?? 0;
      const within = ordered.filter(({ step }) => step > now - 10);
      const { requests, errors, latency } = traffic.sum(now);
      const buckets = latencyBoundsMs.map(
        (bound, i) => within.filter(({ ms }) => ms <= bound && (i === 0 || ms > latencyBoundsMs[i - 1]!)).length,
      );
      t.deepEqual(latency.slice(0, -1), buckets);
      return requests === within.length && errors === within.filter(({ failed }) => failed).length;
    }),
  );
});

test("a quantile lies within the bucket that holds it", (t) => {
  t.is(quantileOf(0.5, [0, 0, 0], [1, 2]), undefined);
  t.is(quantileOf(0.5, [0, 10, 0], [1, 2]), 1.5);
  t.is(quantileOf(1, [10, 0, 0], [1, 2]), 1);
  t.is(quantileOf(0.99, [1, 0, 99], [1, 2]), 2);
});

test("names that are cut hold nothing of the texts that they were cut out of", (t) => {
  const { tell, view } = graphOf();
  const before = heapBytes();
  for (let i = 0; i < 100; i++) tell(call({ "source.workload.name": String(i).padEnd(1e6, "x") }));
  t.true(heapBytes() - before < 20e6);
  t.is(view().edges.length, 100);
});

test("of more than 2,000 records a second a share is looked at and counts for all, until there are fewer again", (t) => {
  const graph = graphOf();
  const counted = () => graph.view().edges.reduce((sum, { requests }) => sum + requests, 0);
  for (let i = 0; i < 100_000; i++) {
    if (i % 100 === 0) graph.pass(1);
    graph.tell(call());
  }
  t.true(Math.abs(counted() - 100_000) < 1000, String(counted()));
  for (let i = 0; i < 600; i++) {
    graph.pass(10);
    graph.tell(call());
  }
  const before = counted();
  for (let i = 0; i < 10; i++) graph.tell(call());
  t.is(counted(), before + 10);
});
