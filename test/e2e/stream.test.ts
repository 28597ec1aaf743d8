import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import type { Client } from "@grpc/grpc-js";
import {
  CheckRequest,
  CheckResponse,
  ReportRequest,
  ReportResponse,
  type Attributes,
  type Dictionary,
} from "../../src/wire/gen/weir/v1/weir.ts";
import { connect, hubFor, metric, stream, type Stream } from "./clients.ts";
import { startHub, type Hub } from "./hub.ts";
import { attributes, word, type Wire } from "./mixer-wire.ts";

/** Answers when the file that the request names is there. */
const waiting = `
import { existsSync } from "node:fs";
const any = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
export default {
  name: "waiting", provides: ["check"], input: { gate: "string" }, config: any,
  create: (config, host) => ({
    check: ({ gate }, { signal }) => new Promise((resolve) => {
      host.log.info({ gate }, "waits");
      const look = setInterval(() => {
        if (!existsSync(gate) && !signal.aborted) return;
        clearInterval(look);
        resolve({ allow: true });
      }, 5);
    }),
  }),
};`;

const policies = `
policy: acl
match: destination.service.name == "acl"
check:
  - name: only-web
    deny: permission_denied
    unless: source.namespace == "web"
    http: { status: 451, body: no, headers: { x-why: "law" } }
  - name: key
    deny: unauthenticated
    unless: 'request.headers["x-tenant"] == "t1"'
    message: which tenant?
---
policy: slow
match: destination.service.name == "slow"
check:
  - name: wait
    ask: waiting
    with: { gate: request.path }
---
policy: limits
match: destination.service.name == "limits"
check:
  - name: hourly
    limit: 10/h
    by: { who: source.principal }
---
policy: tags
match: destination.service.name == "tags"
check:
  - name: tags
    headers:
      request: { set: { x-path: request.path }, append: { x-via: '"weir"' }, remove: [x-debug] }
      response: { set: { x-frame-options: '"deny"' } }
---
policy: long
match: destination.service.name == "long"
check:
  - name: long
    headers: { request: { set: { x-path: request.path } } }
---
policy: counted
report:
  - metric: test_requests_total
    type: counter
    labels: { path: request.path, code: response.code }
`;

let hub: Hub;
let client: Client;

test.before(async () => {
  hub = await startHub({
    "weir.yaml":
      "policies: ./policies\ncheck: { adapterTimeout: 60s }\nadapters: { waiting: { adapter: ./waiting.mjs } }\n",
    "waiting.mjs": waiting,
    "policies/all.yaml": policies,
  });
  client = connect(hub.grpc);
});

test.after.always(() => {
  client?.close();
  hub?.dispose();
});

const checks = (to = client): Stream<CheckResponse> => stream(to, "/weir.v1.Weir/Check", CheckResponse);
const reports = (to = client): Stream<ReportResponse> => stream(to, "/weir.v1.Weir/Report", ReportResponse);

/** Attributes of a stream are those of Mixer without words of their own. */
function streamed(wire: Wire): Attributes {
  const { words: _, ...rest } = attributes(wire);
  return rest;
}

interface Wish {
  dictionary?: Dictionary;
  quotas?: Record<string, { amount: bigint; bestEffort: boolean }>;
  dedup?: string;
}

function request(index: bigint, wire: Wire, { dictionary, quotas = {}, dedup = "" }: Wish = {}): Uint8Array {
  return CheckRequest.encode({
    index,
    dictionary,
    attributes: streamed(wire),
    quotas: new Map(Object.entries(quotas)),
    deduplicationId: dedup,
  }).finish();
}

/** One check on a stream whose dictionary begins anew with `words`. */
function one(index: bigint, words: string[], wire: Wire, wish: Wish = {}): Uint8Array {
  return request(index, wire, { dictionary: { first: 0, words }, ...wish });
}

const service = word["destination.service.name"];
const path = word["request.path"];

test("an answer has the request's index and the whole decision", async (t) => {
  const { send, next, halfClose, status } = checks();
  send(one(7n, ["tags", "/p"], { strings: { [service]: -1, [path]: -2 } }));
  const { index, decision } = await next();
  t.is(index, 7n);
  t.like(decision, { verdict: 1, code: 0, message: "", rules: [], validUses: 10_000 });
  t.deepEqual(decision!.validFor, { seconds: 5n, nanos: 0 });
  t.regex(decision!.id, /^[0-9a-f]{32}$/);
  t.regex(decision!.version, /^[0-9a-f]{8,}$/);
  t.deepEqual(decision!.requestHeaders.map(({ operation, name, value }) => [operation, name, value]).sort(), [
    [0, "x-path", "/p"],
    [1, "x-via", "weir"],
    [2, "x-debug", ""],
  ]);
  t.deepEqual(
    decision!.responseHeaders.map(({ name }) => name),
    ["x-frame-options"],
  );
  halfClose();
  t.is((await status).code, 0);
});

test("a refusal lists its rules and carries the direct response of the first", async (t) => {
  const { send, next, halfClose } = checks();
  send(one(1n, ["acl"], { strings: { [service]: -1 } }));
  const { decision } = await next();
  t.like(decision, { verdict: 2, code: 16, rules: ["acl/key", "acl/only-web"] });
  t.regex(decision!.message, /which tenant\?/);
  send(request(2n, { strings: { [service]: -1 } }, { dictionary: { first: 1, words: ["x-tenant", "t1"] } }));
  t.deepEqual((await next()).decision!.rules, ["acl/key", "acl/only-web"]);
  const headers = { [word["request.headers"]]: { [-2]: -3 } };
  send(request(3n, { strings: { [service]: -1 }, stringMaps: headers }));
  const third = (await next()).decision!;
  t.like(third, { code: 7, rules: ["acl/only-web"] });
  t.deepEqual(third.directResponse, { status: 451, body: "no", headers: [{ name: "x-why", value: "law" }] });
  halfClose();
});

test("words that were sent stay valid for the stream, in both directions", async (t) => {
  const { send, next, halfClose } = checks();
  const headers = word["request.headers"];
  const wire: Wire = {
    strings: { [service]: -1, [word["source.namespace"]]: -2 },
    stringMaps: { [headers]: { [-3]: -4 } },
  };
  send(one(1n, ["acl", "web", "x-tenant", "t1"], wire));
  const first = await next();
  t.is(first.decision!.verdict, 1);
  // The key of a map is a word of the hub's own: it tells it once.
  t.deepEqual(first.dictionary, { first: 0, words: ["x-tenant"] });
  const keys = (answer: CheckResponse) => answer.decision!.referenced.filter(({ key }) => key !== undefined);
  t.deepEqual(keys(first), [{ name: headers, condition: 2, key: -1 }]);

  send(request(2n, wire));
  const second = await next();
  t.is(second.decision!.verdict, 1);
  t.is(second.dictionary, undefined);
  t.deepEqual(keys(second), [{ name: headers, condition: 2, key: -1 }]);

  send(
    request(
      3n,
      { strings: { [service]: -1, [word["source.namespace"]]: -5 } },
      {
        dictionary: { first: 4, words: ["api"] },
      },
    ),
  );
  t.is((await next()).decision!.verdict, 2);

  // Begun anew: the old words are gone.
  send(one(4n, ["web", "acl"], { ...wire, strings: { [service]: -2, [word["source.namespace"]]: -1 } }));
  t.is((await next()).error?.code, "WEIR_REQUEST_MALFORMED");
  halfClose();
});

test("a stream's words are not another stream's", async (t) => {
  const [one_, other] = [checks(), checks()];
  one_.send(one(1n, ["acl"], { strings: { [service]: -1 } }));
  t.is((await one_.next()).decision!.verdict, 2);
  other.send(request(1n, { strings: { [service]: -1 } }));
  t.is((await other.next()).error?.code, "WEIR_REQUEST_MALFORMED");
  one_.halfClose();
  other.halfClose();
});

test("answers come out of order: one slow check does not hold the others", async (t) => {
  const { send, next, halfClose, status } = checks();
  const gate = join(hub.folder, "gate-order");
  send(one(1n, ["slow", gate, "tags", "/p"], { strings: { [service]: -1, [path]: -2 } }));
  await hub.saw(gate);
  for (let index = 2n; index <= 50n; index++) send(request(index, { strings: { [service]: -3, [path]: -4 } }));
  for (let index = 2n; index <= 50n; index++) t.is((await next()).index, index);
  // Half-closed with one still at work: it is answered, then the stream ends well.
  halfClose();
  await writeFile(gate, "");
  const last = await next();
  t.is(last.index, 1n);
  t.is(last.decision!.verdict, 1);
  t.is((await status).code, 0);
});

test("a broken message fails itself and not the stream", async (t) => {
  const { send, next, halfClose, status } = checks();
  send(one(1n, ["acl"], { strings: { [service]: -1 } }));
  t.is((await next()).decision!.verdict, 2);
  const broken: [Uint8Array, bigint, string][] = [
    [Buffer.from("0803" + "1aff7f", "hex"), 3n, "WEIR_REQUEST_MALFORMED"],
    [Buffer.from("ffffffffffffffffffffffff", "hex"), 0n, "WEIR_REQUEST_MALFORMED"],
    [request(5n, { strings: { [service]: -99 } }), 5n, "WEIR_REQUEST_MALFORMED"],
    [request(6n, { strings: { [service]: 222 } }), 6n, "WEIR_REQUEST_MALFORMED"],
    [request(7n, {}, { dictionary: { first: 9, words: ["x"] } }), 7n, "WEIR_STREAM_DICTIONARY"],
    [request(8n, {}, { quotas: { hourly: { amount: -1n, bestEffort: false } } }), 8n, "WEIR_REQUEST_QUOTA"],
    [
      one(
        9n,
        Array.from({ length: 5000 }, (_, i) => `w${i}`),
        {},
      ),
      9n,
      "WEIR_STREAM_DICTIONARY",
    ],
  ];
  for (const [bytes, index, code] of broken) {
    send(bytes);
    const answer = await next();
    t.is(answer.index, index);
    t.is(answer.error?.code, code);
    t.not(answer.error!.message, "");
    t.false(answer.error!.retry);
  }
  // The dictionary is as it was.
  send(request(10n, { strings: { [service]: -1 } }));
  t.is((await next()).decision!.verdict, 2);
  halfClose();
  t.is((await status).code, 0);
});

test("named quotas are granted by amount, with best effort and deduplication, and limits tell where they stand", async (t) => {
  const { send, next, halfClose } = checks();
  const wire = { strings: { [service]: -1, [word["source.principal"]]: -2 } };
  const wish = (amount: bigint, bestEffort = false) => ({ hourly: { amount, bestEffort } });
  send(one(1n, ["limits", "ann"], wire, { quotas: wish(8n), dedup: "a" }));
  const first = (await next()).decision!;
  t.like(first.quotas.get("hourly"), { granted: 8n, code: 0 });
  t.like(first.limits[0], { rule: "limits/hourly", allowed: true, amount: 10 });
  t.is(Math.round(first.limits[0]!.remaining), 2);
  send(request(2n, wire, { quotas: wish(8n), dedup: "a" }));
  t.is((await next()).decision!.quotas.get("hourly")!.granted, 8n);
  send(request(3n, wire, { quotas: wish(8n, true) }));
  t.is((await next()).decision!.quotas.get("hourly")!.granted, 2n);
  send(request(4n, wire, { quotas: wish(1n) }));
  const last = (await next()).decision!;
  t.like(last.quotas.get("hourly"), { granted: 0n, code: 8 });
  t.true(last.limits[0]!.retryAfter!.seconds > 0n);
  halfClose();
});

test("records are counted, a broken one costs only itself, and every message is answered", async (t) => {
  const { send, next, halfClose, status } = reports();
  const record = (at: number, code: bigint): Wire => ({
    strings: { [path]: at },
    int64s: { [word["response.code"]]: code },
  });
  const message = (index: bigint, words: string[] | undefined, encoding: 0 | 1, records: Wire[]) =>
    ReportRequest.encode({
      index,
      dictionary: words && { first: 0, words },
      records: records.map(streamed),
      encoding,
    }).finish();
  send(message(1n, ["/s/1", "/s/2"], 0, [record(-1, 200n), record(-9, 200n), record(-2, 404n)]));
  const first = await next();
  t.like(first, { index: 1n, taken: 2, notTaken: 0, broken: 1 });
  t.is(first.errors[0]!.position, 1);
  t.is(first.errors[0]!.error!.code, "WEIR_REQUEST_MALFORMED");
  send(message(2n, undefined, 1, [record(-1, 500n), { strings: { [path]: -2 } }, { strings: { [path]: 999 } }, {}]));
  t.like(await next(), { index: 2n, taken: 3, broken: 1 });
  send(Buffer.from("08031aff7f", "hex"));
  const third = await next();
  t.is(third.index, 3n);
  t.is(third.error?.code, "WEIR_REQUEST_MALFORMED");
  send(message(4n, undefined, 0, [record(-1, 200n)]));
  t.like(await next(), { index: 4n, taken: 1 });
  halfClose();
  t.is((await status).code, 0);
  const counted = (at: string, code: string) => metric(hub, "test_requests_total", { path: at, code });
  t.is(await counted("/s/1", "200"), 2);
  t.is(await counted("/s/2", "404"), 1);
  t.is(await counted("/s/1", "500"), 1);
  t.is(await counted("/s/2", "500"), 2);
});

/** Bytes of memory that a process holds, in MiB. */
function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
}

test("a client that does not read its answers stops being read from", async (t) => {
  const own = connect(hub.grpc);
  t.teardown(() => own.close());
  const { call, send } = checks(own);
  call.pause();
  const answered = () => metric(hub, "weir_decisions_total", { outcome: "allowed" });
  const before = await answered();
  const padding = "x".repeat(8 * 1024);
  send(one(0n, ["long", padding], { strings: { [service]: -1, [path]: -2 } }));
  // 100,000 answers of 8 KiB would be 800 MB. The requests are not small either, so that few fill what lies between.
  const wanted = 100_000;
  const dedup = "d".repeat(250);
  let sent = 1;
  let blocked = 0;
  let onDrain = () => {};
  call.on("drain", () => onDrain());
  while (sent < wanted && blocked < 40) {
    if (send(request(BigInt(sent++), { strings: { [service]: -1, [path]: -2 } }, { dedup }))) {
      blocked = 0;
      continue;
    }
    // Either the transport takes more soon, or the hub holds back.
    const drained = await Promise.race([
      new Promise<boolean>((resolve) => (onDrain = () => resolve(true))),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 25)),
    ]);
    blocked = drained ? 0 : blocked + 1;
  }
  t.true(sent < wanted, `${sent} messages were taken`);
  const judged = (await answered()) - before;
  t.true(judged < 5_000, `${judged} answers wait for the client`);
  t.true(residentMiB(hub.process.pid!) < 300);
  // Others are served meanwhile, and the stream goes on once its answers are read.
  const other = checks();
  other.send(one(1n, ["tags", "/p"], { strings: { [service]: -1, [path]: -2 } }));
  t.is((await other.next()).decision!.verdict, 1);
  other.halfClose();
  let last = -1n;
  call.on("data", (bytes: Buffer) => (last = CheckResponse.decode(bytes).index));
  call.resume();
  call.end();
  const { code } = await new Promise<{ code: number }>((resolve) => call.once("status", resolve));
  t.is(code, 0);
  t.is(last, BigInt(sent - 1));
});

test("a stream with many checks at work is read no further until some are answered", async (t) => {
  const own = connect(hub.grpc);
  t.teardown(() => own.close());
  const gate = join(hub.folder, "gate-many");
  const { send, next, halfClose, status } = checks(own);
  const total = 600;
  send(one(0n, ["slow", gate], { strings: { [service]: -1, [path]: -2 } }));
  for (let index = 1n; index < total; index++) send(request(index, { strings: { [service]: -1, [path]: -2 } }));
  const asked = () => hub.stderr().split(`"gate":"${gate}"`).length - 1;
  while (asked() < 256) await new Promise((resolve) => setTimeout(resolve, 10));
  // A round trip on another stream: what the hub would have read by then, it has read.
  const other = checks();
  other.send(one(1n, ["tags", "/p"], { strings: { [service]: -1, [path]: -2 } }));
  await other.next();
  other.halfClose();
  t.is(asked(), 256);
  await writeFile(gate, "");
  const seen = new Set<bigint>();
  for (let count = 0; count < total; count++) seen.add((await next()).index);
  t.is(seen.size, total);
  halfClose();
  t.is((await status).code, 0);
});

test("a client that goes away leaves nothing behind", async (t) => {
  const own = connect(hub.grpc);
  const gate = join(hub.folder, "gate-gone");
  const { call, send, status } = checks(own);
  send(one(1n, ["slow", gate], { strings: { [service]: -1, [path]: -2 } }));
  await hub.saw(gate);
  call.cancel();
  t.is((await status).code, 1);
  own.close();
  await writeFile(gate, "");
  const { send: ask, next, halfClose } = checks();
  ask(one(1n, ["tags", "/p"], { strings: { [service]: -1, [path]: -2 } }));
  t.is((await next()).decision!.verdict, 1);
  halfClose();
});

test("a hub that stops answers what it has read and ends its streams with UNAVAILABLE", async (t) => {
  const own = await hubFor(t, {
    "weir.yaml":
      "policies: ./policies\ncheck: { adapterTimeout: 60s }\nadapters: { waiting: { adapter: ./waiting.mjs } }\n",
    "waiting.mjs": waiting,
    "policies/all.yaml": policies,
  });
  const to = connect(own.grpc);
  t.teardown(() => to.close());
  const gate = join(own.folder, "gate");
  const { send, next, status } = checks(to);
  send(one(1n, ["slow", gate], { strings: { [service]: -1, [path]: -2 } }));
  await own.saw(gate);
  own.process.kill("SIGTERM");
  await own.saw("stopping");
  await writeFile(gate, "");
  t.is((await next()).decision!.verdict, 1);
  t.is((await status).code, 14);
  t.deepEqual(await own.exit, { code: 0, signal: null });
});
