import test from "ava";
import fc from "fast-check";
import type { HoldAnswer, HoldAsked } from "../../../src/runtime/limits/holds.ts";
import { WeirError } from "../../../src/util/weir-error.ts";
import type { Call } from "../../../src/wire/call.ts";
import { CheckRequest, CheckResponse } from "../../../src/wire/gen/weir/v1/weir.ts";
import { createStreamDoor } from "../../../src/wire/stream/stream-door.ts";
import { allowed, contents, fakeHub } from "../grpc/fake-session.ts";
import { controlled, recordingLog, recordingObserver } from "../grpc/harness.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { hostileBytes } from "../hostile-bytes.ts";

const id = "0123456789abcdef".repeat(2);
const call: Call = { peer: "10.1.2.3", signal: new AbortController().signal, header: () => undefined };

type Hold = (asked: HoldAsked) => Promise<readonly HoldAnswer[]>;

/** A stream at the door over a hub that holds what the test says. */
function open(hold: Hold, limits: { checksAtWork?: number } = {}) {
  const asked: HoldAsked[] = [];
  const checked: Record<string, unknown>[] = [];
  const hub = fakeHub({
    hold: (wanted) => (asked.push(wanted), hold(wanted)),
    check: (bag) => (checked.push(contents(bag)), allowed()),
  });
  const observer = recordingObserver();
  const log = recordingLog();
  const sent: CheckResponse[] = [];
  const ends = { count: 0 };
  const out = {
    send: (message: Uint8Array) => (sent.push(CheckResponse.decode(message)), true),
    whenRead: () => false,
    end: () => void ends.count++,
  };
  const door = createStreamDoor({ open: hub.open, observer, log, limits });
  const incoming = door.duplex.get("/weir.v1.Weir/Check")!(out, call);
  return { hub, asked, checked, observer, log, sent, ends, incoming };
}

const message = (index: number, fields: object): Uint8Array =>
  CheckRequest.encode(CheckRequest.fromPartial({ index: BigInt(index), ...fields } as object)).finish();

/** What is done once promises that are kept have been told. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const one: HoldAnswer = { rule: "p/r", units: 1.5 };

test("each change reaches the hub, and its answer has the index of its message", async (t) => {
  const { asked, checked, sent, incoming, hub } = open(({ kind }) =>
    Promise.resolve(kind === "renew" ? [{ ...one, forMs: 90_250 }] : [one, { rule: "p/s", units: 2 }]),
  );
  incoming.message(message(7, { release: { id } }));
  incoming.message(message(8, { renew: { id, ttl: { seconds: 90n, nanos: 250_000_000 } } }));
  incoming.message(message(9, { renew: { id } }));
  incoming.message(message(10, { refund: { id, limit: "p/r", amount: 7n } }));
  incoming.message(message(0, { refund: { id } }));
  await settled();
  t.deepEqual(asked, [
    { kind: "release", id },
    { kind: "renew", id, forMs: 90_250 },
    { kind: "renew", id },
    { kind: "refund", id, rule: "p/r", amount: 7 },
    { kind: "refund", id },
  ]);
  t.deepEqual(
    sent.map(({ index }) => index),
    [7n, 8n, 9n, 10n, 0n],
  );
  t.deepEqual(sent[0]!.held!.limits, [
    { rule: "p/r", units: 1.5, validFor: undefined },
    { rule: "p/s", units: 2, validFor: undefined },
  ]);
  t.deepEqual(sent[1]!.held!.limits[0]!.validFor, { seconds: 90n, nanos: 250_000_000 });
  t.true(sent.every(({ decision, error }) => decision === undefined && error === undefined));
  t.deepEqual(checked, []);
  t.is(hub.live, 0);
});

test("a change holds up no check behind it, and takes its place among those at work", async (t) => {
  const answer = controlled<readonly HoldAnswer[]>();
  const { sent, incoming, ends } = open(() => answer.promise, { checksAtWork: 2 });
  t.is(incoming.message(message(1, { release: { id } })), undefined);
  incoming.message(message(2, {}));
  t.deepEqual(
    sent.map(({ index }) => index),
    [2n],
  );
  const held = incoming.message(message(3, { release: { id } }));
  t.true(held instanceof Promise);
  incoming.end();
  t.is(ends.count, 0);
  answer.resolve([one]);
  await held;
  await settled();
  t.deepEqual(
    sent.map(({ index }) => index),
    [2n, 1n, 3n],
  );
  t.is(ends.count, 1);
});

test("what is not held any more, and a store that does not answer, are errors of that message alone", async (t) => {
  const failed = new WeirError("WEIR_ADAPTER_FAILED", "redis did not answer");
  const { sent, incoming, observer, log, hub } = open(({ kind }) => {
    return kind === "release" ? Promise.resolve([]) : Promise.reject(kind === "renew" ? failed : new Error("secret"));
  });
  incoming.message(message(1, { release: { id } }));
  incoming.message(message(2, { renew: { id } }));
  incoming.message(message(3, { refund: { id } }));
  await settled();
  t.like(sent[0]!.error, { code: "WEIR_NOT_HELD", retry: false });
  t.like(sent[1]!.error, { code: "WEIR_ADAPTER_FAILED", retry: true });
  t.like(sent[2]!.error, { code: "WEIR_INTERNAL", message: "the hub failed" });
  t.is(log.lines.length, 1);
  t.deepEqual(observer.drops, [], "a message that was read is not counted as broken");
  t.is(hub.live, 0);
});

const path = { dictionary: { first: 0, words: ["/a"] } };

for (const [title, wrong] of [
  ["no id", { release: {} }],
  ["an id that is none", { release: { id: "x".repeat(1000) } }],
  ["an id in upper case", { release: { id: id.toUpperCase() } }],
  ["a ttl of nothing", { renew: { id, ttl: {} } }],
  ["a ttl below 0", { renew: { id, ttl: { seconds: -(2n ** 63n) } } }],
  ["an amount below 0", { refund: { id, amount: -1n } }],
  ["a name that is none", { refund: { id, limit: "r".repeat(301) } }],
  ["attributes too", { release: { id }, attributes: {} }],
  ["quotas too", { release: { id }, quotas: new Map([["q", { amount: 1n }]]) }],
  ["a deduplication id too", { release: { id }, deduplicationId: "d" }],
  ["another change too", { release: { id }, renew: { id } }],
] as [string, object][])
  test(`a change with ${title} is broken: nothing is judged or changed, and the stream goes on`, async (t) => {
    const { asked, checked, sent, incoming, observer, hub } = open(() => Promise.resolve([one]));
    // The words of a message come before what is wrong with it, or behind.
    incoming.message(Buffer.concat([message(1, wrong), message(0, path)]));
    incoming.message(message(2, { dictionary: { first: 1, words: ["/b"] }, release: { id } }));
    await settled();
    t.like(sent[0], { index: 1n, error: { code: "WEIR_REQUEST_MALFORMED" } });
    t.is(sent[1]!.held!.limits.length, 1);
    t.deepEqual([asked.length, checked.length, hub.live], [1, 0, 0]);
    t.deepEqual(observer.drops, ["check broken 1"]);
  });

test("the same change twice in one message is broken", (t) => {
  const { asked, sent, incoming } = open(() => Promise.resolve([one]));
  incoming.message(Buffer.concat([message(1, { release: { id } }), message(1, { release: { id } })]));
  t.is(sent[0]!.error!.code, "WEIR_REQUEST_MALFORMED");
  t.deepEqual(asked, []);
});

test("amounts and times beyond all bounds are finite numbers", async (t) => {
  const { asked, incoming } = open(() => Promise.resolve([one]));
  incoming.message(message(1, { refund: { id, amount: 2n ** 63n - 1n } }));
  incoming.message(message(2, { renew: { id, ttl: { seconds: 2n ** 63n - 1n, nanos: 2 ** 31 - 1 } } }));
  await settled();
  const [refund, renew] = asked as [HoldAsked & { kind: "refund" }, HoldAsked & { kind: "renew" }];
  t.true(Number.isFinite(refund.amount) && Number.isFinite(renew.forMs));
});

test("words that come with a change are kept for the checks behind it", async (t) => {
  const { checked, sent, incoming } = open(() => Promise.resolve([one]));
  incoming.message(message(1, { ...path, release: { id } }));
  incoming.message(message(2, { attributes: { strings: new Map([[17, -1]]) } }));
  await settled();
  t.deepEqual(checked, [{ "request.path": "/a" }]);
  t.true(sent.every(({ error }) => error === undefined));
});

test("whatever comes, every message has one answer, and the door lives", async (t) => {
  const { sent, incoming, hub, log } = open(() => Promise.resolve([one]));
  const good = message(3, { ...path, refund: { id, limit: "p/r", amount: 7n } });
  await fc.assert(
    fc.asyncProperty(hostileBytes(Buffer.from(good)), async (bytes) => {
      sent.length = 0;
      incoming.message(bytes);
      await settled();
      return sent.length === 1 && hub.live === 0;
    }),
    { numRuns: fuzzRuns(2000) },
  );
  t.deepEqual(log.lines, []);
});
