import { createServer as createNetServer, type AddressInfo } from "node:net";
import { readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import test, { type ExecutionContext } from "ava";
import type { Instance, Span } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance, testAdapter } from "weir/sdk/testing";
import zipkin from "../../adapters/zipkin/index.ts";
import { projectRoot } from "../e2e/hub.ts";
import { httpReceiver, type Received, type Receiver } from "./otlp-receiver.ts";

type ZipkinSpan = Readonly<Record<string, unknown>> & { readonly id: string };

function spansIn(receiver: Receiver): ZipkinSpan[] {
  return receiver.received.flatMap(({ body }) => JSON.parse(Buffer.from(body).toString()) as ZipkinSpan[]);
}

let refuseForMs: number | undefined;
const shared = await httpReceiver({
  answer(_, response) {
    if (refuseForMs === undefined) response.writeHead(202).end();
    else response.writeHead(429, { "retry-after": String(refuseForMs / 1000) }).end();
    refuseForMs = undefined;
  },
});
test.after.always(() => shared.close());
let seen = 0;
testAdapter(test.serial, zipkin, {
  config: { endpoint: `http://127.0.0.1:${shared.port}` },
  refusedConfigs: [
    {},
    { endpoint: "zipkin:9411" },
    { endpoint: "ftp://zipkin" },
    { endpoint: "http://user:secret@zipkin:9411" },
    { endpoint: "http://zipkin:9411?key=1" },
    { endpoint: "http://zipkin:9411", headers: { "content-type": "text/plain" } },
    { endpoint: "http://zipkin:9411", headers: { "x-key": "a\r\nb: c" } },
    { endpoint: "http://zipkin:9411", compression: "zstd" },
    { endpoint: "http://zipkin:9411", timeout: "2m" },
  ],
  spans: {
    delivered() {
      const ids = spansIn(shared).map(({ id }) => id);
      return ids.slice(seen, (seen = ids.length));
    },
    refuseOnce: (ms) => void (refuseForMs = ms),
  },
});

const span: Span = {
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: "00f067aa0ba902b7",
  name: "GET",
  kind: "server",
  startMs: 1_700_000_000_123.456,
  endMs: 1_700_000_000_124,
  failed: false,
  service: { name: "reviews" },
  attributes: {},
};

async function setUp(
  t: ExecutionContext,
  answer: (request: Received, response: ServerResponse) => void = (_, response) => void response.writeHead(202).end(),
  config: object = {},
): Promise<{ instance: Instance<"spans">; receiver: Receiver }> {
  const receiver = await httpReceiver({ answer });
  t.teardown(() => receiver.close());
  const instance = await makeInstance(zipkin, { endpoint: `http://127.0.0.1:${receiver.port}`, ...config }, fakeHost());
  return { instance, receiver };
}

test("every part of a span is what Zipkin's API says", async (t) => {
  const { instance, receiver } = await setUp(t);
  const whole: Span = {
    ...span,
    parentId: "05e3ac9a4f6e3b90",
    failed: true,
    message: "UF",
    service: { name: "reviews-v1", namespace: "bookinfo", instance: "reviews-v1-abc" },
    peer: { name: "productpage-v1", ip: "10.0.0.1", port: 51000 },
    attributes: { "http.request.method": "GET", "http.response.status_code": 503, ratio: 0.5, ok: false, list: ["a"] },
  };
  const instant: Span = {
    ...span,
    traceId: "0000000000000000a3ce929d0e0e4736",
    kind: "internal",
    endMs: span.startMs,
    peer: { ip: "2001:db8::1" },
    attributes: { error: "no" },
  };
  t.is(await instance.spans([whole, instant], fakeCall()), undefined);
  t.deepEqual(spansIn(receiver), [
    {
      traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
      id: "00f067aa0ba902b7",
      parentId: "05e3ac9a4f6e3b90",
      kind: "SERVER",
      name: "GET",
      timestamp: 1_700_000_000_123_456,
      duration: 544,
      localEndpoint: { serviceName: "reviews-v1" },
      remoteEndpoint: { serviceName: "productpage-v1", ipv4: "10.0.0.1", port: 51000 },
      tags: {
        "http.request.method": "GET",
        "http.response.status_code": "503",
        ratio: "0.5",
        ok: "false",
        list: '["a"]',
        "service.namespace": "bookinfo",
        "service.instance.id": "reviews-v1-abc",
        error: "UF",
      },
    },
    {
      traceId: "a3ce929d0e0e4736",
      id: "00f067aa0ba902b7",
      name: "GET",
      timestamp: 1_700_000_000_123_456,
      duration: 1,
      localEndpoint: { serviceName: "reviews" },
      remoteEndpoint: { ipv6: "2001:db8::1" },
      tags: {},
    },
  ]);
  const { path, headers } = receiver.received[0]!;
  t.is(path, "POST /api/v2/spans");
  t.like(headers, { "content-type": "application/json", "content-encoding": "gzip" });
});

test("requests go to the path that is configured, with its headers, compressed or not", async (t) => {
  const receiver = await httpReceiver({ answer: (_, response) => response.writeHead(202).end() });
  t.teardown(() => receiver.close());
  const endpoint = `http://127.0.0.1:${receiver.port}/vendor/spans`;
  const instance = await makeInstance(zipkin, { endpoint, headers: { "x-key": "1" }, compression: "none" }, fakeHost());
  await instance.spans([span], fakeCall());
  const { path, headers } = receiver.received[0]!;
  t.is(path, "POST /vendor/spans");
  t.is(headers["x-key"], "1");
  t.is(headers["content-encoding"], undefined);
});

const answers: readonly [
  what: string,
  answer: (response: ServerResponse) => void,
  expected: object,
  config?: object,
][] = [
  [
    "400 and says why",
    (r) => r.writeHead(400).end("bad\nspan"),
    { retry: false, reason: "the server answers HTTP 400: bad span" },
  ],
  ["a redirection", (r) => r.writeHead(302, { location: "/" }).end(), { retry: false }],
  ["413", (r) => r.writeHead(413).end(), { retry: false, reason: "the server answers HTTP 413" }],
  ["500", (r) => r.writeHead(500).end(), { retry: true }],
  [
    "503 and when to come again",
    (r) => r.writeHead(503, { "retry-after": "3" }).end(),
    { retry: true, retryAfterMs: 3000 },
  ],
  ["429 and an unknown time", (r) => r.writeHead(429, { "retry-after": "soon" }).end(), { retry: true }],
  ["a connection that breaks", (r) => r.destroy(), { retry: true }],
  ["nothing", () => undefined, { retry: true, reason: "no answer within 50 ms" }, { timeout: "50ms" }],
  ["a refusal without end", (r) => void r.writeHead(400).write("x".repeat(100_000)), { retry: false }],
];

for (const [what, answer, expected, config] of answers) {
  test(`a server that answers ${what}`, async (t) => {
    const { instance } = await setUp(t, (_, response) => answer(response), config);
    const exported = await instance.spans([span], fakeCall());
    t.like(exported, { delivered: 0, ...expected });
    t.true(exported!.reason.length < 400);
  });
}

test("a call that is aborted ends at once, to be tried again", async (t) => {
  const { instance, receiver } = await setUp(t, () => undefined);
  const controller = new AbortController();
  const underway = instance.spans([span], fakeCall(controller));
  await receiver.saw(1);
  controller.abort();
  t.like(await underway, { delivered: 0, retry: true });
});

test("a server that is away, and one that speaks something else, may be asked again", async (t) => {
  const peer = createNetServer((socket) =>
    socket
      .on("error", () => undefined)
      .resume()
      .end("220 mail.example.com ESMTP\r\n"),
  );
  await new Promise<void>((resolve) => peer.listen(0, "127.0.0.1", resolve));
  const { port } = peer.address() as AddressInfo;
  const instance = await makeInstance(zipkin, { endpoint: `http://127.0.0.1:${port}` }, fakeHost());
  t.like(await instance.spans([span], fakeCall()), { delivered: 0, retry: true });
  await new Promise((resolve) => peer.close(resolve));
  t.like(await instance.spans([span], fakeCall()), { delivered: 0, retry: true });
});

test("a batch that is too large is sent in several requests, in order, and what arrived is not sent again", async (t) => {
  let requests = 0;
  const { instance, receiver } = await setUp(t, (_, response) =>
    response.writeHead(++requests === 3 ? 503 : 202).end(),
  );
  const spans = Array.from({ length: 100 }, (_, n) => ({
    ...span,
    spanId: `a${String(n).padStart(15, "0")}`,
    attributes: { text: "x".repeat(50_000) },
  }));
  const first = await instance.spans(spans, fakeCall());
  t.true(first !== undefined && first.delivered > 20 && first.delivered < 60 && first.retry);
  t.is(await instance.spans(spans.slice(first!.delivered), fakeCall()), undefined);
  t.true(receiver.received.every(({ body }) => body.length < 1.2 * 1024 * 1024));
  t.is(new Set(spansIn(receiver).map(({ id }) => id)).size, 100);
});

test("the README has every key of the configuration", (t) => {
  const page = readFileSync(`${projectRoot}/adapters/zipkin/README.md`, "utf8");
  for (const key of Object.keys(zipkin.config.shape)) t.regex(page, new RegExp(`^\\| \`${key}\` `, "m"));
});
