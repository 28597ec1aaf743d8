import { connect } from "node:net";
import { once } from "node:events";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { parseDocument } from "yaml";
import { z } from "zod";
import { Ip } from "../../../src/attributes/ip.ts";
import type { Asked, Decision } from "../../../src/runtime/decision.ts";
import { createHttpDoor } from "../../../src/wire/http/http-door.ts";
import { createHttpServer, type HttpServer } from "../../../src/wire/http/http-server.ts";
import { parseJson } from "../../../src/wire/http/json.ts";
import { openapi } from "../../../src/wire/http/openapi.ts";
import type { HoldAsked } from "../../../src/runtime/limits/holds.ts";
import { WeirError } from "../../../src/util/weir-error.ts";
import { allowed, contents, fakeHub, noReads, refused, type FakeHub } from "../grpc/fake-session.ts";
import { controlled, recordingLog, recordingObserver } from "../grpc/harness.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

interface Served {
  readonly url: string;
  readonly port: number;
  readonly hub: FakeHub;
  readonly server: HttpServer;
  readonly observer: ReturnType<typeof recordingObserver>;
  readonly log: ReturnType<typeof recordingLog>;
}

async function serve(
  t: ExecutionContext,
  behaviour: Parameters<typeof fakeHub>[0] = {},
  messageBytes = 1024 * 1024,
): Promise<Served> {
  const hub = fakeHub(behaviour);
  const observer = recordingObserver();
  const log = recordingLog();
  const outside = { observer, log, now: Date.now, monotonic: () => performance.now() };
  const door = createHttpDoor({ open: hub.open, ...outside });
  const server = createHttpServer({ doors: [door], limits: { messageBytes }, ...outside });
  const address = await server.listen("127.0.0.1:0");
  t.teardown(() => server.drain(AbortSignal.abort()));
  return { url: `http://${address}`, port: Number(address.split(":")[1]), hub, server, observer, log };
}

/** A part of the description that has a schema of JSON. */
interface Described {
  content: Record<string, { schema: unknown }>;
}

interface Answer {
  status: number;
  headers: Headers;
  json: any;
}

async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, json: await response.json() };
}

test("an allowed check is 200 with everything of the decision", async (t) => {
  let bag: Record<string, unknown> = {};
  let asked: Asked = {};
  const { url, hub, observer } = await serve(t, {
    check(given, a) {
      bag = contents(given);
      asked = a;
      given.get(given.layout.find("source.namespace")!);
      given.get(given.layout.find("request.path")!);
      given.get(given.layout.keysOf("request.headers")!.get("x-key")!);
      given.get(given.layout.keysOf("request.headers")!.get("x-none")!);
      return allowed({
        reads: given.reads(),
        requestHeaders: [
          { operation: "set", name: "x-plan", value: "gold" },
          { operation: "remove", name: "x-old", value: "" },
        ],
        responseHeaders: [{ operation: "append", name: "via", value: "weir" }],
        quotas: new Map([["per-key", { granted: 2, validForMs: 1500, code: 0, message: "", reads: noReads }]]),
        limits: [
          { rule: "p/per-key", allowed: true, amount: 10, windowMs: 1000, remaining: 8, resetMs: 200, degraded: true },
        ],
      });
    },
  });
  const { status, headers, json } = await post(`${url}/v1/check`, {
    attributes: {
      "request.path": "/x",
      "source.ip": "10.0.0.1",
      "request.size": { type: "int64", value: "9007199254740993" },
      "response.duration": "1.5s",
      "connection.mtls": true,
      "request.headers": { "x-key": "k", other: "o", __proto__: "p" },
      "destination.labels": { type: "ratings", value: "v1" },
      "request.host": "known, and read by no rule",
    },
    quotas: { "per-key": 2, b: { amount: 1, best_effort: true } },
    dedup_id: "d1",
  });
  t.is(status, 200);
  t.is(headers.get("content-type"), "application/json");
  t.is(headers.get("cache-control"), "no-store");
  t.deepEqual(json, {
    allowed: true,
    code: "ok",
    message: "",
    rules: [],
    http: null,
    headers: {
      request: [
        { op: "set", name: "x-plan", value: "gold" },
        { op: "remove", name: "x-old" },
      ],
      response: [{ op: "append", name: "via", value: "weir" }],
    },
    quotas: { "per-key": { granted: 2, valid_for: "1.500s", code: "ok", message: "" } },
    limits: [
      {
        rule: "p/per-key",
        allowed: true,
        amount: 10,
        window: "1s",
        remaining: 8,
        reset: "0.200s",
        retry_after: null,
        degraded: true,
      },
    ],
    valid_for: "5s",
    valid_uses: 10_000,
    referenced: ["-source.namespace", "request.path", "request.headers[x-key]", "-request.headers[x-none]"],
    id: "0123456789abcdef0123456789abcdef",
    version: "v1",
  });
  t.deepEqual(bag["source.ip"], Ip.parse("10.0.0.1"));
  t.is(bag["request.size"], 9007199254740993n);
  t.is(String(bag["response.duration"]), "1.500s");
  t.is(bag["connection.mtls"], true);
  t.is(bag["request.headers[x-key]"], "k");
  t.deepEqual(bag["request.headers"], new Map());
  t.deepEqual(
    bag["destination.labels"],
    new Map([
      ["type", "ratings"],
      ["value", "v1"],
    ]),
  );
  const { carrier, ...rest } = asked;
  t.is(carrier!.header("content-type"), "application/json");
  t.deepEqual(rest, {
    quotas: new Map([
      ["per-key", { amount: 2, bestEffort: false }],
      ["b", { amount: 1, bestEffort: true }],
    ]),
    dedupId: "d1",
    caller: "127.0.0.1",
  });
  t.is(hub.live, 0);
  t.deepEqual(observer.calls, ["http check 200"]);
});

test("a refused check is 200 too, and says what to answer", async (t) => {
  const answers: Decision[] = [
    refused(),
    refused({ http: { status: 302, body: "go", headers: [{ name: "location", value: "/login" }] } }),
    refused({ code: 14, message: "partners does not answer" }),
  ];
  const { url } = await serve(t, { check: async () => answers.shift()! });
  const plain = await post(`${url}/v1/check`, {});
  t.is(plain.status, 200);
  t.like(plain.json, { allowed: false, code: "permission_denied", rules: ["ratings/only-reviews"] });
  t.deepEqual(plain.json.http, { status: 403, body: "only reviews may call ratings", headers: [] });
  t.deepEqual((await post(`${url}/v1/check`, {})).json.http, {
    status: 302,
    body: "go",
    headers: [{ name: "location", value: "/login" }],
  });
  t.like((await post(`${url}/v1/check`, {})).json, { code: "unavailable", http: { status: 503 } });
});

const wrong: readonly {
  title: string;
  body: unknown;
  headers?: Record<string, string>;
  status?: number;
  code?: string;
  message: RegExp;
}[] = [
  {
    title: "an unknown attribute, with the nearest name",
    body: { attributes: { "request.pth": "/x" } },
    code: "WEIR_REQUEST_ATTRIBUTE",
    message: /request\.pth.*did you mean request\.path\?/,
  },
  {
    title: "a value of another type",
    body: { attributes: { "request.size": "many" } },
    code: "WEIR_REQUEST_ATTRIBUTE",
    message: /request\.size is of type int64.*"many"/,
  },
  {
    title: "a wrong value that no rule reads",
    body: { attributes: { "response.code": true } },
    code: "WEIR_REQUEST_ATTRIBUTE",
    message: /response\.code/,
  },
  {
    title: "an integer that JSON cannot carry exactly",
    body: '{"attributes": {"request.size": 9007199254740993}}',
    code: "WEIR_REQUEST_ATTRIBUTE",
    message: /int64, and a number beyond 2\^53 comes as digits in a string/,
  },
  {
    title: "a type that is not the attribute's",
    body: { attributes: { "request.size": { type: "string", value: "5" } } },
    code: "WEIR_REQUEST_ATTRIBUTE",
    message: /type int64.*"string"/,
  },
  { title: "null", body: { attributes: { "request.path": null } }, code: "WEIR_REQUEST_ATTRIBUTE", message: /null/ },
  {
    title: "a map with a value that is no string",
    body: { attributes: { "request.headers": { a: 1 } } },
    code: "WEIR_REQUEST_ATTRIBUTE",
    message: /string_map/,
  },
  {
    title: "an address that is none",
    body: { attributes: { "source.ip": "10.0.0.256" } },
    code: "WEIR_REQUEST_ATTRIBUTE",
    message: /source\.ip is of type ip/,
  },
  {
    title: "a name like __proto__",
    body: '{"attributes": {"__proto__": "x"}}',
    code: "WEIR_REQUEST_ATTRIBUTE",
    message: /__proto__/,
  },
  { title: "attributes that are a list", body: { attributes: [] }, message: /attributes are an object/ },
  {
    title: "a key of the body that is not known",
    body: { atributes: {} },
    message: /"atributes"; did you mean attributes\?/,
  },
  { title: "a body that is a list", body: [], message: /object/ },
  { title: "a dedup_id that is no text", body: { dedup_id: 5 }, message: /dedup_id/ },
  {
    title: "a negative amount",
    body: { quotas: { q: -1 } },
    code: "WEIR_REQUEST_QUOTA",
    message: /q is a whole number of 0 or more/,
  },
  {
    title: "more quotas than a check may name",
    body: { quotas: Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`q${i}`, 1])) },
    code: "WEIR_REQUEST_QUOTA",
    message: /at most 128 quotas/,
  },
  {
    title: "an amount with a fraction",
    body: { quotas: { q: 1.5 } },
    code: "WEIR_REQUEST_QUOTA",
    message: /whole number/,
  },
  {
    title: "an unknown key of a quota",
    body: { quotas: { q: { amount: 1, besteffort: true } } },
    code: "WEIR_REQUEST_QUOTA",
    message: /best_effort/,
  },
  { title: "an empty body", body: "", message: /line 1, column 1: expected a value, and the body ended/ },
  {
    title: "JSON that breaks off",
    body: '{"attributes":\n  {"request.path": "/x"',
    message: /line 2, column 24: expected "," or "}", and the body ended/,
  },
  {
    title: "a comma too much",
    body: '{"attributes": {},}',
    message: /line 1, column 19: expected a name in double quotes, and got "}"/,
  },
  { title: "text behind the JSON", body: "{} x", message: /column 4: expected nothing more/ },
  { title: "NaN", body: '{"attributes": {"request.size": NaN}}', message: /column 33: expected a value, and got "N"/ },
  { title: "bytes that are not UTF-8", body: Buffer.from('{"dedup_id": "\xff"}', "latin1"), message: /UTF-8/ },
  {
    title: "nesting without end",
    body: "[".repeat(100_000),
    message: /column 33: arrays and objects lie more than 32 deep/,
  },
  {
    title: "a form",
    body: "a=b",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    status: 415,
    code: "WEIR_MEDIA_TYPE",
    message: /application\/json/,
  },
  {
    title: "another charset",
    body: "{}",
    headers: { "content-type": "application/json; charset=utf-16" },
    status: 415,
    code: "WEIR_MEDIA_TYPE",
    message: /application\/json/,
  },
  {
    title: "a compressed body",
    body: "{}",
    headers: { "content-encoding": "gzip" },
    status: 415,
    code: "WEIR_MEDIA_TYPE",
    message: /encoding/,
  },
];

for (const { title, body, headers, status = 400, code = "WEIR_REQUEST_MALFORMED", message } of wrong) {
  test(`check refuses to judge: ${title}`, async (t) => {
    const { url, hub } = await serve(t, { check: () => t.fail() as never });
    const answer = await post(`${url}/v1/check`, body, headers);
    t.is(answer.status, status);
    t.is(answer.json.error.code, code);
    t.regex(answer.json.error.message, message);
    t.is(hub.live, 0);
  });
}

test("a content type may have parameters and any case", async (t) => {
  const { url } = await serve(t);
  t.is((await post(`${url}/v1/check`, {}, { "content-type": 'Application/JSON; charset="UTF-8"' })).status, 200);
});

test("a hub that fails is 503, and its reason stays in the log", async (t) => {
  const secret = new Error("password is hunter2");
  const { url, log, hub } = await serve(t, {
    check: () => {
      throw secret;
    },
  });
  const { status, json } = await post(`${url}/v1/check`, {});
  t.is(status, 503);
  t.deepEqual(json, { error: { code: "WEIR_INTERNAL", message: "the hub failed" } });
  t.is((log.lines[0]!.fields as { err: unknown }).err, secret);
  t.is(hub.live, 0);
});

test("report takes records, and a record that is wrong costs only itself", async (t) => {
  const seen: Record<string, unknown>[] = [];
  const { url, hub, observer } = await serve(t, {
    report(bag) {
      seen.push(contents(bag));
      return "taken";
    },
  });
  const { status, json } = await post(`${url}/v1/report`, {
    reports: [
      { "request.path": "/a", "request.size": 1 },
      { "request.pth": "/b" },
      5,
      { attributes: { "request.path": "/c" } },
    ],
  });
  t.is(status, 200);
  t.like(json, { taken: 2, not_taken: 0, broken: 2 });
  t.deepEqual(
    json.errors.map(({ index, code }: { index: number; code: string }) => [index, code]),
    [
      [1, "WEIR_REQUEST_ATTRIBUTE"],
      [2, "WEIR_REQUEST_MALFORMED"],
    ],
  );
  t.deepEqual(seen, [{ "request.path": "/a", "request.size": 1 }, { "request.path": "/c" }]);
  t.is(hub.opened, 1);
  t.is(hub.live, 0);
  t.deepEqual(observer.drops, ["record broken 2"]);
});

test("report stops where a queue is full: 429, when to come again, and how many were taken", async (t) => {
  let room = 2;
  const { url, hub } = await serve(t, { report: () => (room-- > 0 ? "taken" : "full") });
  const { status, headers, json } = await post(`${url}/v1/report`, { reports: [{}, 5, {}, {}, {}] });
  t.is(status, 429);
  t.is(headers.get("retry-after"), "1");
  t.like(json, { taken: 2, not_taken: 2, broken: 1, error: { code: "WEIR_REPORT_NOT_TAKEN" } });
  t.is(hub.notTried, 1, "of two that were not taken, one was tried");
  t.is(hub.live, 0);
});

test("the answer to many broken records is short", async (t) => {
  const { url } = await serve(t);
  const { json } = await post(`${url}/v1/report`, { reports: Array.from({ length: 50_000 }, () => 1) });
  t.like(json, { taken: 0, broken: 50_000 });
  t.is(json.errors.length, 100);
});

for (const body of [{}, { reports: {} }, { reports: [], more: 1 }]) {
  test(`report refuses ${JSON.stringify(body)}`, async (t) => {
    const { url } = await serve(t);
    t.is((await post(`${url}/v1/report`, body)).status, 400);
  });
}

test("an empty report is fine", async (t) => {
  const { url } = await serve(t);
  t.deepEqual((await post(`${url}/v1/report`, { reports: [] })).json, {
    taken: 0,
    not_taken: 0,
    broken: 0,
    errors: [],
  });
});

test("another path is 404, another method 405 with the ones that are allowed", async (t) => {
  const { url, observer } = await serve(t);
  const missing = await fetch(`${url}/v1/chek?a=b`);
  t.is(missing.status, 404);
  t.like(await missing.json(), { error: { code: "WEIR_NOT_FOUND" } });
  for (const [path, method, allow] of [
    ["/v1/check", "GET", "POST"],
    ["/v1/check", "DELETE", "POST"],
    ["/openapi.json", "POST", "GET, HEAD"],
  ] as const) {
    const response = await fetch(url + path, { method });
    t.is(response.status, 405);
    t.is(response.headers.get("allow"), allow);
  }
  t.is(
    (
      await fetch(`${url}/v1/check?x=1`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      })
    ).status,
    200,
  );
  t.is(observer.calls[0], "http unknown 404");
});

test("requests whose bodies do not end are refused when they hold too much; others are served", async (t) => {
  const { url, port, observer } = await serve(t, {}, 10_000);
  // 64 bodies of the largest size may be on their way.
  const answers = Array.from({ length: 80 }, () => {
    const socket = connect(port, "127.0.0.1");
    t.teardown(() => socket.destroy());
    socket.write(
      "POST /v1/check HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 10000\r\n\r\n",
    );
    socket.write(Buffer.alloc(9999, " "));
    socket.setEncoding("utf8");
    return once(socket, "data") as Promise<[string]>;
  });
  const [answer] = await Promise.race(answers);
  t.regex(answer, /^HTTP\/1\.1 503 [^]*connection: close[^]*"WEIR_OVERLOADED"/i);
  t.is((await post(`${url}/v1/check`, { attributes: {} })).status, 200);
  t.true(observer.drops.includes("call messages_unfinished 1"));
});

test("a body above the limit is 413, said beforehand or not, and the connection lives", async (t) => {
  const { url } = await serve(t, {}, 1000);
  const large = JSON.stringify({ dedup_id: "x".repeat(1000) });
  const declared = await post(`${url}/v1/check`, large);
  t.is(declared.status, 413);
  t.is(declared.json.error.code, "WEIR_REQUEST_TOO_LARGE");
  const chunked = await fetch(`${url}/v1/check`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: new Blob([large]).stream(),
    duplex: "half",
  } as RequestInit);
  t.is(chunked.status, 413);
  t.is((await post(`${url}/v1/check`, "{}" + " ".repeat(998))).status, 200);
});

test("a body far above the limit is cut off", async (t) => {
  const { port } = await serve(t, {}, 1000);
  const socket = connect(port, "127.0.0.1");
  let heard = "";
  socket.on("data", (bytes: Buffer) => (heard += bytes.toString()));
  socket.write(
    "POST /v1/check HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 999999999\r\n\r\n",
  );
  await once(socket, "close");
  t.regex(heard, /^HTTP\/1\.1 413 /);
  t.regex(heard, /connection: close/);
});

test("a connection may send requests before it has answers, up to a bound", async (t) => {
  const { port, observer, url } = await serve(t);
  const asked = "GET /openapi.json HTTP/1.1\r\nhost: h\r\n\r\n";
  const many = connect(port, "127.0.0.1");
  let heard = "";
  many.on("data", (bytes: Buffer) => (heard += bytes.toString()));
  many.write(asked.repeat(64) + asked.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
  await once(many, "close");
  t.is(heard.split("HTTP/1.1 200 OK").length - 1, 65);
  t.deepEqual(observer.drops, []);

  const more = connect(port, "127.0.0.1");
  more.on("error", () => {}).resume();
  more.write(asked.repeat(1000));
  await once(more, "close");
  t.deepEqual(observer.drops, ["connection flood 1"]);
  t.is((await post(`${url}/v1/check`, {})).status, 200);
});

test("a caller that goes away in the middle of its body leaves nothing behind", async (t) => {
  const { port, hub, url, log } = await serve(t);
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(
    "POST /v1/check HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    () => socket.destroy(),
  );
  await once(socket, "close");
  t.is((await post(`${url}/v1/check`, {})).status, 200);
  t.is(hub.live, 0);
  t.deepEqual(log.lines, []);
});

test("drain answers what was asked, and takes nothing new", async (t) => {
  const asked = controlled<void>();
  const answer = controlled<Decision>();
  const { url, server } = await serve(t, {
    check: () => {
      asked.resolve();
      return answer.promise;
    },
  });
  const inFlight = post(`${url}/v1/check`, {});
  await asked.promise;
  const drained = server.drain(new AbortController().signal);
  await t.throwsAsync(fetch(url));
  answer.resolve(allowed());
  const { status, headers } = await inFlight;
  t.is(status, 200);
  t.is(headers.get("connection"), "close");
  await drained;
});

test("drain cuts what is left when it is forced", async (t) => {
  const asked = controlled<void>();
  const { url, server } = await serve(t, {
    check: () => {
      asked.resolve();
      return new Promise<Decision>(() => {});
    },
  });
  const inFlight = t.throwsAsync(post(`${url}/v1/check`, {}));
  await asked.promise;
  const force = new AbortController();
  const drained = server.drain(force.signal);
  force.abort();
  await drained;
  await inFlight;
});

/** A validator of a schema of the description, with its references put in. */
function validator(schema: unknown): z.ZodType {
  const inline = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(inline);
    if (typeof node !== "object" || node === null) return node;
    const { $ref, ...rest } = node as Record<string, unknown>;
    if (typeof $ref === "string") {
      const name = $ref.replace("#/components/schemas/", "") as keyof typeof openapi.components.schemas;
      return inline(openapi.components.schemas[name]);
    }
    return Object.fromEntries(
      Object.entries(rest).map(([key, value]) => [key, key === "example" ? value : inline(value)]),
    );
  };
  return z.fromJSONSchema(inline(schema) as Parameters<typeof z.fromJSONSchema>[0]);
}

test("GET /openapi.json describes every route, and the answers are as it says", async (t) => {
  const full: Decision[] = [
    allowed({
      requestHeaders: [{ operation: "remove", name: "a", value: "" }],
      quotas: new Map([["q", { granted: 0, validForMs: 0, code: 8, message: "none left", reads: noReads }]]),
      limits: [{ rule: "p/r", allowed: false, amount: 1, windowMs: 1, remaining: 0, resetMs: 1.5, retryAfterMs: 1 }],
    }),
    refused({ http: { headers: [{ name: "a", value: "b" }] } }),
  ];
  let room = 1;
  const hold = async ({ kind }: { readonly kind: string }) => [
    { rule: "p/r", units: 1, ...(kind === "renew" ? { forMs: 1500 } : {}) },
  ];
  const { url } = await serve(t, { check: () => full.shift()!, report: () => (room-- > 0 ? "taken" : "full"), hold });
  const described = (await (await fetch(`${url}/openapi.json`)).json()) as typeof openapi;
  t.deepEqual(described, JSON.parse(JSON.stringify(openapi)));
  const head = await fetch(`${url}/openapi.json`, { method: "HEAD" });
  t.deepEqual([head.status, head.headers.get("content-type"), await head.text()], [200, "application/json", ""]);
  const holds = ["/v1/limits/refund", "/v1/limits/release", "/v1/limits/renew"] as const;
  t.deepEqual(Object.keys(described.paths).sort(), ["/openapi.json", "/v1/check", ...holds, "/v1/report"]);

  const held = "0123456789abcdef".repeat(2);
  const requests: [path: "/v1/check" | "/v1/report" | (typeof holds)[number], body: unknown, valid: boolean][] = [
    [
      "/v1/check",
      { attributes: { "request.size": { type: "int64", value: "5" } }, quotas: { q: 1 }, dedup_id: "d" },
      true,
    ],
    ["/v1/check", { quotas: { q: { amount: 1, best_effort: true } } }, true],
    ["/v1/check", { atributes: {} }, false],
    ["/v1/check", { quotas: { q: -1 } }, false],
    ["/v1/report", { reports: [{}, { attributes: {} }, { "request.pth": "x" }, { "request.path": "/" }] }, true],
    ["/v1/report", { reports: 1 }, false],
    ["/v1/limits/release", { id: held }, true],
    ["/v1/limits/release", { id: "D" }, false],
    ["/v1/limits/release", {}, false],
    ["/v1/limits/release", { id: held, ttl: "1s" }, false],
    ["/v1/limits/renew", { id: held, ttl: "30s" }, true],
    ["/v1/limits/renew", { id: held, ttl: 30 }, false],
    ["/v1/limits/refund", { id: held, limit: "p/r", amount: 2 }, true],
    ["/v1/limits/refund", { id: held, amount: 0 }, false],
    ["/v1/limits/refund", { id: held, amount: 1.5 }, false],
  ];
  for (const [path, body, valid] of requests) {
    const { post: operation } = described.paths[path];
    t.is(
      validator((operation.requestBody as unknown as Described).content["application/json"]!.schema).safeParse(body)
        .success,
      valid,
      JSON.stringify(body),
    );
    const { status, json } = await post(url + path, body);
    const response = (operation.responses as unknown as Record<string, Described>)[status];
    t.truthy(response, `${path} answered ${status}`);
    const result = validator(response!.content["application/json"]!.schema).safeParse(json);
    t.true(result.success, `${status}: ${JSON.stringify(json)}: ${String(result.error)}`);
    t.is(status < 400 || status === 429, valid);
  }
});

/** As a reader of YAML sees it, of which JSON is a part. */
const hasNameTwice = (text: string): boolean => parseDocument(text).errors.some(({ code }) => code === "DUPLICATE_KEY");

test("a body with a name twice in an object is refused, however it is spelled", (t) => {
  for (const text of [
    '{"a":1,"a":2}',
    '[{"b":{"a":1,"\\u0061":1}}]',
    '{"__proto__":1,"__proto__":1}',
    '{"1":[],"1":{}}',
  ])
    t.throws(() => parseJson(Buffer.from(text)), { message: /has a name twice/ }, text);
  for (const text of ['{"a:":"b:c","b":[{"a":":"},{"a":1}]}', '{"a\\":":1}', '{"a":{"a":{"a":null}}}', '"a:b"'])
    t.deepEqual(parseJson(Buffer.from(text)), JSON.parse(text), text);
});

test("text that is JSON reads as JSON.parse does, and what is not is refused with a place", (t) => {
  const texts = fc.oneof(
    fc.json({ maxDepth: 5 }),
    fc.tuple(fc.json({ maxDepth: 4 }), fc.nat(), fc.constantFrom(...'{}[],:"\\0-e.tn \u0000é')).map(([text, at, c]) => {
      const i = at % (text.length + 1);
      return text.slice(0, i) + c + text.slice(i + (at % 2));
    }),
    fc.string({ unit: fc.constantFrom(...'{}[],:"\\01-e.tru ') }),
  );
  fc.assert(
    fc.property(texts, (text) => {
      let expected: unknown;
      let isJson = true;
      try {
        expected = JSON.parse(text);
      } catch {
        isJson = false;
      }
      try {
        const found = parseJson(Buffer.from(text));
        return isJson && JSON.stringify(found) === JSON.stringify(expected);
      } catch (error) {
        const { message } = error as Error;
        if (isJson) return /has a name twice/.test(message) && hasNameTwice(text);
        return /line \d+, column \d+: expected/.test(message);
      }
    }),
    { numRuns: fuzzRuns(2000) },
  );
  t.pass();
});

test("no body makes the door fail otherwise than with a 4xx", async (t) => {
  const { url, log } = await serve(t);
  const value = fc.anything({ maxDepth: 3, withNullPrototype: false });
  const bodies = fc.oneof(
    value.map((v) => JSON.stringify({ attributes: v }) ?? ""),
    fc
      .dictionary(fc.constantFrom("request.path", "request.headers", "source.ip", "request.time", "__proto__"), value)
      .map((v) => JSON.stringify({ attributes: v })),
    value.map((v) => JSON.stringify({ quotas: { q: v } })),
    fc.array(value).map((v) => JSON.stringify({ reports: v })),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(bodies, fc.constantFrom("check", "report"), async (body, path) => {
      const { status } = await post(`${url}/v1/${path}`, body);
      return status === 200 || status === 400;
    }),
    { numRuns: fuzzRuns(300) },
  );
  t.deepEqual(log.lines, []);
});

test("POST /v1/limits says 404 where nothing is held, and 503 where a store does not answer", async (t) => {
  const id = "0123456789abcdef".repeat(2);
  const asked: HoldAsked[] = [];
  const answers = [
    () => Promise.resolve([]),
    () => Promise.reject(new WeirError("WEIR_ADAPTER_FAILED", "no answer")),
    () => Promise.resolve([{ rule: "p/r", units: 2.5 }]),
  ];
  const { url, hub } = await serve(t, {
    hold(wanted) {
      asked.push(wanted);
      return answers.shift()!();
    },
  });
  const call = (path: string, body: object) => post(`${url}/v1/limits/${path}`, { id, ...body });
  t.like(await call("release", {}), { status: 404, json: { error: { code: "WEIR_NOT_HELD" } } });
  t.like(await call("renew", { ttl: "1m30s" }), { status: 503, json: { error: { code: "WEIR_ADAPTER_FAILED" } } });
  const { status, json } = await call("refund", { limit: "p/r", amount: 3 });
  t.deepEqual([status, json], [200, { id, limits: [{ rule: "p/r", units: 2.5 }] }]);
  t.deepEqual(asked, [
    { kind: "release", id },
    { kind: "renew", id, forMs: 90_000 },
    { kind: "refund", id, rule: "p/r", amount: 3 },
  ]);
  t.is(hub.live, 0);
});
