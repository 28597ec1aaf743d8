import test from "ava";
import { Fault } from "../../src/attributes/fault.ts";
import type { Span } from "../../src/sdk/index.ts";
import { clientSideOf } from "../../src/telemetry/rules/span-rule.ts";
import { recordOf, type Attributes } from "../attributes/bag-of.ts";
import { snapshotOf, TestHub } from "./hub.ts";

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const span = "00f067aa0ba902b7";
const parent = "05e3ac9a4f6e3b90";
const traceparent = `00-${trace}-${span}-01`;

const request: Attributes = {
  "context.protocol": "http",
  "context.reporter.kind": "inbound",
  "source.workload.name": "productpage-v1",
  "source.workload.namespace": "bookinfo",
  "source.ip": "10.0.0.1",
  "source.port": 51000,
  "destination.workload.name": "reviews-v1",
  "destination.workload.namespace": "bookinfo",
  "destination.name": "reviews-v1-abc",
  "destination.ip": "10.0.0.2",
  "destination.port": 9080,
  "destination.service.host": "reviews.bookinfo.svc.cluster.local",
  "request.headers": { traceparent },
  "request.id": "r-1",
  "request.method": "GET",
  "request.scheme": "http",
  "request.protocol": "HTTP/1.1",
  "request.path": "/reviews/1?token=secret",
  "request.useragent": "curl/8",
  "request.size": 0,
  "request.time": "2026-01-01T00:00:00.25Z",
  "response.code": 200,
  "response.size": 12,
  "response.duration": "0.0125s",
  "context.proxy_error_code": "-",
  "check.decision_id": "d-1",
};

/** The spans that records give by one rule, and what was counted. */
async function traced(rule: string, ...records: readonly Attributes[]): Promise<{ spans: Span[]; told: string[] }> {
  const hub = new TestHub({ limits: { delayMs: 0 } });
  const snapshot = await snapshotOf(
    `policy: p\nreport:\n  - span: mesh\n    to: traces\n    ${rule.replaceAll(/\n\s*/g, "\n    ")}\n`,
  );
  const reporter = hub.reporter(snapshot);
  for (const record of records) reporter.report(recordOf(snapshot, record));
  await hub.clock.advance(0);
  return { spans: hub.spans, told: hub.observer.take().filter((line) => !line.startsWith("adapter")) };
}

async function one(rule: string, record: Attributes): Promise<Span> {
  const { spans, told } = await traced(rule, record);
  if (spans.length !== 1 || told.length > 0) throw new Error(`${spans.length} spans; ${told.join(", ")}`);
  return spans[0]!;
}

const outbound = { ...request, "context.reporter.kind": "outbound" };

test("a report of the server's side is a span of a server, with all that conventions ask for", async (t) => {
  const { spanId, ...rest } = await one("", request);
  t.regex(spanId, /^[0-9a-f]{16}$/);
  t.deepEqual(rest, {
    traceId: trace,
    parentId: span,
    name: "GET",
    kind: "server",
    startMs: Date.UTC(2026, 0, 1) + 250,
    endMs: Date.UTC(2026, 0, 1) + 262.5,
    failed: false,
    service: { name: "reviews-v1", namespace: "bookinfo", instance: "reviews-v1-abc" },
    peer: { name: "productpage-v1", ip: "10.0.0.1", port: 51000 },
    attributes: {
      "http.request.method": "GET",
      "url.scheme": "http",
      "url.path": "/reviews/1",
      "http.response.status_code": 200,
      "network.protocol.name": "http",
      "network.protocol.version": "1.1",
      "server.address": "reviews.bookinfo.svc.cluster.local",
      "server.port": 9080,
      "client.address": "10.0.0.1",
      "network.peer.address": "10.0.0.1",
      "network.peer.port": 51000,
      "user_agent.original": "curl/8",
      "http.request.body.size": 0,
      "http.response.body.size": 12,
      "weir.request_id": "r-1",
      "weir.decision_id": "d-1",
    },
  });
});

test("a report of the caller's side is a span of a client, at the caller's workload", async (t) => {
  const { kind, service, peer, attributes } = await one("", { ...outbound, "upstream.ip": "10.0.0.9" });
  t.is(kind, "client");
  t.deepEqual(service, { name: "productpage-v1", namespace: "bookinfo" });
  t.deepEqual(peer, { name: "reviews-v1", ip: "10.0.0.9", port: 9080 });
  t.is(attributes["network.peer.address"], "10.0.0.9");
  t.is(attributes["client.address"], undefined);
});

test("a call of gRPC is named by its method, and says what conventions for calls ask for", async (t) => {
  const grpc = {
    ...request,
    "context.protocol": "grpc",
    "request.path": "/shop.Cart/Add",
    "response.grpc_status": "14",
    "response.grpc_message": "try later",
  };
  const { name, failed, message, attributes } = await one("", grpc);
  t.deepEqual([name, failed, message], ["shop.Cart/Add", true, "try later"]);
  t.like(attributes, {
    "rpc.system.name": "grpc",
    "rpc.method": "shop.Cart/Add",
    "rpc.response.status_code": "UNAVAILABLE",
    "error.type": "UNAVAILABLE",
  });
  t.is(attributes["http.request.method"], undefined);
});

const endings: readonly [what: string, record: Attributes, failed: boolean, type?: string][] = [
  ["a server that answers 404", { "response.code": 404 }, false],
  ["a client that is answered 404", { ...outbound, "response.code": 404 }, true, "404"],
  ["a server that answers 503", { "response.code": 503 }, true, "503"],
  ["no answer at all", { "response.code": 0, "context.proxy_error_code": "DC" }, true, "DC"],
  ["no code and no flags", { "response.code": undefined }, false],
  ["a server of gRPC whose caller is wrong", { "context.protocol": "grpc", "response.grpc_status": "5" }, false],
  [
    "a client of gRPC that is wrong",
    { ...outbound, "context.protocol": "grpc", "response.grpc_status": "5" },
    true,
    "NOT_FOUND",
  ],
  [
    "a status of gRPC that is no number",
    { "context.protocol": "grpc", "response.grpc_status": "internal" },
    true,
    "INTERNAL",
  ],
];

for (const [what, record, failed, type] of endings) {
  test(`whether a span failed: ${what}`, async (t) => {
    const given = Object.fromEntries(
      Object.entries({ ...request, ...record }).filter(([, value]) => value !== undefined),
    );
    const made = await one("", given);
    t.is(made.failed, failed);
    t.is(made.attributes["error.type"], type);
  });
}

test("a rule may name each part of a span itself", async (t) => {
  const made = await one(
    `operation: '"call " + request.method'
     spanKind: internal
     failed: response.code == 200
     service: '"front"'
     trace: request.headers["x-trace"]
     id: request.headers["x-id"]
     parent: request.headers["x-parent"]
     start: response.time
     end: context.time
     attributes: { plan: 'request.headers["x-plan"]', url.path: '"/"', user_agent.original: 'request.headers["none"]' }`,
    {
      ...request,
      "request.headers": {
        traceparent,
        "x-trace": "ABCDEF0123456789",
        "x-id": "1".repeat(16),
        "x-parent": "2".repeat(16),
        "x-plan": "gold",
      },
      "response.time": "2026-01-01T00:00:01Z",
      "context.time": "2026-01-01T00:00:02Z",
    },
  );
  t.like(made, {
    traceId: "0000000000000000abcdef0123456789",
    spanId: "1".repeat(16),
    parentId: "2".repeat(16),
    name: "call GET",
    kind: "internal",
    failed: true,
    service: { name: "front" },
    startMs: Date.UTC(2026, 0, 1, 0, 0, 1),
    endMs: Date.UTC(2026, 0, 1, 0, 0, 2),
  });
  t.like(made.attributes, { plan: "gold", "url.path": "/" });
  t.false("user_agent.original" in made.attributes);
});

test("an identifier that is none counts as a fault and as absent", async (t) => {
  const { spans, told } = await traced(
    `trace: '"x"'
id: '"y"'
parent: '"00"'`,
    request,
  );
  t.is(spans.length, 1);
  t.regex(spans[0]!.traceId, /^[0-9a-f]{32}$/);
  t.not(spans[0]!.traceId, trace);
  t.is(spans[0]!.parentId, undefined);
  t.deepEqual(told, ["fault p/mesh trace", "fault p/mesh id", "fault p/mesh parent"]);
});

test("no span is its own parent", async (t) => {
  const made = await one(`id: request.headers["x-b3-spanid"]`, {
    ...request,
    "request.headers": { "x-b3-traceid": trace, "x-b3-spanid": span },
  });
  t.deepEqual([made.spanId, made.parentId], [span, undefined]);
});

test("with new identifiers each report is a span of its own under that of the headers, even told twice", async (t) => {
  const { spans } = await traced("", outbound, request, request);
  t.deepEqual(
    spans.map(({ traceId, parentId }) => [traceId, parentId]),
    Array.from({ length: 3 }, () => [trace, span]),
  );
  t.is(new Set([span, ...spans.map(({ spanId }) => spanId)]).size, 4);
});

test("with shared identifiers the server's span stands under the client's, and that one under the parent", async (t) => {
  const headers = { "x-b3-traceid": trace, "x-b3-spanid": span, "x-b3-parentspanid": parent, "x-b3-sampled": "1" };
  const { spans } = await traced(
    "ids: shared",
    { ...request, "request.headers": headers },
    { ...outbound, "request.headers": headers },
  );
  const [server, client] = spans as [Span, Span];
  t.deepEqual([client.kind, client.parentId], ["client", parent]);
  t.deepEqual([server.kind, server.spanId, server.parentId], ["server", span, client.spanId]);
  t.not(client.spanId, span);
  t.is(clientSideOf(clientSideOf(span)), span);
});

test("a request without a trace context begins a trace, or gives no span", async (t) => {
  const bare = { ...request, "request.headers": { traceparent: "00-broken" } };
  const { spans } = await traced("", bare, bare);
  t.is(spans[0]!.parentId, undefined);
  t.not(spans[0]!.traceId, spans[1]!.traceId);
  t.deepEqual((await traced("root: false", bare)).spans, []);
});

test("the headers that are looked at are those that the rule says", async (t) => {
  const both = { ...request, "request.headers": { traceparent, b3: `${"1".repeat(32)}-${span}-1` } };
  t.is((await one("", both)).traceId, trace);
  t.is((await one("context: [b3]", both)).traceId, "1".repeat(32));
  t.is((await one("context: [b3, w3c]", request)).traceId, trace);
});

test("tracestate goes with its traceparent", async (t) => {
  const made = await one("", { ...request, "request.headers": { traceparent, tracestate: "vendor=1" } });
  t.is(made.traceState, "vendor=1");
});

test("a caller that has decided is followed, unless the rule says otherwise", async (t) => {
  const headers = (value: object): Attributes => ({ ...request, "request.headers": value });
  const unsampled = headers({ traceparent: `00-${trace}-${span}-00` });
  const undecided = headers({ b3: `${trace}-${span}` });
  const decidedAgainst = headers({ b3: "0" });
  const spansOf = async (sampling: string, record: Attributes) =>
    (await traced(`sampling: { ${sampling} }`, record)).spans.length;
  t.is(await spansOf("ratio: 0", request), 1);
  t.is(await spansOf("ratio: 1", unsampled), 0);
  t.is(await spansOf("ratio: 1", decidedAgainst), 0);
  t.is(await spansOf("ratio: 1, follow: false", unsampled), 1);
  t.is(await spansOf("ratio: 0, follow: false", request), 0);
  // The lower half of the identifier begins with a3, which is 0.636.
  t.is(await spansOf("ratio: 0.63", undecided), 0);
  t.is(await spansOf("ratio: 0.65", undecided), 1);
});

test("spans beyond the bound of a second are dropped and counted", async (t) => {
  const hub = new TestHub({ limits: { delayMs: 0 } });
  const snapshot = await snapshotOf("policy: p\nreport: [{ span: mesh, to: traces, sampling: { perSecond: 2 } }]\n");
  const reporter = hub.reporter(snapshot);
  for (let i = 0; i < 3; i++) reporter.report(recordOf(snapshot, request));
  await hub.clock.advance(500);
  for (let i = 0; i < 3; i++) reporter.report(recordOf(snapshot, request));
  await hub.clock.advance(0);
  t.is(hub.spans.length, 3);
  t.deepEqual(
    hub.observer.take().filter((line) => line.startsWith("dropped")),
    ["dropped span rate 1", "dropped span rate 1", "dropped span rate 1"],
  );
});

test("a connection gives one span, when it is closed", async (t) => {
  const connection = {
    "context.protocol": "tcp",
    "context.reporter.kind": "inbound",
    "context.time": "2026-01-01T00:00:10Z",
    "connection.duration": "4s",
  };
  const { spans } = await traced(
    "",
    ...["open", "continue", "close"].map((event) => ({ ...connection, "connection.event": event })),
  );
  t.is(spans.length, 1);
  t.like(spans[0], {
    name: "tcp",
    startMs: Date.UTC(2026, 0, 1, 0, 0, 6),
    endMs: Date.UTC(2026, 0, 1, 0, 0, 10),
    service: { name: "unknown_service" },
    attributes: { "network.transport": "tcp" },
  });
});

test("a span of which no time is known ends when the report came, and none ends before it began", async (t) => {
  const hub = new TestHub();
  const made = await one("", { "request.method": "GET", "response.duration": "2s" });
  t.deepEqual([made.startMs, made.endMs], [hub.clock.now() - 2000, hub.clock.now()]);
  const turned = await one("", { "request.time": "2026-01-01T00:00:01Z", "response.time": "2026-01-01T00:00:00Z" });
  t.is(turned.endMs, turned.startMs);
});

test("attributes of a wrong type are as if they were not there, and an expression that fails is counted", async (t) => {
  const wrong = Object.fromEntries(Object.keys(request).map((name) => [name, new Fault("wrong type")]));
  const { spans, told } = await traced("attributes: { sum: 1 / response.size, fine: 1 }", wrong);
  t.is(spans.length, 1);
  t.like(spans[0], { name: "mesh", kind: "server", service: { name: "unknown_service" } });
  t.deepEqual(spans[0]!.attributes, { fine: 1 });
  t.deepEqual(told, ["fault p/mesh attribute"]);
});

test("what looks like a secret is masked in a span as it is in a log, unless the rule reveals it", async (t) => {
  const headers = { authorization: "Bearer abc", "x-session": "s", accept: "*/*" };
  const made = await one(
    `reveal: [x-session]
     attributes: { who: 'request.headers["authorization"]', session: 'request.headers["x-session"]', all: request.headers, path: request.path }`,
    { ...request, "request.path": "/a?token=t", "request.headers": headers },
  );
  t.like(made.attributes, {
    who: "***",
    session: "s",
    all: { authorization: "***", "x-session": "s", accept: "*/*" },
    path: "/a?token=***",
  });
});

test("when a queue of spans is full nothing of the record is done, and its caller is told", async (t) => {
  const hub = new TestHub({ limits: { delayMs: 1e6, batch: 100 } });
  const snapshot = await snapshotOf(
    "policy: p\nreport: [{ span: mesh, to: traces }, { metric: m_total, type: counter, to: prometheus }, { log: l, to: stdout }]\n",
  );
  const reporter = hub.reporter(snapshot);
  const outcomes = Array.from({ length: 4 }, () => reporter.report(recordOf(snapshot, request)));
  t.deepEqual(outcomes, ["taken", "taken", "taken", "full"]);
  t.is(hub.samples.length, 3);
  t.deepEqual(
    hub.queues.states().map(({ adapter, capability, entries }) => [adapter, capability, entries]),
    [
      ["stdout", "logs", 3],
      ["traces", "spans", 3],
    ],
  );
  await Promise.all([reporter.close(1), hub.clock.advance(1)]);
  t.deepEqual([hub.spans.length, hub.entries.length], [3, 3], "what waits is delivered when the reporter is closed");
});

test("samples carry the trace that they are of: the span made of the record, else the request's, if it is kept", async (t) => {
  const metric = "{ metric: m_total, type: counter, to: prometheus }";
  const exemplarsOf = async (telemetry: string, rules: string, record: Attributes) => {
    const hub = new TestHub();
    const snapshot = await snapshotOf(`policy: p\nreport: [${rules}]\n`, telemetry);
    hub.reporter(snapshot).report(recordOf(snapshot, record));
    return hub.exemplars.map((each) => each && [each.traceId, each.spanId]);
  };
  const unsampled = { ...request, "request.headers": { traceparent: `00-${trace}-${span}-00` } };
  t.deepEqual(await exemplarsOf("exemplars: true", metric, request), [[trace, span]]);
  t.deepEqual(await exemplarsOf("exemplars: true", metric, unsampled), [undefined]);
  t.deepEqual(await exemplarsOf("exemplars: true", metric, { "request.method": "GET" }), [undefined]);
  t.deepEqual(await exemplarsOf("exemplars: false", metric, request), [undefined]);
  const [made] = await exemplarsOf("exemplars: true", `${metric}, { span: mesh, to: traces }`, request);
  t.is(made![0], trace);
  t.not(made![1], span);
});

test("headers of a trace are decoded only where something reads them", async (t) => {
  const slots = async (telemetry: string) =>
    (await snapshotOf("policy: p\nreport: [{ metric: m_total, type: counter }]\n", telemetry)).reportLayout.keysOf(
      "request.headers",
    )?.size ?? 0;
  t.is(await slots("exemplars: false"), await slots(""));
  t.is(await slots("exemplars: true"), (await slots("")) + 8);
});
