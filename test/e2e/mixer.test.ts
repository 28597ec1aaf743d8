import { createHash } from "node:crypto";
import test from "ava";
import { connect, hubFor, metric, unary, until, type Answer } from "./clients.ts";
import { startHub, type Hub } from "./hub.ts";
import {
  attributes,
  check,
  checkRequest,
  mixerCheck,
  mixerReport,
  referenced,
  report,
  word,
  type Asked,
  type Wire,
} from "./mixer-wire.ts";
import type { Client } from "@grpc/grpc-js";
import { CompressedAttributes } from "../../src/wire/gen/istio/mixer/v1/attributes.ts";

/** Each policy is for one service, so that the tests share a hub and do not meet. */
const policies = `
policy: acl
match: destination.service.name == "acl"
check:
  - name: only-web
    deny: permission_denied
    unless: source.namespace == "web"
    message: acl answers only web
    cache: 30s
---
policy: direct
match: destination.service.name == "direct"
check:
  - name: closed
    deny: unavailable
    message: closed for today
    http: { status: 418, body: short and stout, headers: { x-kettle: "on", retry-after: "60" } }
---
policy: echo
match: destination.service.name == "echo"
check:
  - name: echo
    headers: { request: { set: { x-value: request.path } } }
---
policy: keys
match: destination.service.name == "keys"
check:
  - name: user
    deny: unauthenticated
    unless: 'request.headers["x-user"] == "ann"'
  - name: trace
    deny: unauthenticated
    unless: 'request.headers["x-request-id"] != "0"'
---
policy: networks
match: destination.service.name == "networks"
check:
  - name: inside
    deny: permission_denied
    when: has(source.ip) && !inCidr(source.ip, "10.0.0.0/8")
---
policy: quotas
match: destination.service.name == "quotas"
check:
  - name: hourly
    limit: 10/h
    by: { who: source.principal }
  - name: other
    limit: 3/h
    by: { who: source.principal }
---
policy: unnamed
match: destination.service.name == "unnamed"
check:
  - name: two
    limit: 2/h
---
policy: tags
match: destination.service.name == "tags"
check:
  - name: tags
    headers:
      request:
        set: { x-plan: '"gold"' }
        append: { x-via: '"weir"' }
        remove: [x-debug]
      response:
        set: { x-frame-options: '"deny"' }
        remove: [server]
---
policy: counted
report:
  - metric: test_requests_total
    type: counter
    labels: { path: request.path, code: response.code }
  - metric: test_request_seconds
    type: histogram
    value: response.duration
    buckets: [0.01, 0.1, 1]
    labels: { path: request.path }
  - log: access
    when: request.path.startsWith("/logged")
    fields: { path: request.path, code: response.code, duration: response.duration, from: source.ip }
`;

let hub: Hub;
let client: Client;

test.before(async () => {
  hub = await startHub({ "policies/all.yaml": policies });
  client = connect(hub.grpc);
});

test.after.always(() => {
  client?.close();
  hub?.dispose();
});

/** A request to a service of the policies above; further words begin at -2. */
function to(service: string, wire: Wire = {}): Wire {
  return {
    ...wire,
    words: [service, ...(wire.words ?? [])],
    strings: { [word["destination.service.name"]]: -1, ...wire.strings },
  };
}

const known: string[] = [];
for (const [text, index] of Object.entries(word)) known[index] = text;

test("a request that no rule refuses is allowed, and may be kept for what its rules say", async (t) => {
  const { precondition, quotas } = await check(
    client,
    to("acl", { words: ["web"], strings: { [word["source.namespace"]]: -2 } }),
  );
  t.is(precondition!.status!.code, 0);
  t.is(precondition!.status!.message, "");
  t.deepEqual(precondition!.validDuration, { seconds: 30n, nanos: 0 });
  t.is(precondition!.validUseCount, 10_000);
  t.is(precondition!.routeDirective, undefined);
  t.is(quotas.size, 0);
});

test("a refusal is gRPC OK with code and message of the rule", async (t) => {
  const { precondition } = await check(client, to("acl"));
  t.is(precondition!.status!.code, 7);
  t.is(precondition!.status!.message, "acl answers only web");
  t.is(precondition!.validDuration!.seconds, 30n);
});

test("an answer without a rule's own word keeps the hub's default validity", async (t) => {
  const { precondition } = await check(client, to("nobody"));
  t.is(precondition!.status!.code, 0);
  t.deepEqual(precondition!.validDuration, { seconds: 5n, nanos: 0 });
  t.is(precondition!.validUseCount, 10_000);
});

test("a direct response carries status, body and headers", async (t) => {
  const { precondition } = await check(client, to("direct"));
  const { directResponseCode, directResponseBody, responseHeaderOperations } = precondition!.routeDirective!;
  t.is(precondition!.status!.code, 14);
  t.is(directResponseCode, 418);
  t.is(directResponseBody, "short and stout");
  t.deepEqual(
    responseHeaderOperations.map(({ name, value, operation }) => [name, value, operation]),
    [
      ["x-kettle", "on", 0],
      ["retry-after", "60", 0],
    ],
  );
});

test("header operations come in the route directive as replace, append and remove", async (t) => {
  const { precondition } = await check(client, to("tags"));
  const { requestHeaderOperations, responseHeaderOperations, directResponseCode } = precondition!.routeDirective!;
  const shown = (operations: typeof requestHeaderOperations) =>
    operations.map(({ name, value, operation }) => [name, value, operation]).sort();
  t.deepEqual(shown(requestHeaderOperations), [
    ["x-debug", "", 1],
    ["x-plan", "gold", 0],
    ["x-via", "weir", 2],
  ]);
  t.deepEqual(shown(responseHeaderOperations), [
    ["server", "", 1],
    ["x-frame-options", "deny", 0],
  ]);
  t.is(directResponseCode, 0);
});

/** What the hub reads for a value that is given by an index, told by a header operation that repeats it. */
async function echo(wire: Wire): Promise<string | undefined> {
  const { precondition } = await check(client, to("echo", wire));
  const [operation] = precondition!.routeDirective!.requestHeaderOperations;
  return operation!.operation === 1 ? undefined : operation!.value;
}

test("all 222 global words are those that proxies were built with, quotes included", async (t) => {
  const path = word["request.path"];
  const all = await Promise.all(Array.from({ length: 222 }, (_, index) => echo({ strings: { [path]: index } })));
  t.is(all[94], "'200'");
  t.is(all[111], "'0'");
  t.is(all[112], "'1'");
  t.is(all[218], '"-"');
  t.deepEqual([all[134], all[135], all[136]], ["0", "1", "200"]);
  t.is(all[0], "source.ip");
  t.is(all[221], "context.proxy_version");
  // Over the published list, one word a line.
  const digest = createHash("sha256")
    .update(`${all.join("\n")}\n`)
    .digest("hex");
  t.is(digest, "1bafd87f657b41be5a5b3060fe541d27511aab984ed1839f275036b03f164e22");
});

test("words of the message are given by negative indices, in any script", async (t) => {
  const path = word["request.path"];
  t.is(await echo({ words: ["/x", "/ä/日本", ""], strings: { [path]: -3 } }), "/ä/日本");
  t.is(await echo({ words: ["/x", "/ä/日本", ""], strings: { [path]: -2 } }), "/x");
});

test("a word that the message repeats stands for the global one", async (t) => {
  const path = word["request.path"];
  t.is(await echo({ words: ["request.path", "/by-own-word"], strings: { [-2]: -3 } }), "/by-own-word");
  // The message's own index wins; what is keyed by the other one is not seen.
  t.is(await echo({ words: ["request.path", "/own", "/global"], strings: { [-2]: -3, [path]: -4 } }), "/own");
  t.is(await echo({ words: ["request.path", "/global"], strings: { [path]: -3 } }), undefined);
});

test("an index that points nowhere makes the attribute absent, and is counted", async (t) => {
  const path = word["request.path"];
  const before = await metric(hub, "weir_dropped_total", { what: "attribute", reason: "undefined_index" });
  for (const index of [222, 2 ** 31 - 1, -9, -(2 ** 31)]) t.is(await echo({ strings: { [path]: index } }), undefined);
  t.is(await echo({ words: ["/x"], strings: { [path]: -2, 5000: -2, [-70]: -2 } }), "/x");
  const after = await metric(hub, "weir_dropped_total", { what: "attribute", reason: "undefined_index" });
  t.true(after - before >= 4);
});

test("answers use only the global words that the caller knows", async (t) => {
  const wire = to("acl", { words: ["web"], strings: { [word["source.namespace"]]: -2 } });
  const wordsFor = async (globalWordCount: number) => {
    const { precondition } = await check(client, wire, { globalWordCount });
    const { words, attributeMatches } = precondition!.referencedAttributes!;
    return [
      [...words].sort(),
      attributeMatches
        .map(({ name }) => name)
        .filter((name) => name >= 0)
        .sort((a, b) => a - b),
    ];
  };
  t.deepEqual(await wordsFor(222), [[], [4, 191]]);
  t.deepEqual(await wordsFor(100), [["destination.service.name"], [4]]);
  t.deepEqual(await wordsFor(4), [["destination.service.name", "source.namespace"], []]);
  t.deepEqual(await wordsFor(0), [["destination.service.name", "source.namespace"], []]);
});

test("a caller that knows more global words than there are is refused in the words that its kind looks for", async (t) => {
  const text = "inconsistent global dictionary versions used: mixer knows 222 words, caller knows 223";
  for (const answer of [
    await unary(client, mixerCheck, checkRequest(to("acl"), { globalWordCount: 223 })),
    await report(client, [{}], { globalWordCount: 223 }),
  ]) {
    t.is(answer.code, 13);
    t.true(answer.details.includes(text), answer.details);
  }
});

test("referenced attributes say what was present and what absent", async (t) => {
  const wire = to("acl", { words: ["web"], strings: { [word["source.namespace"]]: -2 } });
  const present = await check(client, wire);
  t.deepEqual(referenced(present.precondition!.referencedAttributes!, known), [
    "destination.service.name",
    "source.namespace",
  ]);
  const absent = await check(client, to("acl"));
  t.deepEqual(referenced(absent.precondition!.referencedAttributes!, known), [
    "-source.namespace",
    "destination.service.name",
  ]);
});

test("referenced attributes name keys of maps, and a map that is absent without a key", async (t) => {
  const headers = word["request.headers"];
  const request = word["x-request-id"];
  const both = await check(
    client,
    to("keys", { words: ["x-user", "ann", "1"], stringMaps: { [headers]: { [-2]: -3, [request]: -4 } } }),
  );
  t.is(both.precondition!.status!.code, 0);
  t.deepEqual(referenced(both.precondition!.referencedAttributes!, known), [
    "destination.service.name",
    "request.headers[x-request-id]",
    "request.headers[x-user]",
  ]);
  t.is(both.precondition!.validDuration!.seconds, 5n);

  const one = await check(client, to("keys", { words: ["1"], stringMaps: { [headers]: { [request]: -2 } } }));
  t.is(one.precondition!.status!.code, 16);
  t.deepEqual(referenced(one.precondition!.referencedAttributes!, known), [
    "-request.headers[x-user]",
    "destination.service.name",
    "request.headers[x-request-id]",
  ]);

  const none = await check(client, to("keys"));
  t.is(none.precondition!.status!.code, 16);
  t.deepEqual(referenced(none.precondition!.referencedAttributes!, known), [
    "-request.headers",
    "destination.service.name",
  ]);
  // The protocol cannot say which keys were missed, so a client must not use this answer again.
  t.is(none.precondition!.validUseCount, 0);
});

test("IP addresses of 4 and of 16 bytes are the same", async (t) => {
  const from = (bytes: number[]) => to("networks", { bytes: { [word["source.ip"]]: Uint8Array.from(bytes) } });
  const code = async (bytes: number[]) => (await check(client, from(bytes))).precondition!.status!.code;
  const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
  t.is(await code([10, 1, 2, 3]), 0);
  t.is(await code([...mapped, 10, 1, 2, 3]), 0);
  t.is(await code([11, 1, 2, 3]), 7);
  t.is(await code([...mapped, 11, 1, 2, 3]), 7);
});

test("an IP address of another wire type is an evaluation error that refuses, and the process lives", async (t) => {
  const ip = word["source.ip"];
  const wrong: Wire[] = [
    { words: ["10.0.0.1"], strings: { [ip]: -2 } },
    { int64s: { [ip]: 167772161n } },
    { doubles: { [ip]: Number.NaN } },
    { bools: { [ip]: true } },
    { timestamps: { [ip]: { seconds: 1n, nanos: 0 } } },
    { durations: { [ip]: { seconds: 1n, nanos: 0 } } },
    { stringMaps: { [ip]: {} } },
    { bytes: { [ip]: Uint8Array.of(10, 0, 0) } },
  ];
  const before = await metric(hub, "weir_rule_faults_total", { rule: "networks/inside", kind: "fault" });
  for (const wire of wrong) t.is((await check(client, to("networks", wire))).precondition!.status!.code, 7);
  t.is(await metric(hub, "weir_rule_faults_total", { rule: "networks/inside", kind: "fault" }), before + wrong.length);
  t.is((await check(client, to("networks"))).precondition!.status!.code, 0);
});

const asUser = (user: string): Wire => to("quotas", { words: [user], strings: { [word["source.principal"]]: -2 } });

async function quota(user: string, name: string, wish: Asked["quotas"] | bigint, dedupId = "") {
  const quotas = typeof wish === "bigint" ? { [name]: { amount: wish } } : wish!;
  const { precondition, quotas: results } = await check(client, asUser(user), { quotas, dedupId });
  return { precondition: precondition!, result: results.get(name)! };
}

test("a named quota is granted by amount, and refused with a status when it is used up", async (t) => {
  const first = await quota("ann", "hourly", 6n);
  t.is(first.result.grantedAmount, 6n);
  t.is(first.result.status!.code, 0);
  t.true(first.result.validDuration!.seconds > 0n);
  t.deepEqual(referenced(first.result.referencedAttributes!, known), ["destination.service.name", "source.principal"]);
  const second = await quota("ann", "hourly", 6n);
  t.is(second.precondition.status!.code, 0);
  t.is(second.result.grantedAmount, 0n);
  t.is(second.result.status!.code, 8);
  t.not(second.result.status!.message, "");
  t.is((await quota("ann", "quotas/hourly", 4n)).result.grantedAmount, 4n);
});

test("best effort takes what is left", async (t) => {
  const wish = { hourly: { amount: 8n, bestEffort: true } };
  t.is((await quota("bob", "hourly", wish)).result.grantedAmount, 8n);
  t.is((await quota("bob", "hourly", wish)).result.grantedAmount, 2n);
  const last = await quota("bob", "hourly", wish);
  t.is(last.result.grantedAmount, 0n);
  t.is(last.result.status!.code, 8);
});

test("a retry with the same deduplication id gets the same grant and spends nothing", async (t) => {
  t.is((await quota("cy", "hourly", 7n, "call-1")).result.grantedAmount, 7n);
  t.is((await quota("cy", "hourly", 7n, "call-1")).result.grantedAmount, 7n);
  t.is((await quota("cy", "hourly", 3n, "call-2")).result.grantedAmount, 3n);
  t.is((await quota("cy", "hourly", 1n, "call-3")).result.grantedAmount, 0n);
});

test("several quotas are taken all or none", async (t) => {
  const both = { hourly: { amount: 5n }, other: { amount: 5n } };
  const { quotas } = await check(client, asUser("dee"), { quotas: both });
  t.is(quotas.get("other")!.grantedAmount, 0n);
  t.is(quotas.get("hourly")!.grantedAmount, 0n);
  t.is((await quota("dee", "hourly", 10n)).result.grantedAmount, 10n);
});

test("an unknown quota is granted nothing, with a status; one whose rule does not apply is granted whole", async (t) => {
  const unknown = await quota("eve", "hourli", 1n);
  t.is(unknown.precondition.status!.code, 0);
  t.is(unknown.result.grantedAmount, 0n);
  t.is(unknown.result.status!.code, 5);
  t.regex(unknown.result.status!.message, /hourli/);
  const { quotas } = await check(client, to("nobody"), { quotas: { hourly: { amount: 99n } } });
  t.is(quotas.get("hourly")!.grantedAmount, 99n);
});

test("negative and huge amounts are refused with a status and spend nothing", async (t) => {
  for (const amount of [-1n, -(2n ** 63n), 2n ** 63n - 1n]) {
    const { result } = await quota("fay", "hourly", amount);
    t.is(result.grantedAmount, 0n);
    t.is(result.status!.code, amount < 0n || amount > 2n ** 53n ? 3 : 8);
  }
  t.is((await quota("fay", "hourly", 10n)).result.grantedAmount, 10n);
});

test("a check that names no quota is charged by every limit that applies, and must not be kept", async (t) => {
  const first = await check(client, to("unnamed"));
  t.is(first.precondition!.status!.code, 0);
  t.is(first.precondition!.validUseCount, 0);
  await check(client, to("unnamed"));
  t.is((await check(client, to("unnamed"))).precondition!.status!.code, 8);
});

test("a refused request gets no quota", async (t) => {
  const { precondition, quotas } = await check(client, to("acl"), { quotas: { hourly: { amount: 1n } } });
  t.is(precondition!.status!.code, 7);
  t.is(quotas.size, 0);
});

const served = (path: string, code: bigint, ms: number): Wire => ({
  words: [path],
  strings: { [word["request.path"]]: -1 },
  int64s: { [word["response.code"]]: code },
  durations: { [word["response.duration"]]: { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1e6 } },
});

const counted = (path: string, code: number) => metric(hub, "test_requests_total", { path, code: String(code) });

test("records that stand for themselves become metrics at the admin port and log lines on standard output", async (t) => {
  const records: Wire[] = [
    { ...served("/logged/a", 200n, 50), bytes: { [word["source.ip"]]: Uint8Array.of(10, 0, 0, 9) } },
    served("/logged/b", 503n, 1500),
    // Stands for itself: it has no code.
    { words: ["/logged/c"], strings: { [word["request.path"]]: -1 } },
  ];
  t.is((await report(client, records, { independent: true })).code, 0);
  t.is(await counted("/logged/a", 200), 1);
  t.is(await counted("/logged/b", 503), 1);
  t.is(await metric(hub, "test_requests_total", { path: "/logged/c", code: "unknown" }), 1);
  t.is(await metric(hub, "test_request_seconds_bucket", { path: "/logged/a", le: "0.1" }), 1);
  t.is(await metric(hub, "test_request_seconds_bucket", { path: "/logged/a", le: "0.01" }), 0);
  t.is(await metric(hub, "test_request_seconds_sum", { path: "/logged/b" }), 1.5);
  t.is(await metric(hub, "test_request_seconds_count", { path: "/logged/c" }), 0);
  await hub.saw("/logged/c");
  const lines = hub
    .stdout()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.like(
    lines.find(({ path }) => path === "/logged/a"),
    { code: 200, from: "10.0.0.9" },
  );
  const last = lines.find(({ path }) => path === "/logged/c")!;
  t.false("code" in last);
});

test("delta records add to the one before, with words of their own or the default ones", async (t) => {
  const path = word["request.path"];
  const records: Wire[] = [
    { strings: { [path]: -1 }, int64s: { [word["response.code"]]: 201n } },
    { strings: { [path]: -2 } },
    { int64s: { [word["response.code"]]: 202n } },
    { words: ["/delta/own"], strings: { [path]: -1 } },
  ];
  t.is((await report(client, records, { defaultWords: ["/delta/1", "/delta/2"] })).code, 0);
  t.deepEqual(
    await Promise.all([
      counted("/delta/1", 201),
      counted("/delta/2", 201),
      counted("/delta/2", 202),
      counted("/delta/own", 202),
    ]),
    [1, 1, 1, 1],
  );
});

test("a message with words of its own does not see the default ones", async (t) => {
  const path = word["request.path"];
  const code = { [word["response.code"]]: 299n };
  const records: Wire[] = [{ words: ["/only"], strings: { [path]: -2 }, int64s: code }];
  t.is((await report(client, records, { defaultWords: ["/x", "/default-two"], independent: true })).code, 0);
  t.is(await counted("/default-two", 299), 0);
  t.is(await metric(hub, "test_requests_total", { path: "unknown", code: "299" }), 1);
});

/** A ReportRequest whose records are bytes of the test's choosing. */
function rawReport(records: readonly Uint8Array[], independent: boolean): Promise<Answer> {
  const parts: Uint8Array[] = [];
  for (const record of records) parts.push(Uint8Array.of(0x0a, record.length), record);
  parts.push(Uint8Array.of(0x18, 222, 1), Uint8Array.of(0x20, independent ? 1 : 0));
  return unary(client, mixerReport, Buffer.concat(parts));
}

test("a broken record costs only itself, in both encodings", async (t) => {
  const bytesOf = (wire: Wire) => CompressedAttributes.encode(attributes(wire)).finish();
  for (const independent of [true, false]) {
    const mark = independent ? "/independent" : "/delta";
    const before = await metric(hub, "weir_dropped_total", { what: "record", reason: "malformed" });
    const answer = await rawReport(
      [bytesOf(served(`${mark}-1`, 210n, 1)), Uint8Array.of(0x12, 0x7f, 1), bytesOf(served(`${mark}-2`, 211n, 1))],
      independent,
    );
    t.is(answer.code, 0, answer.details);
    t.is(await counted(`${mark}-1`, 210), 1);
    t.is(await counted(`${mark}-2`, 211), 1);
    t.is(await metric(hub, "weir_dropped_total", { what: "record", reason: "malformed" }), before + 1);
  }
});

test("an empty report is fine", async (t) => {
  t.is((await report(client, [])).code, 0);
  t.is((await unary(client, mixerReport, new Uint8Array())).code, 0);
});

test("an empty check is judged like any other", async (t) => {
  const answer = await unary(client, mixerCheck, new Uint8Array());
  t.is(answer.code, 0);
});

test("records for which no queue has room are refused, so that the caller knows", async (t) => {
  const small = await hubFor(t, {
    "weir.yaml": "policies: ./policies\ntelemetry: { queue: 2 }\nadapters: { stuck: { adapter: ./stuck.mjs } }\n",
    "policies/log.yaml": "policy: log\nreport:\n  - log: access\n    fields: { path: request.path }\n    to: stuck\n",
    "stuck.mjs": `
      const any = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
      export default { name: "stuck", provides: ["logs"], config: any,
        create: () => ({ logs: () => new Promise(() => {}) }) };`,
  });
  const to = connect(small.grpc);
  t.teardown(() => to.close());
  let answer: Answer = await report(to, [served("/q", 200n, 1)]);
  t.is(answer.code, 0);
  await until(async () => {
    answer = await report(
      to,
      Array.from({ length: 8 }, () => served("/q", 200n, 1)),
      { independent: true },
    );
    return answer.code !== 0;
  });
  t.is(answer.code, 8);
  t.regex(answer.details, /\d of 8 records taken/);
});
