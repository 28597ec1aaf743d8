import { readFileSync } from "node:fs";
import { createServer as createNetServer, type AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import { ServerCredentials, status } from "@grpc/grpc-js";
import test, { type ExecutionContext } from "ava";
import type { Instance, JsonValue, LogEntry, MetricGroup, Span } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance, testAdapter, type FakeHost } from "weir/sdk/testing";
import { otlpConfig } from "../../adapters/otlp/config.ts";
import otlp from "../../adapters/otlp/index.ts";
import { createAuthority } from "../e2e/certificates.ts";
import { projectRoot, writeFolder } from "../e2e/hub.ts";
import { attributes, decodeTraces, partialSuccess, plain, type Metric, type Point } from "./otlp-decoder.ts";
import { grpcReceiver, httpReceiver, type GrpcAnswer, type HttpAnswer, type Receiver } from "./otlp-receiver.ts";

const protocols = ["http", "grpc"] as const;

/** A receiver that the contract's tests share, one after the other. */
async function contractReceiver(protocol: (typeof protocols)[number]) {
  let refuseForMs: number | undefined;
  const receiver =
    protocol === "http"
      ? await httpReceiver({
          answer: (_, response) => {
            if (refuseForMs === undefined) response.writeHead(200).end();
            else response.writeHead(429, { "retry-after": String(refuseForMs / 1000) }).end();
            refuseForMs = undefined;
          },
        })
      : await grpcReceiver({
          answer: () => {
            const ms = refuseForMs;
            refuseForMs = undefined;
            return ms === undefined
              ? { message: new Uint8Array() }
              : { code: status.RESOURCE_EXHAUSTED, details: retryInfo(ms) };
          },
        });
  let seen = 0;
  let seenSpans = 0;
  return {
    receiver,
    deliveredSpans: () => {
      const spans = receiver.spans().slice(seenSpans);
      seenSpans += spans.length;
      return spans.map(({ spanId }) => spanId);
    },
    refuseOnce: (ms: number) => void (refuseForMs = ms),
    delivered: () => {
      const records = receiver.logs().slice(seen);
      seen += records.length;
      return records.map(({ eventName, attributes: list }) => ({
        name: eventName!,
        fields: attributes(list) as Record<string, JsonValue>,
      }));
    },
  };
}

/** A `google.rpc.Status` with a `google.rpc.RetryInfo` of whole seconds below 128. */
function retryInfo(ms: number): Buffer {
  const delay = Buffer.from([0x0a, 2, 0x08, ms / 1000]);
  const url = Buffer.from("type.googleapis.com/google.rpc.RetryInfo");
  const any = Buffer.concat([Buffer.from([0x0a, url.length]), url, Buffer.from([0x12, delay.length]), delay]);
  return Buffer.concat([Buffer.from([0x08, 8, 0x1a, any.length]), any]);
}

const contractReceivers = { http: await contractReceiver("http"), grpc: await contractReceiver("grpc") };
for (const protocol of protocols) {
  const { receiver, refuseOnce, delivered, deliveredSpans } = contractReceivers[protocol];
  test.after.always(() => receiver.close());
  testAdapter(test.serial, otlp, {
    title: `otlp over ${protocol}`,
    config: { endpoint: `http://127.0.0.1:${receiver.port}`, protocol },
    refusedConfigs: [
      {},
      { endpoint: "collector:4317" },
      { endpoint: "http://user:secret@collector:4318" },
      { endpoint: "http://collector:4318?key=1" },
      { endpoint: "ftp://collector" },
      { endpoint: "http://collector:4317/path", protocol: "grpc" },
      { endpoint: "http://collector:4317", protocol: "json" },
      { endpoint: "http://collector:4318", tls: {} },
      { endpoint: "https://collector:4318", tls: { cert: "a.pem" } },
      { endpoint: "http://collector:4318", headers: { "content-type": "text/plain" } },
      { endpoint: "http://collector:4318", headers: { Host: "other" } },
      { endpoint: "http://collector:4318", headers: { "x y": "1" } },
      { endpoint: "http://collector:4318", headers: { "x-key": "a\r\nb: c" } },
      { endpoint: "http://collector:4318", compression: "zstd" },
      { endpoint: "http://collector:4318", timeout: "2m" },
      { endpoint: "http://collector:4318", timeout: "10s", interval: "5s" },
      { endpoint: "http://collector:4318", interval: "1m", expire: "90s" },
      { endpoint: "http://collector:4318", temporality: "both" },
      { endpoint: "http://collector:4318", maxSeries: 0 },
    ],
    logs: { delivered, refuseOnce },
    spans: { delivered: deliveredSpans, refuseOnce },
  });
}

const group: MetricGroup = {
  labels: ["path", "code"],
  metrics: [
    { name: "requests_total", kind: "counter", help: "Requests." },
    { name: "in_flight", kind: "gauge", help: "" },
    { name: "seconds", kind: "histogram", help: "Time.", buckets: [0.1, 1, 10] },
  ],
};

type Config = Record<string, unknown>;

interface SetUp {
  readonly instance: Instance<"metrics" | "logs" | "spans">;
  readonly host: FakeHost;
  /** Closes the instance, which sends metrics a last time. */
  close(): Promise<void>;
}

async function setUp(t: ExecutionContext, port: number, config: Config = {}): Promise<SetUp> {
  const host = fakeHost(config["folder"] === undefined ? {} : { folder: config["folder"] as string });
  const { folder: _, scheme, ...rest } = config;
  const endpoint = `${(scheme as string | undefined) ?? "http"}://127.0.0.1:${port}`;
  const instance = await makeInstance(otlp, { endpoint, ...rest }, host);
  let closed: Promise<void> | undefined;
  const close = () => (closed ??= Promise.resolve(instance.close!()).then(() => host.close()));
  t.teardown(() => {
    // A receiver that never answers must not hold up a test: the hub aborts an instance in the end, too.
    host.close();
    return close();
  });
  return { instance, host, close };
}

async function receiving(t: ExecutionContext, answer?: HttpAnswer): Promise<Receiver> {
  const receiver = await httpReceiver(answer === undefined ? {} : { answer });
  t.teardown(() => receiver.close());
  return receiver;
}

const entry = (fields: LogEntry["fields"], severity: LogEntry["severity"] = "info"): LogEntry => ({
  name: "access",
  timeMs: 1_700_000_000_123,
  severity,
  fields,
});

/** The points of a metric in the order in which they came. */
function points(metrics: readonly Metric[], name: string): readonly Point[] {
  return metrics
    .filter((metric) => metric.name === name)
    .flatMap(({ gauge, sum, histogram }) => (gauge ?? sum ?? histogram)!.dataPoints);
}

function spanOf(parts: Partial<Span>): Span {
  return {
    traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
    spanId: "00f067aa0ba902b7",
    name: "GET",
    kind: "server",
    startMs: 1_700_000_000_123.456,
    endMs: 1_700_000_000_124,
    failed: false,
    service: { name: "reviews" },
    attributes: {},
    ...parts,
  };
}

const nanos = (ms: number): string => `${ms}000000`;

for (const protocol of protocols) {
  test(`over ${protocol}, every field of a log record is what the protocol says`, async (t) => {
    const receiver = protocol === "http" ? await httpReceiver() : await grpcReceiver();
    t.teardown(() => receiver.close());
    const resource = { "service.name": "hub-1", zone: 3 };
    const { instance } = await setUp(t, receiver.port, { protocol, resource, timeout: "1m" });
    const fields = {
      text: 'ünï\n"quoted" \u{1F600}',
      empty: "",
      half: "\ud83d!",
      yes: true,
      no: false,
      int: 200,
      negative: -5,
      largest: Number.MAX_SAFE_INTEGER,
      smallest: Number.MIN_SAFE_INTEGER,
      beyond: 2 ** 60,
      double: 0.25,
      nothing: null,
      list: [1, "a", [true], { b: 1.5 }],
      map: { "x-a": "1", deeper: { n: null } },
      long: "x".repeat(70_000),
    };
    const severities = ["debug", "info", "warning", "error"] as const;
    t.is(
      await instance.logs(
        severities.map((severity) => entry(fields, severity)),
        fakeCall(),
      ),
      undefined,
    );

    const records = receiver.logs();
    t.deepEqual(
      records.map(({ severityNumber, severityText }) => [severityNumber, severityText]),
      [
        [5, "debug"],
        [9, "info"],
        [13, "warning"],
        [17, "error"],
      ],
    );
    const record = records[0]!;
    t.deepEqual([record.timeUnixNano, record.observedTimeUnixNano], ["1700000000123000000", "1700000000123000000"]);
    t.deepEqual([record.eventName, plain(record.body)], ["access", "access"]);
    t.deepEqual(attributes(record.attributes), { ...fields, half: "\ufffd!" });
    const wire = Object.fromEntries(record.attributes!.map(({ key, value }) => [key, value]));
    t.deepEqual(wire["int"], { intValue: "200" });
    t.deepEqual(wire["smallest"], { intValue: "-9007199254740991" });
    t.deepEqual(wire["beyond"], { doubleValue: 2 ** 60 });
    t.deepEqual(wire["double"], { doubleValue: 0.25 });
    t.deepEqual(wire["nothing"], {});
    t.deepEqual(wire["empty"], { stringValue: "" });
  });

  test(`over ${protocol}, every field of a span is what the protocol says, and spans of a service stand together`, async (t) => {
    const receiver = protocol === "http" ? await httpReceiver() : await grpcReceiver();
    t.teardown(() => receiver.close());
    const resource = { "service.name": "hub-1", zone: 3 };
    const { instance } = await setUp(t, receiver.port, { protocol, resource, timeout: "1m" });
    const reviews = { name: "reviews-v1", namespace: "bookinfo", instance: "reviews-v1-abc" };
    const ratings = { name: "ratings" };
    const spans: Span[] = [
      spanOf({ spanId: "0000000000000001", kind: "client", service: reviews }),
      spanOf({
        spanId: "fedcba9876543210",
        parentId: "0000000000000001",
        traceState: "a=1",
        kind: "server",
        service: ratings,
        failed: true,
        message: "UF",
        peer: { name: "reviews-v1", ip: "10.0.0.1", port: 80 },
        attributes: {
          "http.request.method": "GET",
          "http.response.status_code": 503,
          ratio: 0.5,
          ok: false,
          list: ["a"],
        },
      }),
      spanOf({ spanId: "0000000000000003", kind: "internal", service: reviews, failed: true }),
      spanOf({ spanId: "0000000000000004", kind: "producer", service: reviews }),
      spanOf({ spanId: "0000000000000005", kind: "consumer", service: reviews }),
    ];
    t.is(await instance.spans(spans, fakeCall()), undefined);

    t.is(receiver.received.length, 1);
    const { resourceSpans } = decodeTraces(receiver.received[0]!.body);
    t.deepEqual(
      resourceSpans.map(({ resource, scopeSpans }) => [attributes(resource.attributes), scopeSpans[0]!.scope]),
      [
        [
          {
            "service.name": "reviews-v1",
            zone: 3,
            "service.namespace": "bookinfo",
            "service.instance.id": "reviews-v1-abc",
          },
          { name: "weir" },
        ],
        [{ "service.name": "ratings", zone: 3 }, { name: "weir" }],
      ],
    );
    const [ofReviews, ofRatings] = resourceSpans.map(({ scopeSpans }) => scopeSpans[0]!.spans!);
    t.deepEqual(
      ofReviews!.map(({ spanId, kind, status: said }) => [spanId, kind, said]),
      [
        ["0000000000000001", 3, undefined],
        ["0000000000000003", 1, { code: 2 }],
        ["0000000000000004", 4, undefined],
        ["0000000000000005", 5, undefined],
      ],
    );
    const { attributes: list, ...server } = ofRatings![0]!;
    t.deepEqual(server, {
      traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
      spanId: "fedcba9876543210",
      traceState: "a=1",
      parentSpanId: "0000000000000001",
      name: "GET",
      kind: 2,
      startTimeUnixNano: "1700000000123456055",
      endTimeUnixNano: "1700000000124000000",
      status: { code: 2, message: "UF" },
    });
    t.deepEqual(attributes(list), {
      "http.request.method": "GET",
      "http.response.status_code": 503,
      ratio: 0.5,
      ok: false,
      list: ["a"],
      "service.peer.name": "reviews-v1",
    });
  });

  test(`over ${protocol}, every field of a metric is what the protocol says`, async (t) => {
    const receiver = protocol === "http" ? await httpReceiver() : await grpcReceiver();
    t.teardown(() => receiver.close());
    const { instance, host, close } = await setUp(t, receiver.port, { protocol, interval: "1m", compression: "none" });
    const start = host.now();
    const recorder = instance.metrics(group);
    recorder.record(["/a", "200"], [2, 7, 0.1]);
    recorder.record(["/a", "200"], [3, 5, 99]);
    await host.advance(1000);
    recorder.record(["/b", "500"], [1, NaN, NaN]);
    await close();

    const metrics = receiver.metrics();
    t.deepEqual(
      metrics.map(({ name, description }) => [name, description]),
      [
        ["in_flight", undefined],
        ["requests_total", "Requests."],
        ["seconds", "Time."],
      ],
    );
    const [gauge, sum, histogram] = metrics;
    const labelled = (path: string, code: string) => [
      { key: "path", value: { stringValue: path } },
      { key: "code", value: { stringValue: code } },
    ];
    const at = { timeUnixNano: nanos(start + 1000) };
    t.deepEqual(gauge!.gauge, { dataPoints: [{ ...at, asDouble: 5, attributes: labelled("/a", "200") }] });
    t.deepEqual(sum!.sum, {
      aggregationTemporality: 2,
      isMonotonic: true,
      dataPoints: [
        { ...at, startTimeUnixNano: nanos(start), asDouble: 5, attributes: labelled("/a", "200") },
        { ...at, startTimeUnixNano: nanos(start + 1000), asDouble: 1, attributes: labelled("/b", "500") },
      ],
    });
    t.deepEqual(histogram!.histogram, {
      aggregationTemporality: 2,
      dataPoints: [
        {
          ...at,
          startTimeUnixNano: nanos(start),
          count: "2",
          sum: 99.1,
          bucketCounts: ["1", "0", "0", "1"],
          explicitBounds: [0.1, 1, 10],
          attributes: labelled("/a", "200"),
        },
      ],
    });
  });
}

test("points carry the traces that fed them", async (t) => {
  const receiver = await httpReceiver();
  t.teardown(() => receiver.close());
  const { instance, host, close } = await setUp(t, receiver.port);
  const exemplar = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" };
  instance.metrics(group).record(["/a", "200"], [2, 7, 0.5], exemplar);
  await close();
  const shown = (name: string) =>
    points(receiver.metrics(), name)[0]!.exemplars?.map(({ timeUnixNano, asDouble, spanId, traceId }) => [
      timeUnixNano,
      asDouble,
      Buffer.from(traceId).toString("hex"),
      Buffer.from(spanId).toString("hex"),
    ]);
  t.deepEqual(shown("requests_total"), [[nanos(host.now()), 2, exemplar.traceId, exemplar.spanId]]);
  t.deepEqual(shown("seconds"), [[nanos(host.now()), 0.5, exemplar.traceId, exemplar.spanId]]);
  t.is(shown("in_flight"), undefined);
});

test("label sets beyond maxSeries go to one series with otel.metric.overflow, counted and told once", async (t) => {
  const receiver = await receiving(t);
  const { instance, host, close } = await setUp(t, receiver.port, { maxSeries: 2 });
  const recorder = instance.metrics({ labels: ["path"], metrics: [group.metrics[0]!] });
  for (let i = 0; i < 10; i++) recorder.record([`/${i}`], [1]);
  await close();
  t.deepEqual(
    points(receiver.metrics(), "requests_total").map((point) => [attributes(point.attributes), point.asDouble]),
    [
      [{ path: "/0" }, 1],
      [{ path: "/1" }, 1],
      [{ "otel.metric.overflow": true }, 8],
    ],
  );
  t.is(host.events.get("series_overflow"), 8);
  const told = host.logs.filter(({ message }) => message.includes("requests_total"));
  t.is(told.length, 1);
  t.regex(told[0]!.message, /label path has 2 different values/);
});

test("a series without samples ends, and begins anew with a start of its own", async (t) => {
  const receiver = await receiving(t);
  const { instance, host, close } = await setUp(t, receiver.port, { expire: "1h", interval: "30m" });
  const recorder = instance.metrics(group);
  recorder.record(["/a", "200"], [1, 1, 1]);
  await host.advance(3 * 3_600_000);
  const again = host.now();
  recorder.record(["/a", "200"], [4, 1, 1]);
  await close();
  const last = points(receiver.metrics(), "requests_total").at(-1)!;
  t.deepEqual([last.startTimeUnixNano, last.asDouble], [nanos(again), 4]);
  t.is(host.events.get("series_expired"), 3);
});

test("a metric that no policy has any more is sent a last time, and then gone", async (t) => {
  const receiver = await receiving(t);
  const { instance, close } = await setUp(t, receiver.port);
  const recorder = instance.metrics(group);
  recorder.record(["/a", "200"], [1, 1, 1]);
  recorder.close!();
  await close();
  t.is(points(receiver.metrics(), "requests_total").length, 1);
});

test("many series are sent in pages that each have a thousand points, and each series once", async (t) => {
  const receiver = await receiving(t);
  const { instance, close } = await setUp(t, receiver.port);
  const recorder = instance.metrics(group);
  for (let i = 0; i < 2500; i++) recorder.record([`/${i}`, "200"], [i + 1, i, i]);
  await close();
  t.is(receiver.received.length, 8);
  for (const { name } of group.metrics) {
    const paths = points(receiver.metrics(), name).map((point) => attributes(point.attributes)["path"]);
    t.deepEqual([paths.length, new Set(paths).size], [2500, 2500], name);
  }
  const total = points(receiver.metrics(), "requests_total").reduce((sum, { asDouble }) => sum + asDouble!, 0);
  t.is(total, (2500 * 2501) / 2);
});

test("requests carry the configured headers, from files too, the resource and the compression", async (t) => {
  const receiver = await receiving(t);
  const folder = await writeFolder({ "key.txt": "s3cret key\n" });
  const { instance } = await setUp(t, receiver.port, {
    folder,
    headers: { "X-Tenant": "blue", authorization: { file: "key.txt" } },
    resource: { "deployment.environment.name": "test" },
  });
  await instance.logs([entry({ n: 1 })], fakeCall());
  const [request] = receiver.received;
  t.is(request!.path, "POST /v1/logs");
  t.like(request!.headers, {
    "x-tenant": "blue",
    authorization: "s3cret key",
    "content-type": "application/x-protobuf",
    "content-encoding": "gzip",
  });
  const bytes = Buffer.from(request!.body).toString("latin1");
  t.true(bytes.includes("service.name") && bytes.includes("weir") && bytes.includes("deployment.environment.name"));
});

test("a header file that is missing, empty or of two lines is a reason not to start", async (t) => {
  const folder = await writeFolder({ "empty.txt": "\n", "two.txt": "a\nb\n" });
  for (const file of ["missing.txt", "empty.txt", "two.txt"]) {
    const config = { endpoint: "http://127.0.0.1:1", headers: { "x-key": { file } } };
    await t.throwsAsync(makeInstance(otlp, config, fakeHost({ folder })), { message: new RegExp(file) });
  }
});

test("a path of the endpoint is put before those of the signals", async (t) => {
  const receiver = await receiving(t);
  const host = fakeHost();
  const instance = await makeInstance(otlp, { endpoint: `http://127.0.0.1:${receiver.port}/otlp/` }, host);
  await instance.logs([entry({})], fakeCall());
  await instance.close!();
  t.is(receiver.received[0]!.path, "POST /otlp/v1/logs");
});

interface LogCase {
  readonly title: string;
  readonly answer: HttpAnswer;
  readonly expect: { readonly retry: boolean; readonly retryAfterMs?: number; readonly reason: RegExp } | "delivered";
}

const logCases: readonly LogCase[] = [
  { title: "202 without a body", answer: (_, r) => r.writeHead(202).end(), expect: "delivered" },
  {
    title: "200 and bytes that are no message",
    answer: (_, r) => r.writeHead(200).end("\xff\xff\xff"),
    expect: "delivered",
  },
  {
    title: "200 and a web page",
    answer: (_, r) => r.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<html>hello</html>"),
    expect: { retry: false, reason: /web page/ },
  },
  { title: "400", answer: (_, r) => r.writeHead(400).end(), expect: { retry: false, reason: /HTTP 400/ } },
  {
    title: "401 with a reason",
    answer: (_, r) => r.writeHead(401, { "content-type": "text/plain" }).end("who\nare\u0007you?"),
    expect: { retry: false, reason: /HTTP 401: who are you\?/ },
  },
  {
    title: "a redirect, which is not followed",
    answer: (_, r) => r.writeHead(307, { location: "http://elsewhere/" }).end(),
    expect: { retry: false, reason: /HTTP 307/ },
  },
  { title: "500", answer: (_, r) => r.writeHead(500).end(), expect: { retry: false, reason: /HTTP 500/ } },
  { title: "502", answer: (_, r) => r.writeHead(502).end(), expect: { retry: true, reason: /HTTP 502/ } },
  {
    title: "503 with Retry-After in seconds",
    answer: (_, r) => r.writeHead(503, { "retry-after": "12" }).end(),
    expect: { retry: true, retryAfterMs: 12_000, reason: /HTTP 503/ },
  },
  {
    title: "429 with Retry-After as a date",
    answer: (_, r) => r.writeHead(429, { "retry-after": "Thu, 01 Jan 2026 00:01:00 GMT" }).end(),
    expect: { retry: true, retryAfterMs: 60_000, reason: /HTTP 429/ },
  },
  {
    title: "504 with Retry-After that makes no sense",
    answer: (_, r) => r.writeHead(504, { "retry-after": "-5 bananas" }).end(),
    expect: { retry: true, reason: /HTTP 504/ },
  },
  {
    title: "a connection that is reset",
    answer: (_, r) => r.socket!.resetAndDestroy(),
    expect: { retry: true, reason: /reset|hang up/i },
  },
  {
    title: "an answer that breaks off",
    answer: (_, r) => {
      r.writeHead(200, { "content-length": "100" }).write("abc");
      r.socket!.end();
    },
    expect: { retry: true, reason: /abort|reset|terminated|hang up/ },
  },
  {
    title: "an answer without end",
    answer: (_, r) => {
      r.writeHead(400);
      const more = (): boolean => !r.destroyed && r.write(Buffer.alloc(64 * 1024), () => more());
      more();
    },
    expect: { retry: false, reason: /HTTP 400/ },
  },
  { title: "no answer", answer: () => undefined, expect: { retry: true, reason: /no answer within 100 ms/ } },
];

for (const { title, answer, expect } of logCases) {
  test(`log entries and an HTTP receiver that answers ${title}`, async (t) => {
    const receiver = await receiving(t, answer);
    const { instance } = await setUp(t, receiver.port, title === "no answer" ? { timeout: "100ms" } : {});
    const exported = await instance.logs([entry({ n: 1 })], fakeCall());
    if (expect === "delivered") {
      t.is(exported, undefined);
      return;
    }
    const { reason, ...rest } = expect;
    t.like(exported, { delivered: 0, ...rest });
    t.is((exported as { retryAfterMs?: number }).retryAfterMs, expect.retryAfterMs);
    t.regex((exported as { reason: string }).reason, reason);
  });
}

interface GrpcCase {
  readonly title: string;
  readonly answer: GrpcAnswer;
  readonly expect: { readonly retry: boolean; readonly retryAfterMs?: number; readonly reason: RegExp } | "delivered";
}

const grpcCases: readonly GrpcCase[] = [
  ...(["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"] as const).map(
    (name) => ({
      title: name,
      answer: { code: status[name] },
      expect: { retry: true, reason: new RegExp(name) },
    }),
  ),
  ...(["INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "INTERNAL"] as const).map(
    (name) => ({
      title: name,
      answer: { code: status[name] },
      expect: { retry: false, reason: new RegExp(`${name}: not now`) },
    }),
  ),
  {
    title: "RESOURCE_EXHAUSTED without saying when to come again",
    answer: { code: status.RESOURCE_EXHAUSTED },
    expect: { retry: false, reason: /RESOURCE_EXHAUSTED/ },
  },
  {
    title: "RESOURCE_EXHAUSTED with RetryInfo",
    answer: { code: status.RESOURCE_EXHAUSTED, details: retryInfo(30_000) },
    expect: { retry: true, retryAfterMs: 30_000, reason: /RESOURCE_EXHAUSTED/ },
  },
  {
    title: "UNAVAILABLE with RetryInfo",
    answer: { code: status.UNAVAILABLE, details: retryInfo(2000) },
    expect: { retry: true, retryAfterMs: 2000, reason: /UNAVAILABLE/ },
  },
  {
    title: "UNAVAILABLE with details that are no message",
    answer: { code: status.UNAVAILABLE, details: Buffer.from([0x1a, 0xff]) },
    expect: { retry: true, reason: /UNAVAILABLE/ },
  },
  { title: "bytes that are no message", answer: { message: Buffer.from([0xff, 0xff]) }, expect: "delivered" },
  { title: "nothing", answer: "never", expect: { retry: true, reason: /DEADLINE_EXCEEDED/ } },
];

for (const { title, answer, expect } of grpcCases) {
  test(`log entries and a gRPC receiver that answers ${title}`, async (t) => {
    const receiver = await grpcReceiver({ answer: () => answer });
    t.teardown(() => receiver.close());
    const timeout = answer === "never" ? "100ms" : "10s";
    const { instance } = await setUp(t, receiver.port, { protocol: "grpc", timeout });
    const exported = await instance.logs([entry({ n: 1 })], fakeCall());
    if (expect === "delivered") {
      t.is(exported, undefined);
      return;
    }
    const { reason, ...rest } = expect;
    t.like(exported, { delivered: 0, ...rest });
    t.is((exported as { retryAfterMs?: number }).retryAfterMs, expect.retryAfterMs);
    t.regex((exported as { reason: string }).reason, reason);
  });
}

for (const protocol of protocols) {
  test(`over ${protocol}, what a receiver rejects of a request is counted, told, and not sent again`, async (t) => {
    const signalOf = (path: string) => (["metrics", "logs"] as const).find((each) => path.toLowerCase().includes(each));
    const refusal = (path: string) => partialSuccess(signalOf(path) ?? "traces", 2, "too old\nby far");
    const receiver =
      protocol === "http"
        ? await httpReceiver({ answer: ({ path }, response) => response.writeHead(200).end(refusal(path)) })
        : await grpcReceiver({ answer: ({ path }) => ({ message: refusal(path) }) });
    t.teardown(() => receiver.close());
    const { instance, host, close } = await setUp(t, receiver.port, { protocol, timeout: "1m" });
    const three = [1, 2, 3].map((n) => entry({ n }));
    t.is(await instance.logs(three, fakeCall()), undefined);
    t.is(await instance.logs(three, fakeCall()), undefined);
    t.is(await instance.spans([spanOf({}), spanOf({}), spanOf({})], fakeCall()), undefined);
    instance.metrics(group).record(["/a", "200"], [1, 1, 1]);
    await close();
    t.is(receiver.received.length, 4);
    t.is(host.events.get("log_records_rejected"), 4);
    t.is(host.events.get("spans_rejected"), 2);
    t.is(host.events.get("points_rejected"), 2);
    t.deepEqual(
      host.logs.map(({ fields }) => fields),
      [
        { rejected: 2, message: "too old by far" },
        { rejected: 2, message: "too old by far" },
        { rejected: 2, message: "too old by far" },
      ],
      "once a minute for logs, once for spans and for metrics",
    );
  });

  test(`over ${protocol}, a receiver that is away is no reason not to start, and gets what comes once it is there`, async (t) => {
    const probe = createNetServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => probe.once("listening", resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const { instance } = await setUp(t, port, { protocol });
    t.like(await instance.logs([entry({ n: 1 })], fakeCall()), { delivered: 0, retry: true });
    const receiver = await (protocol === "http" ? httpReceiver({ port }) : grpcReceiver({ port }));
    t.teardown(() => receiver.close());
    // A gRPC channel pauses before it connects anew, and refuses calls meanwhile.
    const delivered = async () => (await instance.logs([entry({ n: 1 })], fakeCall())) === undefined;
    while (!(await delivered())) await setImmediate();
    t.is(receiver.logs().length, 1);
  });

  test(`over ${protocol}, a peer that speaks something else is like one that is away`, async (t) => {
    const peer = createNetServer((socket) => socket.on("error", () => undefined).end("220 mail.example.com ESMTP\r\n"));
    peer.listen(0, "127.0.0.1");
    await new Promise((resolve) => peer.once("listening", resolve));
    t.teardown(() => peer.close());
    const { instance } = await setUp(t, (peer.address() as AddressInfo).port, { protocol });
    t.like(await instance.logs([entry({ n: 1 })], fakeCall()), { delivered: 0, retry: true });
  });

  test(`over ${protocol}, a batch that is too large for a receiver is sent in several requests, in order`, async (t) => {
    let refuse = false;
    const receiver =
      protocol === "http"
        ? await httpReceiver({ answer: (_, response) => response.writeHead(refuse ? 503 : 200).end() })
        : await grpcReceiver({
            answer: () => (refuse ? { code: status.UNAVAILABLE } : { message: new Uint8Array() }),
          });
    t.teardown(() => receiver.close());
    const { instance } = await setUp(t, receiver.port, { protocol, timeout: "1m" });
    const batch = Array.from({ length: 100 }, (_, n) => entry({ n, text: "x".repeat(50_000) }));
    t.is(await instance.logs(batch, fakeCall()), undefined);
    t.true(receiver.received.every(({ body }) => body.length < 1.2 * 1024 * 1024));
    t.deepEqual(
      receiver.logs().map(({ attributes: list }) => attributes(list)["n"]),
      batch.map(({ fields }) => fields["n"]),
    );
    const spans = Array.from({ length: 100 }, (_, n) =>
      spanOf({ spanId: `a${String(n).padStart(15, "0")}`, attributes: { text: "x".repeat(50_000) } }),
    );
    t.is(await instance.spans(spans, fakeCall()), undefined);
    t.true(receiver.received.every(({ body }) => body.length < 1.2 * 1024 * 1024));
    t.deepEqual(
      receiver.spans().map(({ spanId }) => spanId),
      spans.map(({ spanId }) => spanId),
    );
    refuse = true;
    t.like(await instance.spans(spans, fakeCall()), { delivered: 0, retry: true });
    t.like(await instance.logs(batch, fakeCall()), { delivered: 0, retry: true });
  });

  test(`over ${protocol}, a call that is aborted ends at once, to be tried again`, async (t) => {
    const receiver =
      protocol === "http"
        ? await httpReceiver({ answer: () => undefined })
        : await grpcReceiver({ answer: () => "never" });
    t.teardown(() => receiver.close());
    const { instance } = await setUp(t, receiver.port, { protocol });
    const controller = new AbortController();
    const underway = instance.logs([entry({ n: 1 })], fakeCall(controller));
    await receiver.saw(1);
    controller.abort();
    t.like(await underway, { delivered: 0, retry: true });
    t.like(await instance.logs([entry({ n: 1 })], fakeCall(controller)), { delivered: 0, retry: true });
  });
}

test("the README has every key of the configuration and every event", (t) => {
  const page = readFileSync(`${projectRoot}/adapters/otlp/README.md`, "utf8");
  for (const key of Object.keys(otlpConfig.shape)) t.regex(page, new RegExp(`^\\| \`${key}\` `, "m"));
  const events = ["export_failed", "points_rejected", "log_records_rejected", "spans_rejected", "points_lost"];
  for (const event of [...events, "series_overflow", "series_expired", "label_cut"])
    t.true(page.includes(`\`${event}\``));
});

const authority = createAuthority();

for (const protocol of protocols) {
  test(`over ${protocol} with TLS, the receiver's certificate is checked, and the hub shows its own`, async (t) => {
    const server = authority.issue();
    const client = authority.issue({ name: "hub" });
    const receiver =
      protocol === "http"
        ? await httpReceiver({ tls: { ...server, ca: authority.cert } })
        : await grpcReceiver({
            credentials: ServerCredentials.createSsl(
              Buffer.from(authority.cert),
              [{ cert_chain: Buffer.from(server.cert), private_key: Buffer.from(server.key) }],
              true,
            ),
          });
    t.teardown(() => receiver.close());
    const folder = await writeFolder({
      "ca.pem": authority.cert,
      "other.pem": createAuthority("another").cert,
      "hub.pem": client.cert,
      "hub.key": client.key,
    });
    const own = { cert: "hub.pem", key: "hub.key" };
    const send = async (tls: Config) => {
      const { instance } = await setUp(t, receiver.port, { protocol, scheme: "https", folder, tls });
      return instance.logs([entry({ n: 1 })], fakeCall());
    };
    t.is(await send({ ca: "ca.pem", ...own }), undefined);
    t.is(await send({ ca: "ca.pem", serverName: "localhost", ...own }), undefined);
    t.like(await send({ ca: "ca.pem", serverName: "elsewhere.example", ...own }), { delivered: 0, retry: true });
    t.like(await send({ ca: "other.pem", ...own }), { delivered: 0, retry: true });
    t.like(await send({ ca: "ca.pem" }), { delivered: 0, retry: true });
    t.is(receiver.received.length, 2);
    await t.throwsAsync(send({ ca: "missing.pem" }), { message: /missing\.pem/ });
  });
}

test("answers that are any bytes never throw", async (t) => {
  let seed = 11;
  const chance = (n: number): number => ((seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff) >>> 8) % n;
  const receiver = await receiving(t, (_, response) => {
    response.writeHead(200).end(Buffer.from(Array.from({ length: chance(40) }, () => chance(256))));
  });
  const { instance } = await setUp(t, receiver.port);
  for (let i = 0; i < 200; i++) t.is(await instance.logs([entry({})], fakeCall()), undefined);
});
