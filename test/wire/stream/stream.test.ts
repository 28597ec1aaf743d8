import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { Fault } from "../../../src/attributes/fault.ts";
import { Ip } from "../../../src/attributes/ip.ts";
import type { Asked, Decision } from "../../../src/runtime/decision.ts";
import { WeirError } from "../../../src/util/weir-error.ts";
import type { Call, Incoming } from "../../../src/wire/call.ts";
import {
  CheckRequest,
  CheckResponse,
  HeaderOperation_Operation,
  Reference_Condition,
  ReportRequest,
  ReportRequest_Encoding,
  ReportResponse,
  Verdict,
  type Attributes,
} from "../../../src/wire/gen/weir/v1/weir.ts";
import { globalWords } from "../../../src/wire/mixer/dictionary.ts";
import { createStreamDoor, type StreamDoorOptions } from "../../../src/wire/stream/stream-door.ts";
import { allowed, contents, fakeHub, refused, type FakeHub } from "../grpc/fake-session.ts";
import { collect, controlled, recordingLog, recordingObserver, serve, stream } from "../grpc/harness.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { hostileBytes } from "../hostile-bytes.ts";

const path = globalWords.indexOf("request.path");
const size = globalWords.indexOf("request.size");
const ip = globalWords.indexOf("source.ip");
const headers = globalWords.indexOf("request.headers");
const namespace = globalWords.indexOf("source.namespace");

const call: Call = { peer: "10.1.2.3", signal: new AbortController().signal, header: () => undefined };

interface Opened {
  readonly hub: FakeHub;
  readonly log: ReturnType<typeof recordingLog>;
  readonly observer: ReturnType<typeof recordingObserver>;
  readonly incoming: Incoming;
  readonly sent: Uint8Array[];
  /** What `send` says from now on. */
  readonly client: { reads: boolean; ended: number };
}

/** Opens a stream at the door, without a transport. */
function open(
  method: "Check" | "Report",
  behaviour: Parameters<typeof fakeHub>[0] = {},
  limits: NonNullable<StreamDoorOptions["limits"]> = {},
): Opened {
  const hub = fakeHub(behaviour);
  const observer = recordingObserver();
  const log = recordingLog();
  const door = createStreamDoor({ open: hub.open, observer, log, limits });
  const sent: Uint8Array[] = [];
  const client = { reads: true, ended: 0 };
  const out = {
    send(message: Uint8Array) {
      sent.push(message);
      return client.reads;
    },
    whenRead: () => false,
    end: () => void client.ended++,
  };
  return { hub, log, observer, sent, client, incoming: door.duplex.get(`/weir.v1.Weir/${method}`)!(out, call) };
}

type Partially<T> = { [K in keyof T]?: T[K] extends Attributes | undefined ? Partial<Attributes> : T[K] };

function check(index: number, fields: Partially<CheckRequest> = {}): Uint8Array {
  return CheckRequest.encode(CheckRequest.fromPartial({ index: BigInt(index), ...fields } as object)).finish();
}

function report(index: number, records: Partial<Attributes>[], fields: Partial<ReportRequest> = {}): Uint8Array {
  return ReportRequest.encode(
    ReportRequest.fromPartial({ index: BigInt(index), ...fields, records } as object),
  ).finish();
}

const answers = (sent: readonly Uint8Array[]) => sent.map((message) => CheckResponse.decode(message));
const reportAnswers = (sent: readonly Uint8Array[]) => sent.map((message) => ReportResponse.decode(message));
const codes = (sent: readonly Uint8Array[]) => answers(sent).map(({ error }) => error?.code);

/** A hub that remembers what it was asked. */
function remembering(): { seen: Record<string, unknown>[]; check: (bag: Parameters<typeof contents>[0]) => Decision } {
  const seen: Record<string, unknown>[] = [];
  return {
    seen,
    check(bag) {
      seen.push(contents(bag));
      return allowed();
    },
  };
}

test("a check carries attributes, quotas and deduplication id, and its caller", (t) => {
  let bag: Record<string, unknown> = {};
  let asked: Asked = {};
  const { incoming, hub } = open("Check", {
    check(given, a) {
      bag = contents(given);
      asked = a;
      return allowed();
    },
  });
  incoming.message(
    check(1, {
      dictionary: { first: 0, words: ["/x", "x-key", "k"] },
      attributes: {
        strings: new Map([[path, -1]]),
        int64s: new Map([[size, 9007199254740993n]]),
        bytes: new Map([[ip, Buffer.of(10, 0, 0, 1)]]),
        stringMaps: new Map([[headers, { entries: new Map([[-2, -3]]) }]]),
      },
      quotas: new Map([["q", { amount: 5n, bestEffort: true }]]),
      deduplicationId: "d",
    }),
  );
  t.is(bag["request.path"], "/x");
  t.is(bag["request.size"], 9007199254740993n);
  t.deepEqual(bag["source.ip"], Ip.parse("10.0.0.1"));
  t.is(bag["request.headers[x-key]"], "k");
  t.deepEqual(asked, {
    quotas: new Map([["q", { amount: 5, bestEffort: true }]]),
    dedupId: "d",
    caller: "10.1.2.3",
  });
  t.is(hub.live, 0);
});

test("an answer has everything of the decision", (t) => {
  const { incoming, sent } = open("Check", {
    check: (bag) => {
      bag.get(bag.layout.find("request.path")!);
      bag.get(bag.layout.find("source.namespace")!);
      bag.get(bag.layout.keysOf("request.headers")!.get("x-none")!);
      const reads = bag.reads();
      return refused({
        http: { status: 302, body: "go", headers: [{ name: "location", value: "/" }] },
        requestHeaders: [{ operation: "append", name: "a", value: "1" }],
        responseHeaders: [{ operation: "remove", name: "b", value: "" }],
        quotas: new Map([["q", { granted: 3, validForMs: 1500, code: 8, message: "some", reads }]]),
        limits: [
          {
            rule: "p/l",
            allowed: true,
            amount: 10,
            windowMs: 60_000,
            remaining: 7.5,
            resetMs: 200,
            retryAfterMs: 1,
            degraded: true,
          },
        ],
        validForMs: 0,
        validUses: 0,
        reads,
      });
    },
  });
  incoming.message(
    check(7, {
      dictionary: { first: 0, words: ["/x"] },
      attributes: { strings: new Map([[path, -1]]), stringMaps: new Map([[headers, { entries: new Map() }]]) },
    }),
  );
  const [answer] = answers(sent);
  const referenced = [
    { name: namespace, condition: Reference_Condition.ABSENT, key: undefined },
    { name: path, condition: Reference_Condition.PRESENT, key: undefined },
    { name: headers, condition: Reference_Condition.ABSENT, key: -1 },
  ];
  t.deepEqual(answer, {
    index: 7n,
    dictionary: { first: 0, words: ["x-none"] },
    error: undefined,
    held: undefined,
    decision: {
      verdict: Verdict.VERDICT_REFUSED,
      code: 7,
      message: "only reviews may call ratings",
      rules: ["ratings/only-reviews"],
      directResponse: { status: 302, body: "go", headers: [{ name: "location", value: "/" }] },
      requestHeaders: [{ operation: HeaderOperation_Operation.APPEND, name: "a", value: "1" }],
      responseHeaders: [{ operation: HeaderOperation_Operation.REMOVE, name: "b", value: "" }],
      quotas: new Map([
        ["q", { granted: 3n, validFor: { seconds: 1n, nanos: 500_000_000 }, code: 8, message: "some", referenced }],
      ]),
      limits: [
        {
          rule: "p/l",
          allowed: true,
          amount: 10,
          window: { seconds: 60n, nanos: 0 },
          remaining: 7.5,
          reset: { seconds: 0n, nanos: 200_000_000 },
          retryAfter: { seconds: 0n, nanos: 1_000_000 },
          degraded: true,
        },
      ],
      validFor: { seconds: 0n, nanos: 0 },
      validUses: 0,
      referenced,
      id: "0123456789abcdef0123456789abcdef",
      version: "v1",
    },
  });
});

test("a direct response that leaves status and body open has those of code and message", (t) => {
  const { incoming, sent } = open("Check", { check: () => refused({ http: { headers: [] } }) });
  incoming.message(check(1, {}));
  t.deepEqual(answers(sent)[0]?.decision?.directResponse, {
    status: 403,
    body: "only reviews may call ratings",
    headers: [],
  });
});

test("the hub sends a word once, and a map that was read whole as WHOLE", (t) => {
  const { incoming, sent } = open("Check", {
    check: (bag) => {
      bag.get(bag.layout.keysOf("request.headers")!.get("x-none")!);
      bag.getWhole(bag.layout.find("destination.labels")!);
      return allowed({ reads: bag.reads() });
    },
  });
  const labels = globalWords.indexOf("destination.labels");
  const attributes = {
    stringMaps: new Map([
      [headers, { entries: new Map() }],
      [labels, { entries: new Map() }],
    ]),
  };
  incoming.message(check(1, { attributes }));
  incoming.message(check(2, { attributes }));
  const [first, second] = answers(sent);
  t.deepEqual(first!.dictionary, { first: 0, words: ["x-none"] });
  t.is(second!.dictionary, undefined);
  t.deepEqual(second!.decision!.referenced, [
    { name: headers, condition: Reference_Condition.ABSENT, key: -1 },
    { name: labels, condition: Reference_Condition.WHOLE, key: undefined },
  ]);
});

test("the hub's dictionary begins anew before it grows without end, and stays right", (t) => {
  let n = 0;
  const { incoming, sent } = open("Check", {
    check: (bag) => {
      const labels = bag.layout.find("destination.labels")!;
      for (let i = 0; i < 50; i++) bag.getKey(labels, `key-${n++}`);
      return allowed({ reads: bag.reads() });
    },
  });
  const labels = globalWords.indexOf("destination.labels");
  for (let i = 1; i <= 100; i++) {
    incoming.message(check(i, { attributes: { stringMaps: new Map([[labels, { entries: new Map() }]]) } }));
  }
  let held: string[] = [];
  let anew = 0;
  let expected = 0;
  for (const { dictionary, decision } of answers(sent)) {
    if (dictionary !== undefined) {
      t.true(dictionary.first === 0 || dictionary.first === held.length);
      if (dictionary.first === 0) anew++;
      held = [...held.slice(0, dictionary.first), ...dictionary.words];
    }
    for (const { key } of decision!.referenced) t.is(held[-key! - 1], `key-${expected++}`);
  }
  t.is(expected, 5000);
  t.true(anew >= 2);
  t.true(held.length < 4096);
});

test("a slow check does not hold the others: answers come as they are ready", async (t) => {
  const slow = controlled<Decision>();
  const { incoming, sent, hub, client } = open("Check", {
    check: (_, { dedupId }) => (dedupId === "slow" ? slow.promise : allowed()),
  });
  incoming.message(check(1, { deduplicationId: "slow" }));
  incoming.message(check(2));
  incoming.end();
  t.deepEqual(
    answers(sent).map(({ index }) => index),
    [2n],
  );
  t.is(hub.live, 1);
  t.is(client.ended, 0, "the stream stays until everything is answered");
  slow.resolve(refused());
  await slow.promise;
  await new Promise(setImmediate);
  t.deepEqual(
    answers(sent).map(({ index }) => index),
    [2n, 1n],
  );
  t.is(client.ended, 1);
  t.is(hub.live, 0);
});

test("no further message is wanted while the most checks are at work", async (t) => {
  const waiting = [controlled<Decision>(), controlled<Decision>()];
  let n = 0;
  const { incoming } = open("Check", { check: () => waiting[n++]!.promise }, { checksAtWork: 2 });
  t.is(incoming.message(check(1)), undefined);
  const rest = incoming.message(check(2));
  t.true(rest instanceof Promise);
  waiting[1]!.resolve(allowed());
  await rest;
});

test("no further message is wanted while the client does not read its answers", async (t) => {
  const { incoming, client } = open("Check");
  client.reads = false;
  const rest = incoming.message(check(1));
  t.true(rest instanceof Promise);
  client.reads = true;
  incoming.drained();
  await rest;
  t.is(incoming.message(check(2)), undefined);
});

test("a stream that is gone lets go of what waits, and sends no late answer", async (t) => {
  const slow = controlled<Decision>();
  const { incoming, sent, hub, client } = open("Check", { check: () => slow.promise }, { checksAtWork: 1 });
  const rest = incoming.message(check(1));
  incoming.gone();
  await rest;
  slow.resolve(allowed());
  await slow.promise;
  await new Promise(setImmediate);
  t.is(sent.length, 0);
  t.is(client.ended, 0);
  t.is(hub.live, 0);
});

test("every message is judged by the policies that serve when it comes", (t) => {
  const { incoming, hub } = open("Check");
  for (let i = 1; i <= 3; i++) incoming.message(check(i));
  t.is(hub.opened, 3);
});

test("words stay valid for the stream; more are appended, or the list begins anew", (t) => {
  const { seen, check: judge } = remembering();
  const { incoming } = open("Check", { check: judge });
  const pathIs = (index: number) => ({ attributes: { strings: new Map([[path, index]]) } });
  incoming.message(check(1, { dictionary: { first: 0, words: ["/a", "/b"] }, ...pathIs(-1) }));
  incoming.message(check(2, pathIs(-2)));
  incoming.message(check(3, { dictionary: { first: 2, words: ["/c"] }, ...pathIs(-3) }));
  incoming.message(check(4, pathIs(-1)));
  incoming.message(check(5, { dictionary: { first: 0, words: ["/d"] }, ...pathIs(-1) }));
  t.deepEqual(
    seen.map((bag) => bag["request.path"]),
    ["/a", "/b", "/c", "/a", "/d"],
  );
});

test("attributes and map keys may be named by words of the stream", (t) => {
  const { seen, check: judge } = remembering();
  const { incoming } = open("Check", { check: judge });
  incoming.message(
    check(1, { dictionary: { first: 0, words: ["connection.mtls", "destination.service.name", "ratings"] } }),
  );
  incoming.message(check(2, { attributes: { bools: new Map([[-1, true]]), strings: new Map([[-2, -3]]) } }));
  t.deepEqual(seen[1], { "connection.mtls": true, "destination.service.name": "ratings" });
});

test("a word of a caller that repeats a global word hides no attribute", (t) => {
  const { seen, check: judge } = remembering();
  const { incoming } = open("Check", { check: judge });
  // A header's value is a caller's to choose, and a client may put it into its dictionary as it is.
  incoming.message(check(1, { dictionary: { first: 0, words: ["source.namespace", "reviews", "x-key"] } }));
  incoming.message(
    check(2, {
      attributes: {
        strings: new Map([[namespace, -2]]),
        stringMaps: new Map([[headers, { entries: new Map([[-3, -1]]) }]]),
      },
    }),
  );
  t.is(seen[1]!["source.namespace"], "reviews");
  t.is(seen[1]!["request.headers[x-key]"], "source.namespace");
});

test("words that do not fit fail their message, and those after it, until the list begins anew; none is misread", (t) => {
  const { seen, check: judge } = remembering();
  const { incoming, sent } = open("Check", { check: judge });
  const pathIs = (index: number) => ({ attributes: { strings: new Map([[path, index]]) } });
  incoming.message(check(1, { dictionary: { first: 0, words: ["/a"] }, ...pathIs(-1) }));
  incoming.message(check(2, { dictionary: { first: 2, words: ["/c"] }, ...pathIs(-3) }));
  incoming.message(check(3, { dictionary: { first: 3, words: ["/d"] }, ...pathIs(-4) }));
  incoming.message(check(4, pathIs(-3)));
  incoming.message(check(5, pathIs(-1)));
  incoming.message(check(6, { dictionary: { first: 0, words: ["/e"] }, ...pathIs(-1) }));
  t.deepEqual(codes(sent), [
    undefined,
    "WEIR_STREAM_DICTIONARY",
    "WEIR_STREAM_DICTIONARY",
    "WEIR_REQUEST_MALFORMED",
    undefined,
    undefined,
  ]);
  t.deepEqual(
    seen.map((bag) => bag["request.path"]),
    ["/a", "/a", "/e"],
  );
});

for (const [what, words] of Object.entries({
  "4,097 words": Array.from({ length: 4097 }, String),
  "more than 256 KiB of text": ["x".repeat(200_000), "y".repeat(70_000)],
})) {
  test(`a dictionary of ${what} is refused, at once or bit by bit`, (t) => {
    const { incoming, sent } = open("Check");
    incoming.message(check(1, { dictionary: { first: 0, words } }));
    incoming.message(check(2, { dictionary: { first: 0, words: words.slice(0, -1) } }));
    incoming.message(check(3, { dictionary: { first: words.length - 1, words: words.slice(-1) } }));
    t.deepEqual(codes(sent), ["WEIR_STREAM_DICTIONARY", undefined, "WEIR_STREAM_DICTIONARY"]);
  });
}

test("a broken message fails itself, keeps its words, and not the stream", (t) => {
  const { seen, check: judge } = remembering();
  const { incoming, sent, hub, observer } = open("Check", { check: judge });
  const dictionary = { first: 0, words: ["/a"] };
  // Attributes of 4 bytes whose entry announces more.
  const broken = Buffer.concat([check(1, { dictionary }), Buffer.from("1a0412060822", "hex")]);
  incoming.message(broken);
  incoming.message(check(2, { attributes: { strings: new Map([[path, -1]]) } }));
  t.deepEqual(
    answers(sent).map(({ index }) => index),
    [1n, 2n],
  );
  t.deepEqual(codes(sent), ["WEIR_REQUEST_MALFORMED", undefined]);
  t.is(answers(sent)[0]!.decision, undefined);
  t.deepEqual(
    seen.map((bag) => bag["request.path"]),
    ["/a"],
  );
  t.is(hub.live, 0);
  t.deepEqual(observer.drops, ["check broken 1"]);
});

test("a field that is wrong in itself fails its message, whose words are kept wherever they stand", (t) => {
  const { seen, check: judge } = remembering();
  const { incoming, sent } = open("Check", { check: judge });
  const wrong = [
    check(1, { quotas: new Map([["q", { amount: -1n, bestEffort: false }]]) }),
    check(1, { deduplicationId: "x".repeat(257) }),
    Buffer.concat([check(1, { attributes: {} }), check(1, { attributes: {} })]),
  ];
  for (const [i, bytes] of wrong.entries())
    incoming.message(Buffer.concat([bytes, check(0, { dictionary: { first: i, words: [`/${i}`] } })]));
  incoming.message(check(4, { attributes: { strings: new Map([[path, -3]]) } }));
  t.deepEqual(codes(sent), ["WEIR_REQUEST_QUOTA", "WEIR_REQUEST_MALFORMED", "WEIR_REQUEST_MALFORMED", undefined]);
  t.deepEqual(
    seen.map((bag) => bag["request.path"]),
    ["/2"],
  );
});

const malformed: Record<string, { bytes: Uint8Array; index: bigint; code?: string }> = {
  "bytes that are no message": { bytes: Buffer.from("ffffffff", "hex"), index: 0n },
  "a message cut behind its index": { bytes: Buffer.from("0805ff", "hex"), index: 5n },
  "an index without end": { bytes: Buffer.from("08ffffffffffffffffffffff", "hex"), index: 0n },
  "attributes twice": { bytes: Buffer.concat([check(5, { attributes: {} }), Buffer.from("1a00", "hex")]), index: 5n },
  "a dictionary twice": {
    bytes: Buffer.concat([check(5, { dictionary: { first: 0, words: [] } }), Buffer.from("1200", "hex")]),
    index: 5n,
  },
  "a global index that is none": { bytes: check(5, { attributes: { strings: new Map([[path, 222]]) } }), index: 5n },
  "an attribute of a global index that is none": {
    bytes: check(5, { attributes: { strings: new Map([[100_000, 1]]) } }),
    index: 5n,
  },
  "a map with an index that is none": {
    bytes: check(5, { attributes: { stringMaps: new Map([[headers, { entries: new Map([[-9, 1]]) }]]) } }),
    index: 5n,
  },
  "a negative amount": {
    bytes: check(5, { quotas: new Map([["q", { amount: -1n, bestEffort: false }]]) }),
    index: 5n,
    code: "WEIR_REQUEST_QUOTA",
  },
  "an amount beyond what is counted exactly": {
    bytes: check(5, { quotas: new Map([["q", { amount: 2n ** 60n, bestEffort: false }]]) }),
    index: 5n,
    code: "WEIR_REQUEST_QUOTA",
  },
  "more quotas than a check may name": {
    bytes: check(5, {
      quotas: new Map(Array.from({ length: 129 }, (_, i) => [`${i}`, { amount: 1n, bestEffort: false }])),
    }),
    index: 5n,
    code: "WEIR_REQUEST_QUOTA",
  },
  "a deduplication id that is none": { bytes: check(5, { deduplicationId: "x".repeat(257) }), index: 5n },
};

for (const [what, { bytes, index, code = "WEIR_REQUEST_MALFORMED" }] of Object.entries(malformed)) {
  test(`nothing is judged for ${what}`, (t) => {
    const { incoming, sent, hub } = open("Check", { check: () => t.fail() as never });
    incoming.message(bytes);
    t.deepEqual(
      answers(sent).map(({ index: given, error }) => [given, error?.code, error?.retry]),
      [[index, code, false]],
    );
    t.is(hub.live, 0);
  });
}

test("an attribute of another type than its own is a fault, not an error of the message", (t) => {
  const { seen, check: judge } = remembering();
  const { incoming } = open("Check", { check: judge });
  incoming.message(check(1, { attributes: { int64s: new Map([[path, 5n]]) } }));
  t.true(seen[0]!["request.path"] instanceof Fault);
});

test("an index uses all of 64 bits", (t) => {
  const { incoming, sent } = open("Check");
  incoming.message(CheckRequest.encode(CheckRequest.fromPartial({ index: 2n ** 64n - 1n })).finish());
  t.is(answers(sent)[0]!.index, 2n ** 64n - 1n);
});

test("a hub that fails says so, and its reason stays in the log", async (t) => {
  const secret = new Error("password is hunter2");
  for (const check_ of [
    () => Promise.reject(secret),
    () => {
      throw secret;
    },
  ]) {
    const { incoming, sent, log, hub } = open("Check", { check: check_ });
    incoming.message(check(3));
    await new Promise(setImmediate);
    t.deepEqual(answers(sent)[0]!.error, { code: "WEIR_INTERNAL", message: "the hub failed", retry: true });
    t.is((log.lines[0]!.fields as { err: unknown }).err, secret);
    t.is(hub.live, 0);
  }
});

test("report: independent records stand for themselves, delta records for what changed", (t) => {
  for (const [encoding, second] of [
    [ReportRequest_Encoding.INDEPENDENT, { "request.size": 2 }],
    [ReportRequest_Encoding.DELTA, { "request.path": "/a", "request.size": 2 }],
  ] as const) {
    const seen: Record<string, unknown>[] = [];
    const { incoming, sent, hub } = open("Report", { report: (bag) => (seen.push(contents(bag)), "taken") });
    const dictionary = { first: 0, words: ["/a"] };
    const records = [{ strings: new Map([[path, -1]]) }, { int64s: new Map([[size, 2n]]) }];
    incoming.message(report(1, records, { dictionary, encoding }));
    t.deepEqual(seen, [{ "request.path": "/a" }, second]);
    t.deepEqual(reportAnswers(sent), [ReportResponse.fromPartial({ index: 1n, taken: 2 })]);
    t.is(hub.opened, 1);
    t.is(hub.live, 0);
  }
});

test("report: nothing of one message reaches the next", (t) => {
  const seen: Record<string, unknown>[] = [];
  const { incoming } = open("Report", { report: (bag) => (seen.push(contents(bag)), "taken") });
  for (const encoding of [ReportRequest_Encoding.INDEPENDENT, ReportRequest_Encoding.DELTA]) {
    incoming.message(report(1, [{ int64s: new Map([[size, 1n]]) }], { encoding }));
    incoming.message(report(2, [{}], { encoding }));
  }
  t.deepEqual(seen, [{ "request.size": 1 }, {}, { "request.size": 1 }, {}]);
});

test("report: a broken record costs only itself, also among deltas", (t) => {
  const seen: Record<string, unknown>[] = [];
  const { incoming, sent, observer } = open("Report", { report: (bag) => (seen.push(contents(bag)), "taken") });
  const records = [
    { int64s: new Map([[size, 1n]]) },
    { int64s: new Map([[size, 9n]]), strings: new Map([[path, -5]]) },
    { strings: new Map([[path, 0]]) },
  ];
  incoming.message(report(1, records, { encoding: ReportRequest_Encoding.DELTA }));
  t.deepEqual(seen, [{ "request.size": 1 }, { "request.size": 1, "request.path": "source.ip" }]);
  const [answer] = reportAnswers(sent);
  t.like(answer, { taken: 2, notTaken: 0, broken: 1 });
  t.like(answer!.errors[0], { position: 1, error: { code: "WEIR_REQUEST_MALFORMED" } });
  t.deepEqual(observer.drops, ["record broken 1"]);
});

test("report: where a queue is full the rest is not taken, and counted", (t) => {
  let room = 2;
  const { incoming, sent, hub } = open("Report", { report: () => (room-- > 0 ? "taken" : "full") });
  const broken = { strings: new Map([[path, -5]]) };
  incoming.message(report(4, [{}, broken, {}, {}, broken, {}]));
  t.like(reportAnswers(sent)[0], { index: 4n, taken: 2, notTaken: 3, broken: 1 });
  t.is(hub.notTried, 2, "of three that were not taken, one was tried");
  t.is(hub.live, 0);
});

test("report: messages are answered as a buffer stores them, each with what became of it", async (t) => {
  const stores: { store(): void; fail(error: unknown): void }[] = [];
  const commit = () => new Promise<void>((store, fail) => stores.push({ store, fail }));
  const { incoming, sent, hub } = open("Report", { commit });
  t.is(incoming.message(report(1, [{}])), undefined, "more is read while one is being stored");
  incoming.message(report(2, [{}, {}]));
  t.deepEqual([reportAnswers(sent).length, hub.live], [0, 2]);
  stores[1]!.store();
  stores[0]!.fail(new WeirError("WEIR_REPORT_NOT_STORED", "the buffer is away"));
  await new Promise(setImmediate);
  t.like(reportAnswers(sent), [
    { index: 2n, taken: 2 },
    { index: 1n, error: { code: "WEIR_REPORT_NOT_STORED" } },
  ]);
  t.is(hub.live, 0);
});

test("report: many broken records get a short answer", (t) => {
  const { incoming, sent } = open("Report");
  incoming.message(
    report(
      1,
      Array.from({ length: 1000 }, () => ({ strings: new Map([[path, -5]]) })),
    ),
  );
  const [answer] = reportAnswers(sent);
  t.is(answer!.broken, 1000);
  t.is(answer!.errors.length, 32);
});

test("report: a broken message fails itself, and not the stream", (t) => {
  const { incoming, sent } = open("Report");
  incoming.message(Buffer.from("0805ff", "hex"));
  incoming.message(report(6, [], { encoding: 2 as ReportRequest_Encoding }));
  incoming.message(report(7, [{}]));
  t.deepEqual(
    reportAnswers(sent).map(({ index, error, taken }) => [index, error?.code, taken]),
    [
      [5n, "WEIR_REQUEST_MALFORMED", 0],
      [6n, "WEIR_REQUEST_MALFORMED", 0],
      [7n, undefined, 1],
    ],
  );
});

test("report: a client that half-closes gets its end, one that reads nothing is waited for", async (t) => {
  const { incoming, client } = open("Report");
  client.reads = false;
  const rest = incoming.message(report(1, [{}]));
  t.true(rest instanceof Promise);
  incoming.drained();
  await rest;
  incoming.end();
  t.is(client.ended, 1);
});

test("whatever comes, every message has one answer, and the door lives", (t) => {
  const good = check(1, {
    dictionary: { first: 0, words: ["/a", "x-key", "request.path"] },
    attributes: {
      strings: new Map([[path, -1]]),
      int64s: new Map([[size, 5n]]),
      bytes: new Map([[ip, Buffer.of(1, 2, 3, 4)]]),
      stringMaps: new Map([[headers, { entries: new Map([[-2, -1]]) }]]),
      durations: new Map([[29, { seconds: 1n, nanos: 5 }]]),
    },
    quotas: new Map([["q", { amount: 1n, bestEffort: true }]]),
    deduplicationId: "d",
  });
  const goodReport = report(1, [CheckRequest.decode(good).attributes!, { int64s: new Map([[size, 1n]]) }], {
    dictionary: { first: 0, words: ["/a", "x-key"] },
    encoding: 1,
  });
  const streams = {
    Check: open("Check", { check: (bag) => allowed({ reads: bag.reads() }) }),
    Report: open("Report"),
  };
  for (const [method, message, decode] of [
    ["Check", good, CheckResponse.decode],
    ["Report", goodReport, ReportResponse.decode],
  ] as const) {
    const { incoming, sent, hub, log } = streams[method];
    fc.assert(
      fc.property(hostileBytes(message), (bytes) => {
        sent.length = 0;
        incoming.message(bytes);
        if (sent.length !== 1 || hub.live !== 0) return false;
        decode(sent[0]!);
        return true;
      }),
      { numRuns: fuzzRuns(5000) },
    );
    t.deepEqual(log.lines, []);
  }
});

test("over a socket: thousands of checks on one stream, answered and ended", async (t: ExecutionContext) => {
  const hub = fakeHub({ check: (_, { dedupId }) => (dedupId === "later" ? Promise.resolve(refused()) : allowed()) });
  const outside = { observer: recordingObserver(), log: recordingLog(), now: Date.now };
  const { client } = await serve(t, [createStreamDoor({ open: hub.open, ...outside, limits: { checksAtWork: 4 } })]);
  const duplex = stream(client, "/weir.v1.Weir/Check");
  const total = 3000;
  for (let i = 1; i <= total; i++) duplex.write(check(i, i % 3 === 0 ? { deduplicationId: "later" } : {}));
  duplex.end();
  const { messages, code } = await collect(duplex);
  t.is(code, 0);
  const verdicts = new Map(answers(messages).map(({ index, decision }) => [Number(index), decision!.verdict]));
  t.is(verdicts.size, total);
  for (const [index, verdict] of verdicts) {
    if (verdict !== (index % 3 === 0 ? Verdict.VERDICT_REFUSED : Verdict.VERDICT_ALLOWED))
      t.fail(`${index}: ${verdict}`);
  }
  t.is(hub.live, 0);
});
