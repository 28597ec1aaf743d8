import { setImmediate } from "node:timers/promises";
import test from "ava";
import { createClients } from "../../../../src/listen/client.ts";
import fc from "fast-check";
import { AccessLogType } from "../../../../src/wire/gen/envoy/data/accesslog/v3/accesslog.ts";
import { fuzzRuns } from "../../../fuzz-runs.ts";
import { hostileBytes } from "../../hostile-bytes.ts";
import { open } from "./door.ts";
import {
  common,
  delimited,
  fullHttp,
  fullTcp,
  httpEntry,
  identifier,
  message,
  socketAddress,
  tcpEntry,
  varint,
  messageCounts,
} from "./entries.ts";

const get = (path: string, changes: Parameters<typeof httpEntry>[0] = {}): Uint8Array =>
  httpEntry({ request: { path }, ...changes });

/** What was dropped, without what was not. */
const dropped = (drops: readonly string[]): string[] => drops.filter((line) => !line.endsWith(" 0"));

const paths = (records: readonly Record<string, string>[]) => records.map((record) => record["request.path"]);

/** An entry of a connection of `fullTcp`. */
const connection = (accessLogType: AccessLogType, received: number, sent: number, changes = {}): Uint8Array =>
  tcpEntry({
    commonProperties: { ...common, accessLogType, ...changes },
    connectionProperties: { receivedBytes: BigInt(received), sentBytes: BigInt(sent) },
  });

const tcpReads = ["connection.event", "connection.received.bytes", "connection.sent.bytes"];
const events = (records: readonly Record<string, string>[]) =>
  records.map((record) => tcpReads.map((name) => record[name]).join(" "));

test("a stream whose first message does not say who writes is served", (t) => {
  const { incoming, records } = open(["request.path", "context.reporter.kind", "context.reporter.uid"]);
  incoming.message(message({ http: [get("/a")] }));
  incoming.message(message({}, identifier));
  incoming.message(message({ http: [get("/b")] }));
  t.deepEqual(records, [
    { "request.path": "/a", "context.reporter.kind": "inbound" },
    {
      "request.path": "/b",
      "context.reporter.kind": "inbound",
      "context.reporter.uid": "kubernetes://reviews-v3-54c6.bookinfo",
    },
  ]);
});

test("streams of several proxies are told apart", (t) => {
  const { incoming, another, records } = open(["request.path", "destination.workload.name", "context.reporter.uid"]);
  const other = another();
  incoming.message(message({}, identifier));
  other.message(message({}, { node: { id: "edge-1", cluster: "edge" }, logName: "x" }));
  incoming.message(message({ http: [get("/a")] }));
  other.message(message({ http: [get("/b")] }));
  t.deepEqual(records, [
    {
      "request.path": "/a",
      "destination.workload.name": "reviews-v3",
      "context.reporter.uid": "kubernetes://reviews-v3-54c6.bookinfo",
    },
    { "request.path": "/b", "destination.workload.name": "edge", "context.reporter.uid": "edge-1" },
  ]);
});

const kinds: readonly (readonly [what: string, logName: string, node: string, entry: object, kind: string])[] = [
  ["nothing", "mesh", "edge", {}, "inbound"],
  ["the log's name", "http-outbound", "edge", {}, "outbound"],
  ["the log's name rather than the node", "inbound", "router~10.0.0.1~gw.istio-system~x", {}, "inbound"],
  ["a gateway of Istio's", "mesh", "router~10.0.0.1~gw.istio-system~x", {}, "outbound"],
  [
    "the cluster rather than the log's name",
    "inbound",
    "edge",
    { upstreamCluster: "outbound|80||a.b.svc" },
    "outbound",
  ],
  [
    "a tag rather than the cluster",
    "outbound",
    "edge",
    { upstreamCluster: "outbound|80||a.b.svc", customTags: new Map([["context.reporter.kind", "inbound"]]) },
    "inbound",
  ],
];
for (const [what, logName, id, commonProperties, kind] of kinds) {
  test(`the side that a proxy stands at is told by ${what}`, (t) => {
    const { incoming, records } = open(["context.reporter.kind", "context.reporter.local"]);
    incoming.message(message({ http: [httpEntry({ commonProperties })] }, { node: { id }, logName }));
    t.deepEqual(records, [{ "context.reporter.kind": kind, "context.reporter.local": String(kind === "inbound") }]);
  });
}

test("at the caller's side the proxy's workload is the source, and the peer the destination", (t) => {
  const { incoming, records } = open([
    "source.workload.name",
    "destination.workload.name",
    "source.principal",
    "destination.principal",
    "destination.namespace",
  ]);
  const { filterStateObjects } = common as { filterStateObjects: Map<string, never> };
  const changed = {
    ...common,
    upstreamCluster: "outbound|9080||ratings.bookinfo.svc.cluster.local",
    filterStateObjects: new Map([["wasm.upstream_peer", filterStateObjects.get("downstream_peer")!]]),
    tlsProperties: undefined,
  };
  incoming.message(message({ http: [httpEntry({ commonProperties: changed })] }, identifier));
  t.deepEqual(records, [
    {
      "source.workload.name": "reviews-v3",
      "destination.workload.name": "productpage-v1",
      "destination.namespace": "told-by-the-peer",
    },
  ]);
});

test("messages of a call are counted as far as the proxy says, also where there were none", (t) => {
  const { incoming, records } = open(["request.messages", "response.messages"]);
  const states = [
    new Map([["envoy.filters.http.grpc_stats", messageCounts(2, 0)]]),
    new Map([["envoy.filters.http.grpc_stats", { ...messageCounts(2, 2), typeUrl: "t/google.protobuf.Struct" }]]),
    new Map([["another", messageCounts(2, 2)]]),
  ];
  const entries = states.map((filterStateObjects) =>
    httpEntry({ commonProperties: { ...common, filterStateObjects } }),
  );
  incoming.message(message({ http: entries }, identifier));
  t.deepEqual(records, [{ "request.messages": "2", "response.messages": "0" }, {}, {}]);
});

test("a tag that names an attribute sets it, and the host of a service tells name and namespace", (t) => {
  const { incoming, records } = open([
    "destination.service.host",
    "destination.service.name",
    "destination.service.namespace",
    "destination.namespace",
    "response.code",
    "source.labels[app]",
    "source.ip",
  ]);
  const customTags = new Map([
    ["destination.service.host", "details.shop.svc.cluster.local"],
    ["response.code", "418"],
    ["source.labels", '{"app":"web"}'],
    ["source.ip", "nowhere"],
  ]);
  incoming.message(message({ http: [httpEntry({ ...fullHttp, commonProperties: { ...common, customTags } })] }));
  const [{ "source.ip": ip, "source.labels": _, ...record } = {}] = records;
  t.deepEqual(record, {
    "destination.service.host": "details.shop.svc.cluster.local",
    "destination.service.name": "details",
    "destination.service.namespace": "shop",
    "destination.namespace": "shop",
    "response.code": "418",
    "source.labels[app]": "web",
  });
  t.regex(ip!, /object/, "a fault, not an address");
});

test("a client sets by tags only what it may set; the rest is counted", (t) => {
  const client = createClients([{ name: "edge.example", attributes: ["destination.*"] }])({
    spiffe: undefined,
    dns: ["edge.example"],
  })!;
  const { incoming, records, observer } = open(["destination.service.name", "origin.user"], { client });
  const customTags = new Map([
    ["destination.service.name", "details"],
    ["origin.user", "root"],
    ["context.reporter.kind", "outbound"],
  ]);
  incoming.message(message({ http: [httpEntry({ commonProperties: { customTags } })] }));
  t.deepEqual(records, [{ "destination.service.name": "details" }]);
  t.deepEqual(dropped(observer.drops), ["attribute not_permitted 2"]);
});

test("what was decided of a connection is in the metadata of the filter that asked about it", (t) => {
  const { incoming, records } = open(["check.decision_id"]);
  const id = (text: string) => ({ decision_id: text.repeat(32) });
  const filterMetadata = new Map([["envoy.filters.network.ext_authz", id("a")]]);
  const both = new Map([...filterMetadata, ["envoy.filters.http.ext_authz", id("b")]]);
  const entries = { metadata: { filterMetadata } };
  incoming.message(
    message({
      tcp: [
        tcpEntry({ commonProperties: entries }),
        tcpEntry({ commonProperties: { metadata: { filterMetadata: both } } }),
      ],
      http: [httpEntry({ commonProperties: entries })],
    }),
  );
  const [http, ...tcp] = records.map((record) => record["check.decision_id"]);
  t.deepEqual([http, ...tcp], [undefined, "a".repeat(32), "a".repeat(32)]);
});

test("a request is one record, when it ends", (t) => {
  const { incoming, records, observer } = open(["request.path"]);
  const at = (accessLogType: AccessLogType, path: string) => get(path, { commonProperties: { accessLogType } });
  incoming.message(
    message({
      http: [
        at(AccessLogType.DownstreamStart, "/start"),
        at(AccessLogType.DownstreamPeriodic, "/periodic"),
        at(AccessLogType.DownstreamTunnelSuccessfullyEstablished, "/tunnel"),
        at(AccessLogType.DownstreamEnd, "/end"),
        get("/older-intermediate", { commonProperties: { intermediateLogEntry: true } }),
        get("/older"),
        at(99 as never, "/newer"),
        get("/newer-end", { commonProperties: { accessLogType: 99 as never, duration: { seconds: 1n, nanos: 0 } } }),
      ],
    }),
  );
  t.deepEqual(paths(records), ["/end", "/older", "/newer-end"]);
  t.deepEqual(dropped(observer.drops), []);
});

test("what a router says of its attempts is no request, and counted", (t) => {
  const { incoming, records, observer } = open(["request.path"]);
  const attempts = [AccessLogType.UpstreamPoolReady, AccessLogType.UpstreamPeriodic, AccessLogType.UpstreamEnd];
  incoming.message(
    message({ http: attempts.map((accessLogType) => get("/", { commonProperties: { accessLogType } })) }),
  );
  t.deepEqual(records, []);
  t.deepEqual(dropped(observer.drops), Array(3).fill("record upstream_attempt 1"));
});

test("a connection opens once, goes on with what is new, and closes once", (t) => {
  const { incoming, another, records, observer } = open(tcpReads);
  incoming.message(message({ tcp: [connection(AccessLogType.TcpConnectionStart, 0, 0)] }, identifier));
  incoming.message(message({ tcp: [connection(AccessLogType.TcpUpstreamConnected, 0, 20)] }));
  incoming.message(message({ tcp: [connection(AccessLogType.TcpPeriodic, 100, 1000)] }));
  // Another stream of the same proxy.
  another().message(message({ tcp: [connection(AccessLogType.TcpPeriodic, 150, 1000)] }, identifier));
  incoming.message(message({ tcp: [connection(AccessLogType.TcpConnectionEnd, 180, 1500)] }));
  t.deepEqual(events(records), ["open 0 0", "continue 0 20", "continue 100 980", "continue 50 0", "close 30 500"]);
  t.deepEqual(dropped(observer.drops), []);
});

test("an entry of a connection that comes after its end adds nothing", (t) => {
  const { incoming, records } = open(tcpReads);
  incoming.message(message({}, identifier));
  for (const [type, received, sent] of [
    [AccessLogType.TcpConnectionStart, 0, 0],
    [AccessLogType.TcpConnectionEnd, 180, 1500],
    [AccessLogType.TcpPeriodic, 150, 1500],
  ] as const)
    incoming.message(message({ tcp: [connection(type, received, sent)] }));
  t.deepEqual(events(records), ["open 0 0", "close 180 1500"]);
});

test("a connection whose beginning was not told opens with its first entry", (t) => {
  const { incoming, records } = open(tcpReads);
  incoming.message(message({ tcp: [connection(AccessLogType.TcpConnectionEnd, 180, 1500)] }));
  incoming.message(message({ tcp: [connection(AccessLogType.TcpPeriodic, 5, 6, { streamId: "b" })] }));
  incoming.message(message({ tcp: [connection(AccessLogType.TcpConnectionEnd, 7, 8, { streamId: "b" })] }));
  t.deepEqual(events(records), ["open 0 0", "close 180 1500", "open 0 0", "continue 5 6", "close 2 2"]);
});

test("connections without an id are told apart by their addresses and when they began", (t) => {
  const { incoming, records } = open(tcpReads);
  const other = { streamId: "", downstreamDirectRemoteAddress: socketAddress("10.0.0.4", 51_235) };
  const older = { accessLogType: AccessLogType.NotSet, streamId: "", intermediateLogEntry: true };
  incoming.message(message({ tcp: [connection(AccessLogType.NotSet, 5, 5, older)] }));
  incoming.message(message({ tcp: [connection(AccessLogType.NotSet, 3, 3, { ...older, ...other })] }));
  incoming.message(message({ tcp: [connection(AccessLogType.NotSet, 9, 9, { streamId: "" })] }));
  t.deepEqual(events(records), ["open 0 0", "continue 5 5", "open 0 0", "continue 3 3", "close 4 4"]);
});

test("of a connection older than the hub it is not known what is new: no bytes are added, and that is counted", (t) => {
  const { incoming, records, observer } = open(tcpReads);
  const old = { startTime: { seconds: 1n, nanos: 0 } };
  incoming.message(message({ tcp: [connection(AccessLogType.TcpPeriodic, 100, 1000, old)] }));
  incoming.message(message({ tcp: [connection(AccessLogType.TcpPeriodic, 120, 1100, old)] }));
  incoming.message(message({ tcp: [connection(AccessLogType.TcpConnectionEnd, 9, 9, { ...old, streamId: "b" })] }));
  t.deepEqual(events(records), ["continue 0 0", "continue 20 100", "close 0 0"]);
  t.deepEqual(dropped(observer.drops), Array(2).fill("connection_bytes unknown_start 1"));
});

test("a log that tells of ends only is taken at its word, however old the connection is", (t) => {
  const { incoming, records } = open(tcpReads);
  incoming.message(
    message({ tcp: [connection(AccessLogType.TcpConnectionEnd, 9, 8, { startTime: { seconds: 1n, nanos: 0 } })] }),
  );
  t.deepEqual(events(records), ["open 0 0", "close 9 8"]);
});

test("where no rule tells the records of a connection apart, it is one record", (t) => {
  const { incoming, records } = open(["connection.received.bytes"]);
  for (const [type, bytes] of [
    [AccessLogType.TcpConnectionStart, 0],
    [AccessLogType.TcpPeriodic, 50],
    [AccessLogType.TcpConnectionEnd, 80],
  ] as const)
    incoming.message(message({ tcp: [connection(type, bytes, 0)] }));
  t.deepEqual(records, [{ "connection.received.bytes": "80" }]);
});

test("an entry that is malformed costs only itself, a message that is broken only itself", (t) => {
  const { incoming, records, observer, log } = open(["request.path", "response.code"]);
  const bad = delimited(4, delimited(1, Buffer.of(0x08)));
  incoming.message(message({ http: [get("/a"), bad, get("/b")] }));
  incoming.message(Buffer.of(0x12, 0x7f, 0x00));
  incoming.message(Buffer.of(0x12, 0x7f, 0x00));
  incoming.message(message({ http: [get("/c")] }));
  t.deepEqual(paths(records), ["/a", "/b", "/c"]);
  t.deepEqual(dropped(observer.drops), ["record malformed 1", "report broken 1", "report broken 1"]);
  t.is(log.lines.length, 1, "told once a stream");
});

test("entries beyond the most of one message are counted", (t) => {
  const { incoming, records, observer } = open(["context.protocol"]);
  incoming.message(delimited(2, Buffer.from("0a00".repeat(65_540), "hex")));
  t.is(records.length, 65_536);
  t.deepEqual(dropped(observer.drops), ["record too_many 4"]);
});

test("the end of the client's stream is answered once, after all was taken", (t) => {
  const { incoming, sent, ended, live } = open(["request.path"]);
  incoming.message(message({ http: [get("/a")] }));
  t.deepEqual([sent.length, ended()], [0, 0]);
  incoming.end();
  t.deepEqual(sent, [new Uint8Array(0)]);
  t.deepEqual([ended(), live()], [1, 0]);
});

test("entries that find a queue full are held, tried again, and nothing is taken twice", async (t) => {
  let room = 1;
  const { incoming, records, observer, clock } = open(["request.path"], {
    outcome: () => (room-- > 0 ? "taken" : "full"),
  });
  const bytes = message({ http: [get("/a"), get("/b"), get("/c")] });
  const held = incoming.message(bytes);
  t.true(held instanceof Promise);
  // The transport uses the message's memory again.
  bytes.fill(0);
  t.deepEqual(paths(records), ["/a"]);
  room = 1;
  await clock.advance(100);
  t.deepEqual(paths(records), ["/a", "/b"]);
  room = 10;
  await clock.advance(100);
  await held;
  t.deepEqual(paths(records), ["/a", "/b", "/c"]);
  t.deepEqual(dropped(observer.drops), []);
  t.is(clock.pending, 0);
});

test("entries are held for a second, then dropped and counted; what needs no queue is taken all the same", async (t) => {
  let isFull = true;
  const { incoming, another, records, observer, clock } = open(["request.path"], {
    outcome: (record) => (isFull && record["request.path"] === "/logged" ? "full" : "taken"),
  });
  const bytes = () => message({ http: [get("/a"), get("/logged"), get("/b")] });
  const held = incoming.message(bytes());
  const beside = another().message(message({ http: [get("/beside")] }));
  t.is(beside, undefined, "other streams go on");
  await clock.advance(1000);
  await held;
  t.deepEqual(paths(records), ["/a", "/beside", "/b"]);
  t.is(incoming.message(bytes()), undefined, "not held again in vain");
  t.deepEqual(dropped(observer.drops), Array(2).fill("record queue_full 1"));
  isFull = false;
  t.is(incoming.message(bytes()), undefined);
  isFull = true;
  t.true(incoming.message(bytes()) instanceof Promise, "hope again");
});

test("a hold ends with its stream: what can be is taken, the rest counted", async (t) => {
  for (const end of ["end", "gone"] as const) {
    let isFull = true;
    const { incoming, records, observer, clock, live } = open(["request.path"], {
      outcome: () => (isFull ? "full" : "taken"),
    });
    const held = incoming.message(message({ http: [get("/a"), get("/b")] }));
    isFull = end === "gone";
    incoming[end]();
    await held;
    t.deepEqual(paths(records), end === "end" ? ["/a", "/b"] : []);
    t.deepEqual(dropped(observer.drops), end === "end" ? [] : ["record queue_full 2"]);
    t.deepEqual([clock.pending, live()], [0, 0]);
  }
});

test("messages that the transport could not hand on are counted", (t) => {
  const { incoming, observer } = open(["request.path"]);
  incoming.missed!(2);
  t.deepEqual(dropped(observer.drops), ["report not_read 2"]);
});

test("messages are stored side by side, 256 KiB of a stream at most, and the end is answered when all of them are", async (t) => {
  const storing: { readonly done: () => void; readonly fail: (reason: Error) => void }[] = [];
  const commit = (): Promise<void> => new Promise((done, fail) => storing.push({ done, fail }));
  const { incoming, observer, unsafe, ended, live } = open(["request.path"], { commit });
  const bytes = message({ http: [get("/a"), get(`/${"b".repeat(17_000)}`)] });
  for (let n = 1; n < 16; n++) t.is(incoming.message(bytes), undefined);
  const last = incoming.message(bytes);
  t.true(last instanceof Promise, "no more is read");
  t.is(unsafe(), 32);
  storing[3]!.done();
  await last;
  t.is(unsafe(), 30);
  storing[4]!.fail(new Error("away"));
  incoming.end();
  t.is(ended(), 0);
  for (const { done } of storing) done();
  while (ended() === 0) await setImmediate();
  t.is(unsafe(), 0);
  t.is(live(), 0);
  t.deepEqual(dropped(observer.drops), ["record not_stored 2"]);
});

test("entries that are held would be lost with the process", async (t) => {
  const { incoming, unsafe, clock } = open(["request.path"], { outcome: () => "full" });
  const held = incoming.message(message({ http: [get("/a"), get("/b")] }));
  t.is(unsafe(), 2);
  await clock.advance(1000);
  await held;
  t.is(unsafe(), 0, "dropped and counted");
});

test("no more than 64 streams hold entries at once", (t) => {
  const { another, observer } = open(["request.path"], { outcome: () => "full" });
  const bytes = message({ http: [get("/a")] });
  const held = Array.from({ length: 66 }, () => another().message(bytes)).filter((each) => each instanceof Promise);
  t.is(held.length, 64);
  t.deepEqual(dropped(observer.drops), Array(2).fill("record queue_full 1"));
});

test("a connection that opens while a queue is full opens once", async (t) => {
  let room = 1;
  const { incoming, records, clock } = open(tcpReads, { outcome: () => (room-- > 0 ? "taken" : "full") });
  const held = incoming.message(message({ tcp: [connection(AccessLogType.TcpConnectionEnd, 9, 8)] }));
  t.deepEqual(events(records), ["open 0 0"]);
  room = 1;
  await clock.advance(100);
  await held;
  t.deepEqual(events(records), ["open 0 0", "close 9 8"]);
});

const everything = [
  "source.ip",
  "source.labels[*]",
  "request.headers[*]",
  "response.trailers[*]",
  "context.metadata[*]",
].concat(
  ["request.path", "response.duration", "response.time", "connection.mtls", "check.decision_id", "upstream.duration"],
  ["connection.event", "context.tags[*]", "context.time", "context.proxy_error_code", "response.code", "request.size"],
);

/** The fields of a message, each as it stands in the bytes. */
function fields(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const start = at;
    const type = readVarint() & 7;
    if (type === 2) {
      const length = readVarint();
      at += length;
    } else if (type === 0) readVarint();
    else at += type === 1 ? 8 : 4;
    found.push(bytes.subarray(start, at));
  }
  return found;
}

test("fields may come in any order, with unknown ones in between", (t) => {
  const good = { http: Buffer.from(httpEntry(fullHttp)), tcp: Buffer.from(tcpEntry(fullTcp)) };
  const unknowns = [varint((1000 << 3) | 0), varint(7)];
  for (const kind of ["http", "tcp"] as const) {
    const record = (entry: Uint8Array) => {
      const { incoming, records } = open(everything);
      incoming.message(message({ [kind]: [entry] }, identifier));
      return records;
    };
    const expected = record(good[kind]);
    t.true(expected.length > 0);
    const parts = fields(good[kind]);
    const [first, ...others] = parts;
    const length = first![1]! < 128 ? 2 : 3;
    const inner = fields(first!.subarray(length));
    fc.assert(
      fc.property(
        fc.shuffledSubarray(inner, { minLength: inner.length }),
        fc.shuffledSubarray(others, { minLength: others.length }),
        (shuffled, rest) => {
          // Entries of one map keep their order: the last of a key counts, and maps are shown in order.
          const ordered = inner.filter((field) => isMap(field));
          const mixed = shuffled.map((field) => (isMap(field) ? ordered.shift()! : field));
          const entry = Buffer.concat([...rest, ...unknowns, delimited(1, ...mixed, ...unknowns)]);
          t.deepEqual(record(entry), expected);
        },
      ),
      { numRuns: fuzzRuns(50) },
    );
  }
});

/** Whether a field of AccessLogCommon is an entry of its map of tags or of filter state. */
function isMap(field: Buffer): boolean {
  return field[0] === 0xb2 || field[0] === 0xaa;
}

test("no bytes make the door throw, and it reads good ones afterwards", (t) => {
  const good = message({ http: [httpEntry(fullHttp)], tcp: [tcpEntry(fullTcp)] }, identifier);
  const { incoming, records } = open(everything);
  fc.assert(
    fc.property(hostileBytes(good), (bytes) => {
      incoming.message(bytes);
      const before = records.length;
      incoming.message(message({ http: [get("/good")] }));
      t.is(records.length, before + 1);
      t.is(records.at(-1)!["request.path"], "/good");
    }),
    { numRuns: fuzzRuns(2000) },
  );
});

test("structures that nest without end are refused, and cost only their entry", (t) => {
  let value: Uint8Array = delimited(3, Buffer.from("x"));
  for (let depth = 0; depth < 5000; depth++) value = delimited(5, delimited(1, delimited(2, value)));
  const metadata = delimited(
    17,
    delimited(1, delimited(1, Buffer.from("f")), delimited(2, delimited(1, delimited(2, value)))),
  );
  const { incoming, records, observer } = open(everything);
  incoming.message(message({ http: [delimited(1, metadata), get("/a")] }));
  t.deepEqual(paths(records), ["/a"]);
  t.deepEqual(dropped(observer.drops), ["record malformed 1"]);
});

test("an entry with 100,000 headers and tags is read once through", (t) => {
  const pair = delimited(13, delimited(1, Buffer.from("h")), delimited(2, Buffer.from("v")));
  const tag = delimited(22, delimited(1, Buffer.from("request.path")), delimited(2, Buffer.from("/t")));
  const entry = Buffer.concat([
    delimited(1, ...Array<Uint8Array>(100_000).fill(tag)),
    delimited(3, ...Array<Uint8Array>(100_000).fill(pair)),
  ]);
  const { incoming, records } = open(["request.headers[h]", "request.path"]);
  incoming.message(message({ http: [entry] }));
  t.deepEqual(records, [{ "request.headers": "", "request.headers[h]": "v", "request.path": "/t" }]);
});
