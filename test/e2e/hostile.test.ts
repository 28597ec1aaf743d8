import { readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import * as http2 from "node:http2";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Client } from "@grpc/grpc-js";
import { CheckResponse, ReportResponse } from "../../src/wire/gen/weir/v1/weir.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { connect, post, stream, unary, until } from "./clients.ts";
import { runWeir, startHub, writeFolder, type Hub } from "./hub.ts";
import { check, checkRequest, mixerCheck, mixerReport, report, word, type Wire } from "./mixer-wire.ts";

/** Every kind of attribute is read, so that none is skipped unread. */
const policies = `
policy: acl
match: destination.service.name == "acl"
check:
  - name: closed
    deny: permission_denied
    message: closed
---
policy: reads
check:
  - name: types
    headers:
      request:
        set:
          x-key: 'request.headers["x-user"]'
          x-ip: string(source.ip)
          x-time: string(request.time)
          x-claim: 'request.auth.claims["sub"]'
  - name: labels
    deny: failed_precondition
    when: has(source.labels) && source.labels.exists(key, key.matches("^(a+)+$"))
  - name: hourly
    limit: 1000000/h
    by: { who: source.principal }
report:
  - metric: test_requests_total
    type: counter
    labels: { path: request.path, code: response.code, label: 'source.labels["app"]' }
  - metric: test_request_seconds
    type: histogram
    value: response.duration
  - log: access
    fields: { path: request.path, code: response.code, from: source.ip, at: request.time }
    to: file
`;

let hub: Hub;
let client: Client;
const mebibyte = 1024 * 1024;
const limit = 4 * mebibyte;

test.before(async () => {
  hub = await startHub({
    "weir.yaml": `policies: ./policies\nlimits: { message: 4MiB, streams: 64 }\nadapters: { file: { adapter: log, to: access.log } }\n`,
    "policies/all.yaml": policies,
  });
  client = connect(hub.grpc);
});

test.after.always(() => {
  client?.close();
  hub?.dispose();
});

/** The hub lives, answers as it should at every listener, and holds no more memory than it may. */
async function wellAfter(t: ExecutionContext, what: string): Promise<void> {
  t.is(hub.process.exitCode, null, what);
  const wire = { words: ["acl"], strings: { [word["destination.service.name"]]: -1 } };
  t.like((await check(client, wire)).precondition!.status, { code: 7, message: "closed" }, what);
  t.false((await post(hub, "/v1/check", { attributes: { "destination.service.name": "acl" } })).json.allowed, what);
  t.is((await fetch(`http://${hub.admin}/readyz`)).status, 200, what);
  const status = readFileSync(`/proc/${hub.process.pid}/status`, "utf8");
  const residentMiB = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) / 1024;
  t.true(residentMiB < 300, `${residentMiB} MiB after ${what}`);
}

const unaryPaths = [mixerCheck, mixerReport, "/grpc.health.v1.Health/Check"];
const streamPaths = [
  "/weir.v1.Weir/Check",
  "/weir.v1.Weir/Report",
  "/grpc.health.v1.Health/Watch",
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/** Statuses that a caller may get for what it sent; never UNKNOWN, and never a fault of the hub. */
const clear = new Set([0, 3, 5, 8, 13]);

/** A valid message of each shape, to be damaged. */
const samples: readonly Uint8Array[] = [
  checkRequest(
    {
      words: ["acl", "x-user", "ann", "app", "a\0b", "ü"],
      strings: { [word["destination.service.name"]]: -1, [word["request.path"]]: -6 },
      int64s: { [word["response.code"]]: 200n },
      doubles: { [word["request.size"]]: 1.5 },
      bools: { [word["connection.mtls"]]: true },
      bytes: { [word["source.ip"]]: Uint8Array.of(10, 0, 0, 1) },
      timestamps: { [word["request.time"]]: { seconds: 1_700_000_000n, nanos: 1 } },
      durations: { [word["response.duration"]]: { seconds: 1n, nanos: 5 } },
      stringMaps: { [word["request.headers"]]: { [-2]: -3 }, [word["source.labels"]]: { [-4]: -5 } },
    },
    { quotas: { hourly: { amount: 1n } }, dedupId: "d" },
  ),
];

const damaged: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  // A valid message, cut short or with some bytes changed.
  fc
    .tuple(
      fc.constantFrom(...samples),
      fc.nat(400),
      fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 0, maxLength: 8 }),
    )
    .map(([sample, length, changes]) => {
      const bytes = Uint8Array.from(sample);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes.subarray(0, length);
    }),
  // Fields, nested at random, whose lengths and tags lie.
  fc
    .array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(7), fc.bigInt(0n, 2n ** 64n - 1n)), { maxLength: 20 })
    .map((fields) =>
      Buffer.concat(fields.map(([field, type, value]) => Buffer.from([(field << 3) | type, ...varint(value)]))),
    ),
);

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  for (; value > 127n; value >>= 7n) bytes.push(Number(value & 127n) | 128);
  return [...bytes, Number(value)];
}

test.serial("random and damaged messages get a clear status at every method", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(damaged, { minLength: 20, maxLength: 20 }), async (messages) => {
      const calls = messages.flatMap((message) => unaryPaths.map((path) => unary(client, path, message)));
      for (const { code, details } of await Promise.all(calls)) {
        if (!clear.has(code)) throw new Error(`status ${code}: ${details}`);
      }
    }),
    { numRuns: fuzzRuns(40) },
  );
  await wellAfter(t, "damaged messages");
  t.false(hub.stderr().includes('"level":"error"'), hub.stderr().slice(-2000));
});

test.serial("random and damaged messages fail themselves and not their stream of checks or reports", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(damaged, { minLength: 20, maxLength: 20 }), async (messages) => {
      for (const [path, codec] of [
        ["/weir.v1.Weir/Check", CheckResponse],
        ["/weir.v1.Weir/Report", ReportResponse],
      ] as const) {
        const open = stream<unknown>(client, path, codec as { decode(bytes: Uint8Array): unknown });
        for (const message of messages) open.send(message);
        for (const _ of messages) await open.next();
        open.halfClose();
        const { code, details } = await open.status;
        if (code !== 0) throw new Error(`${path}: status ${code}: ${details}`);
      }
    }),
    { numRuns: fuzzRuns(20) },
  );
  await wellAfter(t, "damaged messages of streams");
});

test.serial("random messages end other streams with a clear status", async (t) => {
  const raw = { decode: (bytes: Uint8Array) => bytes };
  await fc.assert(
    fc.asyncProperty(damaged, fc.constantFrom(...streamPaths.slice(2)), async (message, path) => {
      const open = stream(client, path, raw);
      open.send(message);
      open.halfClose();
      // A watch of health goes on for as long as the hub does.
      const outcome = await Promise.race([open.status, open.next().catch(() => open.status)]);
      if ("code" in outcome && !clear.has(outcome.code)) throw new Error(`status ${outcome.code}: ${outcome.details}`);
      open.call.cancel();
    }),
    { numRuns: fuzzRuns(100) },
  );
  await wellAfter(t, "random messages at health and reflection");
});

test.serial("random and damaged JSON is a 4xx that says why", async (t) => {
  const body = JSON.stringify({
    attributes: { "request.path": "/x", "request.headers": { "x-user": "ann" }, "source.ip": "10.0.0.1" },
    quotas: { hourly: 1 },
  });
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.json(),
    fc.json().map((value) => `{"attributes": ${value}}`),
    fc.json().map((value) => `{"attributes": {"request.headers": ${value}}}`),
    fc.tuple(fc.nat(body.length), fc.string({ maxLength: 3 })).map(([at, put]) => body.slice(0, at) + put),
    fc
      .tuple(fc.nat(body.length), fc.string({ maxLength: 3 }))
      .map(([at, put]) => body.slice(0, at) + put + body.slice(at)),
  );
  await fc.assert(
    fc.asyncProperty(text, fc.constantFrom("/v1/check", "/v1/report"), async (given, path) => {
      const { status, json } = await post(hub, path, given);
      if (status === 200) return;
      if (status !== 400) throw new Error(`status ${status}`);
      if (!/^WEIR_REQUEST_/.test(json.error.code) || json.error.message === "") throw new Error(JSON.stringify(json));
    }),
    { numRuns: fuzzRuns(300) },
  );
  await wellAfter(t, "damaged JSON");
});

test.serial(
  "bodies that are not UTF-8, deeply nested or full of keys are refused or read, and cost little",
  async (t) => {
    const mistaken: [what: string, body: string | Uint8Array, message: RegExp][] = [
      ["bytes that are not UTF-8", Buffer.from('{"attributes": {"request.path": "\xff\xfe"}}', "latin1"), /not UTF-8/],
      ["a million brackets", "[".repeat(1_000_000), /more than 32 deep/],
      ["a million objects", '{"a":'.repeat(700_000), /more than 32 deep/],
      [
        "100,000 unknown attributes",
        JSON.stringify({ attributes: keys(100_000, (i) => [`a${i}`, 1]) }),
        /no attribute/,
      ],
      ["100,000 quotas", JSON.stringify({ quotas: keys(100_000, (i) => [`q${i}`, -1]) }), /quota q0/],
      ["a number beyond numbers", '{"quotas": {"hourly": 1e999}}', /whole number/],
      ["NaN", '{"quotas": {"hourly": NaN}}', /expected a value/],
      ["a name of a prototype", '{"attributes": {"__proto__": {"x": 1}}}', /no attribute "__proto__"/],
    ];
    for (const [what, body, message] of mistaken) {
      const { status, json } = await post(hub, "/v1/check", body);
      t.is(status, 400, what);
      t.regex(json.error.message, message, what);
      t.true(json.error.message.length < 300, what);
    }
    const many = { "request.headers": keys(100_000, (i) => [`x-${i}`, "v"]) };
    t.is((await post(hub, "/v1/check", { attributes: many })).status, 200);
    t.is((await post(hub, "/v1/report", { reports: Array.from({ length: 50_000 }, () => ({})) })).json.taken > 0, true);
    await wellAfter(t, "large JSON");
  },
);

function keys(count: number, entry: (i: number) => [string, unknown]): object {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => entry(i)));
}

test.serial("messages beyond the limit are refused at every door", async (t) => {
  const large = Buffer.alloc(limit + 1, 0x0a);
  for (const path of unaryPaths) t.is((await unary(client, path, large)).code, 8, path);
  for (const path of streamPaths) {
    const open = stream(client, path, { decode: (bytes) => bytes });
    open.send(large);
    t.is((await open.status).code, 8, path);
  }
  const { status, json } = await post(hub, "/v1/check", `"${"x".repeat(limit)}"`);
  t.is(status, 413);
  t.is(json.error.code, "WEIR_REQUEST_TOO_LARGE");
  // Far too large: refused by what the header says, without waiting for the rest.
  const far = socketTo(hub.http);
  far.write(
    `POST /v1/check HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${2 ** 40}\r\n\r\n{`,
  );
  t.regex(String((await once(far, "data"))[0]), /^HTTP\/1\.1 413 /);
  far.destroy();
  await wellAfter(t, "messages beyond the limit");
});

test.serial("messages with 100,000 keys, words or records cost no more than their bytes", async (t) => {
  const words = Array.from({ length: 100_000 }, (_, i) => `k${i}`);
  const indices = Object.fromEntries(words.map((_, i) => [-i - 1, -i - 1])) as Record<number, number>;
  const headers = await check(client, { words, stringMaps: { [word["request.headers"]]: indices } });
  t.is(headers.precondition!.status!.code, 0);
  // This one is used as a whole, by a pattern that would take a backtracking engine ages.
  const labels = ["a".repeat(5000) + "!", ...words.slice(0, 50_000)];
  const map = Object.fromEntries(labels.map((_, i) => [-i - 1, -1])) as Record<number, number>;
  t.like((await check(client, { words: labels, stringMaps: { [word["source.labels"]]: map } })).precondition!.status, {
    code: 9,
  });
  t.is((await check(client, { words, strings: indices, stringMaps: { [-1]: indices } })).precondition!.status!.code, 0);
  const records: Wire[] = Array.from({ length: 100_000 }, () => ({}));
  t.is((await report(client, records, { independent: true })).code, 8);
  const deep = Buffer.concat([Buffer.alloc(100_000, 0x0b), Buffer.alloc(100_000, 0x0c)]);
  for (const path of unaryPaths) t.true(clear.has((await unary(client, path, deep)).code), path);
  await wellAfter(t, "100,000 keys");
});

test.serial("values at the edge of their type and words that are not UTF-8 are judged, not feared", async (t) => {
  const time = word["request.time"];
  const edges: Wire[] = [
    { timestamps: { [time]: { seconds: 2n ** 63n - 1n, nanos: 2 ** 31 - 1 } } },
    { timestamps: { [time]: { seconds: -(2n ** 63n), nanos: -(2 ** 31) } } },
    { durations: { [word["response.duration"]]: { seconds: 2n ** 63n - 1n, nanos: -1 } } },
    { doubles: { [word["request.size"]]: Number.NaN, [time]: Number.POSITIVE_INFINITY } },
    { int64s: { [word["response.code"]]: -(2n ** 63n) } },
    { bytes: { [word["source.ip"]]: new Uint8Array(100_000) } },
    { words: ["\0", "\ud800", "\u202e"], strings: { [word["request.path"]]: -2 } },
    { words: ["x"], strings: { [2 ** 31 - 1]: -1, [-(2 ** 31)]: -1, [word["request.path"]]: -(2 ** 31) } },
  ];
  for (const wire of edges) {
    t.is((await unary(client, mixerCheck, checkRequest(wire))).code, 0);
    t.is((await report(client, [wire, {}])).code, 0);
  }
  // One word whose bytes are no UTF-8, as the path.
  const raw = Buffer.from("0a090a02fffe1204" + "08220801", "hex");
  for (const path of [mixerCheck, mixerReport]) t.true(clear.has((await unary(client, path, raw)).code));
  const attributes = Buffer.concat([Buffer.from("0a0a0a02fffe1204" + "08221001", "hex")]);
  t.is((await unary(client, mixerCheck, attributes)).code, 0);
  await wellAfter(t, "values at their edge");
  t.notThrows(() => {
    for (const line of readFileSync(join(hub.folder, "access.log"), "utf8").trim().split("\n")) JSON.parse(line);
  });
});

function socketTo(address: string): Socket {
  const colon = address.lastIndexOf(":");
  return createConnection({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }).on(
    "error",
    () => undefined,
  );
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** An HTTP/2 frame (RFC 9113, 4.1). */
function frame(type: number, flags: number, id: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

test.serial("garbage on the wire costs the connection that brings it", async (t) => {
  const garbage: Uint8Array[] = [
    Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
    Buffer.from("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "latin1"),
    Buffer.alloc(100_000, 0xff),
    Buffer.from(preface),
    Buffer.concat([Buffer.from(preface), Buffer.alloc(100_000, 0x41)]),
    // Headers without an end, then many continuations.
    Buffer.concat([
      Buffer.from(preface),
      frame(4, 0, 0),
      frame(1, 0, 1, Buffer.from([0x82])),
      ...Array.from({ length: 2000 }, () => frame(9, 0, 1, Buffer.alloc(1000, 0x40))),
    ]),
    // Settings and pings without end.
    Buffer.concat([Buffer.from(preface), ...Array.from({ length: 20_000 }, () => frame(4, 0, 0))]),
    Buffer.concat([
      Buffer.from(preface),
      frame(4, 0, 0),
      ...Array.from({ length: 20_000 }, () => frame(6, 0, 0, Buffer.alloc(8))),
    ]),
    // A frame that says it is larger than any may be, on a stream that is not open.
    Buffer.concat([Buffer.from(preface), frame(4, 0, 0), Buffer.from("ffffff000000000001", "hex")]),
    Buffer.from("POST /v1/check HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n"),
    Buffer.from(`GET /${"x".repeat(100_000)} HTTP/1.1\r\nhost: x\r\n\r\n`),
    Buffer.from(`GET / HTTP/1.1\r\nhost: x\r\n${"x: y\r\n".repeat(5000)}\r\n`),
  ];
  for (const bytes of garbage) {
    const sockets = [hub.grpc, hub.http, hub.admin].map((address) => socketTo(address));
    for (const socket of sockets) {
      socket.resume();
      socket.end(bytes);
    }
    await Promise.all(
      sockets.map((socket) => Promise.race([new Promise((resolve) => socket.once("close", resolve)), pause(300)])),
    );
    for (const socket of sockets) socket.destroy();
  }
  await wellAfter(t, "garbage on the wire");
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test.serial("streams that are opened and reset at once do not wear the hub out", async (t) => {
  const session = http2.connect(`http://${hub.grpc}`);
  session.on("error", () => undefined);
  await once(session, "connect");
  await once(session, "remoteSettings");
  // What weir.yaml allows on one connection.
  t.is(session.remoteSettings.maxConcurrentStreams, 64);
  for (let i = 0; i < 5000 && !session.destroyed && !session.closed; i++) {
    const call = session.request({ ":method": "POST", ":path": mixerCheck, "content-type": "application/grpc" });
    call.on("error", () => undefined);
    call.close(http2.constants.NGHTTP2_CANCEL);
    if (i % 50 === 0) await pause(0);
  }
  session.destroy();
  await wellAfter(t, "streams reset at once");
});

test.serial("many connections, and bodies that come slowly, hold up nobody", async (t) => {
  const sockets = [hub.grpc, hub.http].flatMap((address) => Array.from({ length: 300 }, () => socketTo(address)));
  sockets.push(...Array.from({ length: 200 }, () => socketTo(hub.admin)));
  await Promise.all(sockets.map((socket) => (socket.connecting ? once(socket, "connect") : undefined)));
  for (const [i, socket] of sockets.entries()) {
    if (i < 300) socket.write(Buffer.concat([Buffer.from(preface), frame(4, 0, 0)]));
    else if (i < 600) {
      socket.write(
        "POST /v1/check HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
      );
    } else socket.write("GET /metr");
  }
  await wellAfter(t, "many connections");
  for (const socket of sockets) socket.destroy();
  await wellAfter(t, "many connections that went away");
});

const laughs = `a: &a [x, x, x, x, x, x, x, x, x]\n${"bcdefghij"
  .split("")
  .map((name, i) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${"abcdefghi"[i]}`).join(", ")}]`)
  .join("\n")}\n`;

const expression = (text: string) =>
  `policy: p\ncheck:\n  - name: r\n    deny: permission_denied\n    unless: >-\n      ${text}\n`;

const hostilePolicies: Record<string, readonly [file: string, says: RegExp]> = {
  "laughs.yaml": [laughs, /laughs\.yaml:\d+:\d+: error\[WEIR_YAML_SYNTAX\]/],
  "deep.yaml": [`policy: ${"[".repeat(100_000)}`, /deep\.yaml:\d+:\d+: error\[WEIR_YAML_SYNTAX\]/],
  "parens.yaml": [
    expression(`${"(".repeat(5000)}true${")".repeat(5000)}`),
    /parens\.yaml:6:\d+: error\[WEIR_EXPRESSION_TOO_LARGE\]/,
  ],
  "long.yaml": [
    expression(Array.from({ length: 1000 }, (_, i) => `request.path == "${i}"`).join(" || ")),
    /long\.yaml:6:\d+: error\[WEIR_EXPRESSION_TOO_LARGE\]/,
  ],
  "pattern.yaml": [
    expression('request.path.matches("(a{1000}){1000}")'),
    /pattern\.yaml:6:\d+: error\[WEIR_EXPRESSION_REGEX\]/,
  ],
  "latin.yaml": [Buffer.from("policy: caf\xe9\n", "latin1").toString("latin1"), /latin\.yaml:1/],
  "large.yaml": [`# ${"x".repeat(1_100_000)}\npolicy: large\n`, /large\.yaml:1:1: error\[WEIR_FILE_TOO_LARGE\]/],
};

test("hostile policy files are refused with place and reason, all of them at once", async (t) => {
  const folder = await writeFolder(
    Object.fromEntries(Object.entries(hostilePolicies).map(([name, [text]]) => [`policies/${name}`, text])),
  );
  t.teardown(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "policies/latin.yaml"), Buffer.from("policy: caf\xe9\n", "latin1"));
  const { code, stderr } = await runWeir(["validate"], { cwd: folder });
  t.is(code, 1);
  for (const [name, [, says]] of Object.entries(hostilePolicies)) t.regex(stderr, says, name);
  t.true(stderr.length < 50_000, "problems stay small");
});

test.serial("a running hub that is given hostile policy files goes on with those it has", async (t) => {
  for (const [name, [text]] of Object.entries(hostilePolicies)) {
    if (name !== "latin.yaml") await writeFile(join(hub.folder, "policies", name), text);
  }
  await until(async () => {
    const { last_reload } = (await (await fetch(`http://${hub.admin}/status`)).json()) as any;
    return last_reload.ok === false && last_reload.problems.length >= 6;
  });
  await wellAfter(t, "hostile policies");
  for (const name of Object.keys(hostilePolicies)) await rm(join(hub.folder, "policies", name), { force: true });
});
