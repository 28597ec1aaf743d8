import { once } from "node:events";
import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { request } from "node:http";
import test, { type ExecutionContext } from "ava";
import prometheus from "../../adapters/prometheus/index.ts";
import { parseExposition } from "../../adapters/prometheus/exposition-parser.ts";
import { createConsole } from "../../src/console/console.ts";
import { pages } from "../../src/console/pages.ts";
import type { AdapterView, HubView, LimitsView } from "../../src/console/view.ts";
import { WeirError } from "../../src/util/weir-error.ts";
import { FakeClock, fakeLog } from "../telemetry/fakes.ts";
import { snapshotOf } from "../telemetry/hub.ts";

const policies = `
policy: ratings
namespace: bookinfo
match: destination.service.name == "ratings"
mode: observe
check:
  - { name: only-reviews, deny: permission_denied, unless: source.namespace == "reviews", message: no, cache: 30s }
  - { name: per-key, limit: 500/s, burst: 1000, by: { key: request.api_key }, cost: "2" }
  - { name: tag, headers: { request: { set: { x-plan: '"gold"' } }, response: { remove: [x-internal] } } }
report:
  - { metric: requests_total, type: counter, labels: { code: response.code } }
  - { log: access, fields: { path: request.path }, when: response.code >= 500 }
---
policy: empty
`;

const exposing = (name: string, pieces: readonly unknown[]): AdapterView => ({
  entry: { name, adapter: prometheus, config: { maxSeries: 5 }, required: true },
  instance: {
    async *expose() {
      for (const piece of pieces) {
        if (piece instanceof Error) throw piece;
        yield piece as string;
      }
    },
  },
});

const noLimits: LimitsView = {
  list: () => [],
  find: () => {
    throw new WeirError("WEIR_NOT_FOUND", "no such limit");
  },
  top: async (rule) => ({ rule, keys: [], seen: 0, complete: true }),
  look: async () => [],
  divided: () => [],
  reset: async () => ({ keys: 0, divided: 0 }),
  grant: async () => 0,
};

function hubView(view: Partial<HubView> = {}): HubView {
  return {
    version: "1.2.3",
    startedMs: Date.UTC(2026, 0, 1),
    listeners: () => ({ grpc: "127.0.0.1:9091" }),
    loaded: () => ({ version: "abc", policies: [], checks: [], reports: [] }),
    lastReload: () => ({ ok: true, timeMs: Date.UTC(2026, 0, 1), problems: [] }),
    adapters: () => [],
    credentials: () => [],
    refusals: () => [],
    ledger: () => undefined,
    graph: () => ({ spanMs: 1000, latencyBoundsMs: [], edges: [] }),
    limits: noLimits,
    draining: () => false,
    async *metrics(format) {
      yield `# HELP weir_x X.\n# TYPE weir_x gauge\nweir_x ${format === "openmetrics" ? 2 : 1}\n`;
    },
    ...view,
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly json: () => Record<string, unknown>;
}

/** Starts a console and gives a function that asks it. */
async function start(t: ExecutionContext, view: Partial<HubView> = {}) {
  const log = fakeLog();
  const now = (): number => Date.UTC(2026, 0, 1, 0, 1);
  const clock = new FakeClock();
  const admin = createConsole({ hub: hubView(view), log, now, timers: clock });
  const address = await admin.start("127.0.0.1:0");
  t.teardown(() => admin.close());
  const ask = (
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { method = "GET", headers = {} } = options;
      const asked = request(`http://${address}${path}`, { method, headers, agent: false }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (body += chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body,
            json: () => JSON.parse(body) as Record<string, unknown>,
          }),
        );
      });
      asked.on("error", reject);
      asked.end(options.body);
    });
  return { admin, address, ask, log, clock };
}

test("the index lists every page, and each page answers GET and HEAD without anything to keep or to run", async (t) => {
  const { ask } = await start(t);
  const index = await ask("/");
  t.is(index.headers["content-type"], "text/plain; charset=utf-8");
  for (const path of pages.keys()) {
    t.true(index.body.includes(`${path} `), path);
    const got = await ask(`${path}?x=1`);
    t.is(got.status, 200, path);
    t.is(got.headers["cache-control"], "no-store");
    t.is(got.headers["x-content-type-options"], "nosniff");
    t.is(got.headers["access-control-allow-origin"], undefined);
    const head = await ask(path, { method: "HEAD" });
    t.deepEqual([head.status, head.body, head.headers["content-type"]], [200, "", got.headers["content-type"]], path);
  }
});

test("what is not there or not allowed is an error in the house's shape", async (t) => {
  const { ask } = await start(t);
  for (const path of ["/nothing", "//", "/../etc/passwd", "/metrics/", "/__proto__"]) {
    const answer = await ask(path);
    t.is(answer.status, 404, path);
    t.like(answer.json(), { error: { code: "WEIR_NOT_FOUND" } });
  }
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
    const answer = await ask("/status", { method, body: method === "POST" ? "x".repeat(100_000) : "" });
    t.is(answer.status, 405, method);
    t.is(answer.headers["allow"], "GET, HEAD");
    t.like(answer.json(), { error: { code: "WEIR_METHOD_NOT_ALLOWED" } });
  }
});

test("one scrape joins the hub's metrics and those of every instance, in the format asked for", async (t) => {
  const adapters = (): AdapterView[] => [
    exposing("one", ["# HELP a A.\n# TYPE a gauge\n", "a 1\n"]),
    { ...exposing("none", []), instance: {} },
    exposing("two", ["", "# HELP b B.\n# TYPE b gauge\nb 2"]),
  ];
  const { ask } = await start(t, { adapters });
  const plain = await ask("/metrics");
  t.is(plain.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  t.deepEqual([...parseExposition(plain.body, "prometheus").keys()], ["weir_x", "a", "b"]);
  const open = await ask("/metrics", {
    headers: { accept: "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1" },
  });
  t.is(open.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
  t.is(parseExposition(open.body, "openmetrics").get("weir_x")!.samples.get("weir_x{}"), 2);
});

for (const [accept, format] of [
  ["", "text/plain"],
  ["*/*", "text/plain"],
  ["application/openmetrics-text", "application/openmetrics-text"],
  ["application/openmetrics-text;version=0.0.1", "text/plain"],
  ["application/openmetrics-text;q=0.3, text/plain;q=0.5", "text/plain"],
  ["application/openmetrics-text;q=0", "text/plain"],
  ["Application/OpenMetrics-Text; Version=1.0.0; Q=0.5, text/plain; q=0.5", "application/openmetrics-text"],
  ["text/html;q=nonsense,,;;;,application/openmetrics-text;q=x", "text/plain"],
] as const) {
  test(`a scraper that accepts "${accept}" gets ${format}`, async (t) => {
    const { ask } = await start(t);
    const { headers } = await ask("/metrics", { headers: { accept } });
    t.true(String(headers["content-type"]).startsWith(format));
  });
}

test("an instance that fails to expose costs only its own metrics", async (t) => {
  const adapters = (): AdapterView[] => [
    exposing("broken", ["# HELP a A.\n# TYPE a gauge\na 1\n", new Error("broken")]),
    exposing("fine", ["# HELP b B.\n# TYPE b gauge\nb 2\n"]),
  ];
  const { ask, log } = await start(t, { adapters });
  t.deepEqual([...parseExposition((await ask("/metrics")).body, "prometheus").keys()], ["weir_x", "a", "b"]);
  t.deepEqual(log.lines, ["error: adapter broken failed to expose its metrics"]);
});

test("an instance whose text is no text, or never comes, costs only its own metrics", async (t) => {
  const fine = exposing("fine", ["# HELP b B.\n# TYPE b gauge\nb 2\n"]);
  const hanging: AdapterView = {
    ...exposing("hanging", []),
    instance: {
      async *expose() {
        yield "# HELP h H.\n";
        await new Promise(() => undefined);
      },
    },
  };
  const { ask, log, clock } = await start(t, { adapters: () => [exposing("number", [5]), hanging, fine] });
  let answered = false;
  const answer = ask("/metrics").finally(() => (answered = true));
  while (!answered) await clock.advance(1000);
  t.deepEqual([...parseExposition((await answer).body, "prometheus").keys()].sort(), ["b", "weir_x"]);
  t.deepEqual(log.lines, [
    "error: adapter number failed to expose its metrics",
    "error: adapter hanging failed to expose its metrics",
  ]);
});

test("an instance is told when a scrape was taken whole, and not of others that have a look", async (t) => {
  const told: (boolean | undefined)[] = [];
  const instance: AdapterView["instance"] = {
    *expose({ taken }) {
      const at = told.push(undefined) - 1;
      void taken?.then((isTaken) => (told[at] = isTaken));
      yield "# HELP a A.\n# TYPE a gauge\na 1\n";
    },
  };
  const { ask } = await start(t, { adapters: () => [{ ...exposing("one", []), instance }] });
  const scraper = { "x-prometheus-scrape-timeout-seconds": "10" };
  for (const headers of [{}, scraper, {}, scraper]) await ask("/metrics", { headers });
  await ask("/metrics", { method: "HEAD" });
  while (told.includes(undefined)) await setImmediate();
  t.deepEqual(told, [true, true, false, true]);
});

test("an answer that was broken off is not one that was taken", async (t) => {
  let told: boolean | undefined;
  let ended = false;
  const instance: AdapterView["instance"] = {
    async *expose({ taken }) {
      void taken?.then((isTaken) => (told = isTaken));
      try {
        for (;;) {
          await setImmediate();
          yield `# ${"x".repeat(30_000)}\n`;
        }
      } finally {
        ended = true;
      }
    },
  };
  const { address } = await start(t, { adapters: () => [{ ...exposing("one", []), instance }] });
  await new Promise<void>((resolve) => {
    const asked = request(`http://${address}/metrics`, { agent: false }, (response) => {
      response.once("data", () => response.destroy());
      response.once("close", resolve);
    });
    asked.on("error", () => undefined);
    asked.end();
  });
  while (!ended) await setImmediate();
  t.is(told, undefined);
});

test("/status tells how the process before this one ended", async (t) => {
  const lost = [{ what: "scraped_sample", adapter: "prometheus", count: 7 }];
  const before = { end: "killed", startedMs: 0, writtenMs: 60_000, lost } as const;
  const view = { path: "/var/lib/weir/ledger", problem: undefined, before };
  const { ask } = await start(t, { ledger: () => view });
  t.deepEqual((await ask("/status")).json()["ledger"], {
    path: "/var/lib/weir/ledger",
    before: { end: "killed", started: "1970-01-01T00:00:00.000Z", written: "1970-01-01T00:01:00.000Z", lost },
  });
});

test("few scrapes run at once, and more are told to come again", async (t) => {
  let release = (): void => {};
  let begun = 0;
  let allBegun = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const eight = new Promise<void>((resolve) => (allBegun = resolve));
  async function* metrics(): AsyncGenerator<string> {
    if (++begun === 8) allBegun();
    await held;
    yield "";
  }
  const { ask } = await start(t, { metrics });
  const scrapes = Array.from({ length: 8 }, () => ask("/metrics"));
  await eight;
  const refused = await ask("/metrics");
  t.is(refused.status, 503);
  t.is(refused.headers["retry-after"], "1");
  t.like(refused.json(), { error: { code: "WEIR_CONSOLE_BUSY" } });
  t.is((await ask("/limits")).status, 200, "other pages are answered");
  t.is((await ask("/healthz")).status, 200, "health does not wait");
  release();
  t.deepEqual(
    (await Promise.all(scrapes)).map(({ status }) => status),
    Array<number>(8).fill(200),
  );
  t.is((await ask("/metrics")).status, 200);
});

test("ready says why not, each reason", async (t) => {
  const unready = (reason: unknown): AdapterView => ({
    ...exposing("redis", []),
    instance: { unready: () => reason as string },
  });
  const throwing: AdapterView = {
    ...exposing("bad", []),
    instance: {
      unready: () => {
        throw new Error("oops");
      },
    },
  };
  for (const [view, reasons] of [
    [{}, []],
    [{ adapters: () => [unready(undefined)] }, []],
    [{ lastReload: () => ({ ok: false, timeMs: 0, problems: ["x"] }) }, []],
    [{ draining: () => true }, ["the hub is stopping"]],
    [{ loaded: () => undefined }, ["no policies are loaded yet"]],
    [
      { adapters: () => [unready("no connection"), throwing] },
      ["adapter redis: no connection", "adapter bad: it cannot say whether it is ready: oops"],
    ],
    [{ adapters: () => [{ ...unready("no connection"), entry: { ...unready("").entry, required: false } }] }, []],
    [
      { adapters: () => [{ ...unready(undefined), undelivered: "it does not take spans: away" }] },
      ["adapter redis: it does not take spans: away"],
    ],
    [
      { adapters: () => [unready(Promise.resolve("later"))] },
      ["adapter redis: it cannot say whether it is ready: unready answers an object"],
    ],
  ] as [Partial<HubView>, string[]][]) {
    const { ask } = await start(t, view);
    const answer = await ask("/readyz");
    t.deepEqual(answer.json(), { ready: reasons.length === 0, reasons });
    t.is(answer.status, reasons.length === 0 ? 200 : 503);
    t.is((await ask("/healthz")).status, 200);
  }
});

test("status tells what serves and why the last reload was refused", async (t) => {
  const problem = 'policies/a.yaml:3:5: error[WEIR_POLICY_UNKNOWN_KEY]: unknown key "dney"';
  const { ask } = await start(t, {
    lastReload: () => ({ ok: false, timeMs: Date.UTC(2026, 0, 1, 0, 0, 30), problems: [problem] }),
  });
  t.deepEqual((await ask("/status")).json(), {
    version: "1.2.3",
    started: "2026-01-01T00:00:00.000Z",
    uptime_seconds: 60,
    ready: true,
    draining: false,
    listeners: { grpc: "127.0.0.1:9091" },
    policies: { version: "abc", policies: 0, check_rules: 0, report_rules: 0 },
    last_reload: { ok: false, time: "2026-01-01T00:00:30.000Z", problems: [problem] },
  });
  t.deepEqual((await ask("/version")).json(), { version: "1.2.3" });
});

test("status tells which adapters cannot serve, needed or not", async (t) => {
  const redis: AdapterView = { ...exposing("redis", []), instance: { unready: () => "no connection" } };
  const optional = { ...redis, entry: { ...redis.entry, required: false } };
  const { ask } = await start(t, { adapters: () => [exposing("prometheus", []), optional] });
  t.like((await ask("/status")).json(), { ready: true, adapters_not_ready: { redis: "no connection" } });
});

test("policies shows every rule with what it was written as", async (t) => {
  const snapshot = await snapshotOf(policies);
  const { ask } = await start(t, { loaded: () => snapshot });
  const { version, policies: shown } = (await ask("/policies")).json() as { version: string; policies: object[] };
  t.is(version, snapshot.version);
  t.is(shown.length, 2);
  t.deepEqual(shown[0], { name: "empty", place: "policies/test.yaml:14:1", mode: "enforce", check: [], report: [] });
  const { match, check, report, ...policy } = shown[1] as { match: string; check: object[]; report: object[] };
  t.deepEqual(policy as object, {
    name: "ratings",
    place: "policies/test.yaml:2:1",
    mode: "observe",
    namespace: "bookinfo",
  });
  t.true(match.includes('destination.service.name == "ratings"'));
  t.like(check, [
    {
      id: "ratings/only-reviews",
      kind: "deny",
      unless: 'source.namespace == "reviews"',
      code: "permission_denied",
      message: "no",
      cache_ms: 30_000,
    },
    {
      id: "ratings/per-key",
      kind: "limit",
      limit: { algorithm: "token-bucket", amount: 500, window_ms: 1000, burst: 1000 },
      by: { key: "request.api_key" },
      cost: "2",
      via: "memory",
      at: "check",
      on_error: "allow",
    },
    {
      id: "ratings/tag",
      kind: "headers",
      request: [{ operation: "set", name: "x-plan", value: '"gold"' }],
      response: [{ operation: "remove", name: "x-internal" }],
    },
  ]);
  t.like(report, [
    { kind: "log", log: "access", when: "response.code >= 500", fields: { path: "request.path" }, to: "stdout" },
    { kind: "metric", metric: "requests_total", type: "counter", labels: { code: "response.code" }, to: "prometheus" },
  ]);
});

test("adapters shows configurations without secrets", async (t) => {
  const config = {
    url: "redis://user:hunter2@redis:6379/0?token=abc#x",
    plain: "https://example.org/list",
    password: "hunter2",
    apiKey: "hunter2",
    maxKeys: 5,
    keyPrefix: "weir:",
    tls: { key: "-----BEGIN PRIVATE KEY-----\nhunter2", rejectUnauthorized: true, clientSecret: ["hunter2"] },
    headers: { Authorization: "Bearer hunter2", Cookie: "hunter2", Accept: "text/plain" },
    entries: Array.from({ length: 150 }, (_, i) => `entry-${i}`),
    long: "x".repeat(5000),
    fn: () => "hunter2",
    none: undefined,
    big: 5n,
    deep: { a: { b: { c: { d: { e: { f: { g: { h: "hunter2" } } } } } } } },
  };
  const { ask } = await start(t, {
    adapters: () => [
      { entry: { name: "redis", adapter: prometheus, config, required: false }, instance: { unready: () => "down" } },
    ],
  });
  const { body, json } = await ask("/adapters");
  t.false(body.includes("hunter2"));
  t.false(body.includes("abc"));
  const [adapter] = json()["adapters"] as [Record<string, unknown>];
  t.like(adapter, {
    name: "redis",
    adapter: "prometheus",
    provides: ["metrics"],
    required: false,
    ready: false,
    reason: "down",
  });
  const shown = adapter["config"] as Record<string, unknown>;
  t.like(shown, {
    url: "redis://***@redis:6379/0?***",
    plain: "https://example.org/list",
    password: "***",
    apiKey: "***",
    maxKeys: 5,
    keyPrefix: "weir:",
    headers: { Authorization: "***", Cookie: "***", Accept: "text/plain" },
  });
  t.is((shown["entries"] as string[]).length, 101);
  t.is((shown["entries"] as string[])[100], "... 50 more");
  t.is((shown["long"] as string).length, 1003);
});

test("a fault inside is told without its text", async (t) => {
  const { ask, log } = await start(t, {
    listeners: () => {
      throw new Error("secret inside");
    },
  });
  const answer = await ask("/status");
  t.is(answer.status, 503);
  t.deepEqual(answer.json(), { error: { code: "WEIR_INTERNAL", message: "a fault in Weir; the log has the cause" } });
  t.is(log.lines.length, 1);
});

test("bytes that are no HTTP, and headers without end, are refused and the console lives", async (t) => {
  const { address, ask } = await start(t);
  for (const bytes of ["\0\xff garbage\r\n\r\n", `GET / HTTP/1.1\r\nx: ${"y".repeat(100_000)}\r\n\r\n`]) {
    const answer = await new Promise<string>((resolve) => {
      let text = "";
      const socket = connect(Number(address.split(":")[1]), "127.0.0.1", () => socket.write(bytes));
      socket.on("data", (chunk) => (text += chunk.toString()));
      socket.on("error", () => {});
      socket.on("close", () => resolve(text));
    });
    t.regex(answer, /^HTTP\/1\.1 4\d\d /);
  }
  t.is((await ask("/healthz")).status, 200);
});

test("who goes away within a body is no fault of the console's", async (t) => {
  const { address, ask, log } = await start(t);
  const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
  socket.on("error", () => undefined).resume();
  const head = "POST /limits/a/b/reset HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 9\r\n";
  socket.write(`${head}expect: 100-continue\r\n\r\n`);
  // It asks for the body when it reads it.
  await once(socket, "data");
  socket.destroy();
  await once(socket, "close");
  t.is((await ask("/healthz")).status, 200);
  t.deepEqual(log.lines, []);
});

test("a connection of too many requests before their answers is ended", async (t) => {
  const { address, ask } = await start(t);
  const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
  socket.on("error", () => undefined).resume();
  socket.write("GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n".repeat(1000));
  await once(socket, "close");
  t.is((await ask("/healthz")).status, 200);
});

for (const [host, status] of [
  ["evil.example:9093", 403],
  ["evil.example", 403],
  ["localhost.evil.example", 403],
  ["127.0.0.1.evil.example:9093", 403],
  ["localhost:9093", 200],
  ["LOCALHOST", 200],
  ["hub.localhost:1", 200],
  ["127.0.0.1", 200],
  ["10.1.2.3:80", 200],
  ["[::1]:9093", 200],
] as const) {
  test(`on the loopback interface, who calls it ${host} is answered ${status}`, async (t) => {
    const { ask } = await start(t);
    for (const path of ["/status", "/refusals", "/metrics"])
      t.is((await ask(path, { headers: { host } })).status, status);
    t.is((await ask("/readyz", { headers: { host } })).status, 200);
  });
}

test("an address that is taken is told as such, and close ends connections that are open", async (t) => {
  const { admin, address } = await start(t);
  const other = createConsole({ hub: hubView(), log: fakeLog(), now: () => 0, timers: new FakeClock() });
  await t.throwsAsync(() => other.start(address), {
    code: "WEIR_LISTEN",
    message: /^cannot listen on 127/,
  });
  const closed = new Promise<void>((resolve) => {
    const socket = connect(Number(address.split(":")[1]), "127.0.0.1", () => void admin.close());
    socket.on("error", () => {});
    socket.on("close", () => resolve());
  });
  await closed;
  t.pass();
});
