import test from "ava";
import { Cidr } from "../../src/attributes/ip.ts";
import type { ExecutionContext } from "ava";
import { Bag } from "../../src/attributes/bag.ts";
import { doorSettings } from "../../src/policy/schema/doors.ts";
import { compilePolicies } from "../../src/policy/index.ts";
import type {
  AskRule,
  CheckRule,
  HeadersRule,
  LimitRule,
  LogRule,
  MetricRule,
  Snapshot,
} from "../../src/policy/snapshot.ts";
import { adapters } from "./adapters.ts";

async function compile(
  t: ExecutionContext,
  files: Readonly<Record<string, string>> | string,
  config?: string,
): Promise<Snapshot> {
  const texts = typeof files === "string" ? { "a.yaml": files } : files;
  const compiled = await compilePolicies({
    config: { path: "weir.yaml", text: config ?? "adapters: { list: {}, geo: {} }" },
    files: Object.entries(texts).map(([path, text]) => ({ path, text })),
    adapters,
    folder: "/etc/weir",
  });
  if ("problems" in compiled) {
    t.deepEqual(compiled.problems, []);
    throw new Error("the files have problems");
  }
  return compiled.snapshot;
}

const rule = async <R extends CheckRule>(t: ExecutionContext, text: string, policy = "policy: p\n"): Promise<R> =>
  (await compile(t, `${policy}check:\n  - ${text}\n`)).checks[0] as R;

const metric = async (t: ExecutionContext, text: string): Promise<MetricRule> =>
  (await compile(t, `policy: p\nreport:\n  - { metric: ${text} }\n`)).reports[0] as MetricRule;

test("without weir.yaml everything has its default", async (t) => {
  const compiled = await compilePolicies({ files: [], adapters, folder: "/etc/weir" });
  if ("problems" in compiled) return void t.fail();
  const { settings, adapters: entries, checks, reports, policies } = compiled.snapshot;
  t.deepEqual(settings, {
    listen: {
      grpc: { address: "127.0.0.1:9091" },
      http: { address: "127.0.0.1:9092" },
      admin: { address: "127.0.0.1:9093", open: ["/healthz", "/readyz"] },
    },
    policies: "/etc/weir/policies",
    allowEmpty: false,
    folder: "/etc/weir",
    check: { validForMs: 5000, validUses: 10_000, adapterTimeoutMs: 1000 },
    limits: {
      messageBytes: 1_048_576,
      streamsPerConnection: 1024,
      policyBytes: 1_048_576,
      expressionLength: 16_384,
      expressionCost: 100_000,
    },
    doors: doorSettings(undefined),
    telemetry: {
      buffer: { kind: "memory" },
      whenAway: "refuse",
      maxAgeMs: 86_400_000,
      queueEntries: 10_000,
      mesh: "istio",
      exemplars: false,
      decisions: { sample: 1, refused: 1, reveal: new Set(), recent: 1000 },
      graph: { windowMs: 300_000, maxEdges: 2000 },
    },
    shutdown: { deadlineMs: 10_000 },
  });
  t.deepEqual(
    [...entries.values()].map(({ name, adapter }) => [name, adapter.name]),
    [
      ["memory", "memory"],
      ["prometheus", "prometheus"],
      ["stdout", "log"],
    ],
  );
  t.deepEqual(entries.get("memory")?.config, { maxKeys: 1000 });
  t.deepEqual([checks, reports, policies], [[], [], []]);
});

test("weir.yaml overrides every default, and what is handed in overrides its listeners", async (t) => {
  const config = `
listen: { grpc: "0.0.0.0:1", http: { address: "[::1]:2" }, admin: localhost:0 }
policies: ../rules
allowEmpty: true
attributes: { tenant.plan: string, tenant.since: timestamp }
adapters:
  memory: { maxKeys: 7 }
  partners: { adapter: list, entries: [a] }
  traces: {}
limits: { message: 256KiB, streams: 5, policy: 2MiB, expression: 1KiB, cost: 1000 }
check: { validFor: 1m30s, validUses: 3, adapterTimeout: 250ms }
doors: { rateLimitFields: { style: both, on: always }, encodedSlash: refuse, body: 1KiB, authz: { trusted: [10.0.0.0/8] } }
telemetry: { buffer: disk, disk: { folder: b, maxSize: 16MiB, sync: false }, whenAway: memory, maxAge: 1h, queue: 9, mesh: none, exemplars: true, traces: { to: traces, ratio: 0.5, follow: false, perSecond: 3 }, graph: { window: 1m, edges: 7 }, decisions: { to: stdout, sample: 0.1, refused: 0, reveal: [Cookie], recent: 5 } }
shutdown: { deadline: 1s }
`;
  const compiled = await compilePolicies({
    config: { path: "weir.yaml", text: config },
    files: [],
    adapters,
    folder: "/etc/weir",
    listen: { http: "127.0.0.1:5" },
  });
  if ("problems" in compiled) return void t.deepEqual(compiled.problems, []);
  const { settings, vocabulary, adapters: entries } = compiled.snapshot;
  t.deepEqual(settings, {
    listen: {
      grpc: { address: "0.0.0.0:1" },
      http: { address: "127.0.0.1:5" },
      admin: { address: "localhost:0", open: ["/healthz", "/readyz"] },
    },
    policies: "/etc/rules",
    allowEmpty: true,
    folder: "/etc/weir",
    check: { validForMs: 90_000, validUses: 3, adapterTimeoutMs: 250 },
    limits: {
      messageBytes: 262_144,
      streamsPerConnection: 5,
      policyBytes: 2_097_152,
      expressionLength: 1024,
      expressionCost: 1000,
    },
    doors: {
      ...doorSettings(undefined),
      rateLimitFields: { style: "both", on: "always" },
      authz: { trusted: [Cidr.parse("10.0.0.0/8")!] },
      encodedSlash: "refuse",
      bodyBytes: 1024,
    },
    telemetry: {
      buffer: { kind: "disk", folder: "/etc/weir/b", maxBytes: 16 * 1024 * 1024, sync: false },
      ledger: "/etc/weir/b/ledger",
      whenAway: "memory",
      maxAgeMs: 3_600_000,
      queueEntries: 9,
      mesh: "none",
      exemplars: true,
      traces: { to: "traces", ratio: 0.5, follow: false, perSecond: 3 },
      decisions: { to: "stdout", sample: 0.1, refused: 0, reveal: new Set(["cookie"]), recent: 5 },
      graph: { windowMs: 60_000, maxEdges: 7 },
    },
    shutdown: { deadlineMs: 1000 },
  });
  t.is(vocabulary.get("tenant.since")?.type, "timestamp");
  t.is(vocabulary.get("source.ip")?.type, "ip");
  t.deepEqual([...entries.keys()].sort(), ["memory", "partners", "prometheus", "stdout", "traces"]);
  t.deepEqual(entries.get("partners")?.config, { entries: ["a"] });
  t.deepEqual(entries.get("partners")?.place, { file: "weir.yaml", line: 8, column: 3 });
});

for (const [telemetry, ledger] of [
  ["{}", undefined],
  ["{ ledger: state/ledger }", "/etc/weir/state/ledger"],
  ["{ ledger: /run/weir }", "/run/weir"],
  ["{ buffer: disk }", "/etc/weir/buffer/ledger"],
  ["{ buffer: disk, ledger: aside }", "/etc/weir/aside"],
  ["{ buffer: disk, ledger: none }", undefined],
] as const)
  test(`with telemetry: ${telemetry} the ledger is ${ledger ?? "left out"}`, async (t) => {
    const config = { path: "weir.yaml", text: `telemetry: ${telemetry}\n` };
    const compiled = await compilePolicies({ config, files: [], adapters, folder: "/etc/weir" });
    if ("problems" in compiled) return void t.deepEqual(compiled.problems, []);
    t.is(compiled.snapshot.settings.telemetry.ledger, ledger);
  });

test("a deny: code, message, response, validity", async (t) => {
  const deny = await rule(
    t,
    `{ name: x, deny: unauthenticated, unless: request.method == "GET", message: log in, cache: 0s,
      http: { status: 302, body: "", headers: { Location: /login } } }`,
  );
  t.like(deny, {
    kind: "deny",
    id: "p/x",
    name: "x",
    ordinal: 0,
    code: "unauthenticated",
    when: undefined,
    message: "log in",
    cacheMs: 0,
    http: { status: 302, body: "", headers: [{ name: "location", value: "/login" }] },
    place: { file: "a.yaml", line: 3, column: 5 },
  });
  t.is(deny.unless?.source, 'request.method == "GET"');
});

test("an ask: inputs of the declared types, deny on error", async (t) => {
  const ask = await rule<AskRule>(t, `{ name: x, ask: geo, with: { depth: 2, ip: source.ip, note: request.path } }`);
  t.is(ask.onError, "deny");
  t.deepEqual(
    ask.with.map(({ name, type, value }) => [name, type, value.source]),
    [
      ["depth", "int64", "2"],
      ["ip", "ip", "source.ip"],
      ["note", "string", "request.path"],
    ],
  );
  t.is(
    (await rule<AskRule>(t, `{ name: x, ask: list, with: { value: source.port }, onError: allow }`)).onError,
    "allow",
  );
});

test("a limit: defaults", async (t) => {
  const limit = await rule<LimitRule>(t, "{ name: x, limit: 500/s }");
  t.like(limit, { via: "memory", by: [], cost: undefined, at: "check", onError: "allow" });
  t.deepEqual(limit.limit, { id: "p/x", algorithm: "token-bucket", amount: 500, windowMs: 1000, burst: 500 });
});

test("a limit: everything said", async (t) => {
  const limit = await rule<LimitRule>(
    t,
    `{ name: x, limit: 100/10s, burst: 7, algorithm: token-bucket, by: { user: request.api_key, path: request.path },
      cost: source.port, via: memory, at: ratelimit, onError: local }`,
  );
  t.like(limit, { at: "ratelimit", onError: "local" });
  t.deepEqual(limit.limit, { id: "p/x", algorithm: "token-bucket", amount: 100, windowMs: 10_000, burst: 7 });
  t.deepEqual(
    limit.by.map(({ name, value }) => [name, value.source]),
    [
      ["user", "request.api_key"],
      ["path", "request.path"],
    ],
  );
  t.is(limit.cost?.source, "source.port");
});

test("a limit by one expression is by the name key", async (t) => {
  const limit = await rule<LimitRule>(t, "{ name: x, limit: 5/s, by: request.api_key }");
  t.deepEqual(
    limit.by.map(({ name, value }) => [name, value.source]),
    [["key", "request.api_key"]],
  );
});

for (const [part, text, policy] of [
  ["by", "{ name: x, limit: 5/s, by: ratelimit.domain }"],
  ["when", `{ name: x, limit: 5/s, when: ratelimit.domain == "d" }`],
  ["unless", `{ name: x, limit: 5/s, unless: ratelimit.domain == "d" }`],
  ["the policy's match", "{ name: x, limit: 5/s }", `policy: p\nmatch: ratelimit.domain == "d"\n`],
] as const) {
  test(`a limit whose ${part} reads ratelimit.* is charged at the rate limit doors`, async (t) => {
    t.is((await rule<LimitRule>(t, text, policy)).at, "ratelimit");
    t.is((await rule<LimitRule>(t, text.replace("limit:", "at: check, limit:"), policy)).at, "check");
  });
}

test("a policy that observes has limits of its own", async (t) => {
  const limit = await rule<LimitRule>(t, "{ name: x, limit: 5/s }", "policy: p\nmode: observe\n");
  t.is(limit.id, "p/x");
  t.is(limit.limit.id, "p/x#observe");
  t.is(limit.policy.mode, "observe");
});

test("header changes: set, append and remove, names in lower case", async (t) => {
  const headers = await rule<HeadersRule>(
    t,
    `{ name: x, headers: { request: { remove: [X-Secret], set: { X-Plan: '"gold"', x-path: request.path } },
      response: { append: { vary: '"x-plan"' } } } }`,
  );
  const edits = (list: HeadersRule["request"]) =>
    list.map((edit) => [edit.operation, edit.name, ...(edit.operation === "remove" ? [] : [edit.value.source])]);
  t.deepEqual(edits(headers.request), [
    ["set", "x-plan", '"gold"'],
    ["set", "x-path", "request.path"],
    ["remove", "x-secret"],
  ]);
  t.deepEqual(edits(headers.response), [["append", "vary", '"x-plan"']]);
});

test("namespace and match become one condition whose first test is the namespace", async (t) => {
  const snapshot = await compile(t, {
    "a.yaml": `policy: both\nnamespace: bookinfo\nmatch: request.method == "GET" || request.method == "HEAD" # or\ncheck: [{ name: x, deny: aborted }]\n`,
    "b.yaml": "policy: namespace\nnamespace: bookinfo\ncheck: [{ name: x, deny: aborted }]\n",
    "c.yaml": "policy: neither\ncheck: [{ name: x, deny: aborted }]\n",
  });
  const [both, namespace, neither] = snapshot.policies;
  const slot = snapshot.layout.find("destination.namespace")!;
  t.deepEqual(both?.match?.equalities, [{ slot, value: "bookinfo" }]);
  t.deepEqual(namespace?.match?.equalities, [{ slot, value: "bookinfo" }]);
  t.is(
    both?.match?.source,
    'destination.namespace == "bookinfo" && (request.method == "GET" || request.method == "HEAD")',
  );
  t.is(neither?.match, undefined);
  const bag = new Bag(snapshot.layout);
  bag.set(snapshot.layout.find("request.method")!, "HEAD");
  bag.set(slot, "other");
  t.is(both?.match?.evaluate(bag), false);
  bag.set(slot, "bookinfo");
  t.is(both?.match?.evaluate(bag), true);
});

test("metrics: defaults", async (t) => {
  const counter = await metric(t, "hits_total, type: counter");
  t.like(counter, {
    id: "p/hits_total",
    metric: "hits_total",
    type: "counter",
    unit: "s",
    labels: [],
    to: "prometheus",
  });
  t.is(counter.value, undefined);
  t.is(counter.buckets, undefined);
  t.is(counter.help, "How many requests were reported.");
});

test("metrics: unit and help follow the name and the value", async (t) => {
  const cases = [
    ["a_seconds, type: gauge, value: response.duration", "s", "Last value of response.duration, in seconds."],
    [
      "a_milliseconds, type: gauge, value: response.duration",
      "ms",
      "Last value of response.duration, in milliseconds.",
    ],
    [
      "a_milliseconds, type: gauge, value: response.duration, unit: s",
      "s",
      "Last value of response.duration, in seconds.",
    ],
    ["a_bytes, type: counter, value: response.size", "s", "Sum of response.size."],
    ["a, type: counter, help: mine", "s", "mine"],
  ] as const;
  for (const [text, unit, help] of cases) t.like(await metric(t, text), { unit, help }, text);
});

test("metrics: buckets", async (t) => {
  const cases = [
    ["value: response.duration", [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]],
    ["value: response.duration, unit: ms", [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]],
    ["value: response.size, buckets: [-1, 0.5, 3]", [-1, 0.5, 3]],
    ["value: response.size, buckets: { linear: { start: -5, width: 10, count: 3 } }", [-5, 5, 15]],
    ["value: response.size, buckets: { exponential: { start: 1, factor: 10, count: 4 } }", [1, 10, 100, 1000]],
  ] as const;
  for (const [text, buckets] of cases)
    t.deepEqual((await metric(t, `h, type: histogram, ${text}`)).buckets, buckets, text);
});

test("logs: severity and fields", async (t) => {
  const snapshot = await compile(
    t,
    `policy: p
report:
  - { log: plain }
  - { log: word, severity: warning, to: stdout }
  - { log: computed, severity: 'response.code >= 500 ? "error" : "info"', fields: { path: request.path, all: request.headers } }
`,
  );
  const [computed, plain, word] = snapshot.reports as LogRule[];
  t.like(plain, { severity: "info", to: "stdout", log: "plain", fields: [] });
  t.is(word?.severity, "warning");
  t.is(typeof computed?.severity === "object" && computed.severity.type.kind, "string");
  t.deepEqual(
    computed?.fields.map(({ name }) => name),
    ["path", "all"],
  );
});

test("the order of files, documents and rules does not matter", async (t) => {
  const policy = (name: string, rules: readonly string[]) =>
    `policy: ${name}\ncheck:\n${rules.map((each) => `  - { name: ${each}, deny: aborted }\n`).join("")}`;
  const one = await compile(t, {
    "a.yaml": `${policy("b", ["y", "x"])}---\n${policy("a", ["z"])}`,
    "b.yaml": policy("B", ["q"]),
  });
  const other = await compile(t, {
    "a.yaml": policy("B", ["q"]),
    "b.yaml": `${policy("a", ["z"])}---\n${policy("b", ["x", "y"])}`,
  });
  const ids = ({ checks }: Snapshot) => checks.map(({ id, ordinal }) => [id, ordinal]);
  t.deepEqual(ids(one), [
    ["B/q", 0],
    ["a/z", 1],
    ["b/x", 2],
    ["b/y", 3],
  ]);
  t.deepEqual(ids(other), ids(one));
});

test("the version follows the content and nothing else", async (t) => {
  const text = "policy: p\ncheck: [{ name: x, deny: aborted }]\n";
  const version = async (files: Readonly<Record<string, string>>, config?: string) =>
    (await compile(t, files, config)).version;
  const first = await version({ "a.yaml": text });
  t.regex(first, /^[0-9a-f]{12}$/);
  t.is(await version({ "a.yaml": text }), first);
  t.not(await version({ "a.yaml": text.replace("x", "y") }), first);
  t.not(await version({ "a.yaml": text }, "adapters: { list: {} }"), first);
  t.not(await version({ "a.yaml": text, "b.yaml": "" }), first);
});

test("an adapter's fingerprint changes with what it is and how it is configured, and with nothing else", async (t) => {
  const fingerprint = async (config: string) => (await compile(t, {}, config)).adapters.get("a")!.fingerprint;
  const first = await fingerprint("adapters: { a: { adapter: list, entries: [x], refresh: { every: 1 } } }");
  t.is(
    await fingerprint(
      "# note\nadapters: { b: { adapter: geo }, a: { refresh: { every: 1 }, entries: [x], adapter: list } }",
    ),
    first,
  );
  t.not(await fingerprint("adapters: { a: { adapter: list, entries: [y], refresh: { every: 1 } } }"), first);
  t.not(
    await fingerprint("adapters: { a: { adapter: memory } }"),
    await fingerprint("adapters: { a: { adapter: geo } }"),
  );
});

test("an adapter is required where weir.yaml says so, which makes it no other adapter", async (t) => {
  const { adapters: found } = await compile(
    t,
    {},
    "adapters: { a: { adapter: memory, required: true }, b: { adapter: memory, required: false }, memory: {} }",
  );
  t.deepEqual(
    ["a", "b", "memory"].map((name) => found.get(name)!.required),
    [true, false, false],
  );
  t.is(found.get("a")!.fingerprint, found.get("memory")!.fingerprint);
  t.deepEqual(found.get("a")!.config, found.get("memory")!.config);
});

test("keys of a configuration mean nothing to the language", async (t) => {
  const compiled = await compilePolicies({
    config: { path: "weir.yaml", text: "adapters: { memory: { __proto__: { maxKeys: 1 }, constructor: 5 } }" },
    files: [],
    adapters,
    folder: "/",
  });
  t.deepEqual("problems" in compiled && compiled.problems.map(({ message }) => message), [
    'unknown key "__proto__" for the adapter "memory"',
    'unknown key "constructor" for the adapter "memory"',
  ]);
});
