import test from "ava";
import fc from "fast-check";
import { growthOf, OngoingRules, type Told } from "../../../../src/telemetry/rules/growth.ts";
import { AccessLogType } from "../../../../src/wire/gen/envoy/data/accesslog/v3/accesslog.ts";
import { fuzzRuns } from "../../../fuzz-runs.ts";
import { open } from "./door.ts";
import { common, httpEntry, identifier, message, socketAddress } from "./entries.ts";

const { DownstreamStart, DownstreamPeriodic, DownstreamEnd, DownstreamTunnelSuccessfullyEstablished } = AccessLogType;

/** An entry of the request of `common`, with what its response had come to. */
const entry = (accessLogType: AccessLogType, size: number, changes = {}): Uint8Array =>
  httpEntry({
    commonProperties: { ...common, accessLogType, ...changes },
    response: { responseBodyBytes: BigInt(size) },
  });

/** A counter of bytes that grows while requests are under way, with the arithmetic that rules have. */
function counter() {
  const rules = new OngoingRules({
    reports: [{ kind: "metric", id: "p/bytes", ongoing: true }] as never,
  });
  let sum = 0;
  return {
    total: () => sum,
    take: ({ "response.size": size }: Record<string, string>, told: Told | undefined) => {
      sum += told === undefined ? Number(size) : growthOf(rules.sumsOf(told), 0, Number(size));
    },
  };
}

/** Opens a stream before rules that ask for requests under way. */
function opened() {
  const bytes = counter();
  const found = open(["response.size"], { ongoing: bytes.take });
  return { ...found, total: bytes.total, sizes: () => found.ongoing.map(({ record }) => record["response.size"]) };
}

test("a request grows while it is under way, is one record, and ends at its total", (t) => {
  const { incoming, another, records, total, sizes } = opened();
  incoming.message(message({ http: [entry(DownstreamStart, 0)] }, identifier));
  t.deepEqual(sizes(), [], "the first entry tells nothing");
  incoming.message(message({ http: [entry(DownstreamPeriodic, 100)] }));
  t.is(total(), 100);
  incoming.message(message({ http: [entry(DownstreamTunnelSuccessfullyEstablished, 120)] }));
  // Another stream of the same log.
  another().message(message({ http: [entry(DownstreamPeriodic, 150)] }, identifier));
  t.is(total(), 150);
  t.deepEqual(records, []);
  incoming.message(message({ http: [entry(DownstreamEnd, 180)] }));
  t.deepEqual(sizes(), ["100", "120", "150"]);
  t.deepEqual(records, [{ "response.size": "180" }]);
  t.is(total(), 180);
});

test("requests are told apart that bear the same x-request-id", (t) => {
  const { incoming, total } = opened();
  const other = { startTime: { seconds: 1_800_000_001n, nanos: 0 } };
  const another = { downstreamDirectRemoteAddress: socketAddress("10.0.0.4", 51_235) };
  incoming.message(message({ http: [entry(DownstreamPeriodic, 100)] }, identifier));
  incoming.message(message({ http: [entry(DownstreamPeriodic, 10, other), entry(DownstreamPeriodic, 1, another)] }));
  t.is(total(), 111);
  incoming.message(message({ http: [entry(DownstreamEnd, 5, { ...other, streamId: "" })] }));
  t.is(total(), 116);
});

test("requests of two logs of one proxy are two, as their records are", (t) => {
  const { incoming, another, total } = opened();
  const second = another();
  for (const [stream, logName] of [
    [incoming, "a"],
    [second, "b"],
  ] as const)
    stream.message(message({ http: [entry(DownstreamPeriodic, 100)] }, { ...identifier, logName }));
  t.is(total(), 200);
});

test("an entry that the end has overtaken adds nothing", (t) => {
  const { incoming, total, sizes, records } = opened();
  incoming.message(message({ http: [entry(DownstreamStart, 0), entry(DownstreamEnd, 9)] }, identifier));
  for (const type of [DownstreamStart, DownstreamPeriodic]) incoming.message(message({ http: [entry(type, 9)] }));
  t.deepEqual(sizes(), []);
  t.is(records.length, 1);
  t.is(total(), 9);
});

test("requests that nothing tells apart are each counted when they end, also while another log tells of some under way", (t) => {
  const { incoming, another, records, total } = opened();
  incoming.message(message({ http: [entry(DownstreamPeriodic, 100)] }, identifier));
  const bare = httpEntry({ response: { responseBodyBytes: 5n } });
  another().message(message({ http: [bare, bare, bare] }, { ...identifier, logName: "bare" }));
  t.is(records.length, 3);
  t.is(total(), 115);
});

test("of a request that is older than its log here, or than the hub, it is not known what is new, until the next", (t) => {
  const { incoming, total, ongoing } = opened();
  const old = { startTime: { seconds: 1n, nanos: 0 } };
  incoming.message(message({ http: [entry(DownstreamPeriodic, 100, old)] }, identifier));
  t.true(Number.isNaN(ongoing[0]!.before));
  t.is(total(), 0);
  incoming.message(message({ http: [entry(DownstreamEnd, 120, old)] }));
  t.is(total(), 20);
  // An end of this log may be of a request that was told of elsewhere.
  incoming.message(message({ http: [entry(DownstreamEnd, 50, { ...old, streamId: "b" })] }));
  t.is(total(), 20);
});

test("a stream that opens again after its requests began tells what is new of those that are remembered", async (t) => {
  const { incoming, another, total, clock } = opened();
  incoming.message(message({ http: [entry(DownstreamStart, 0)] }, identifier));
  incoming.end();
  // The stream is younger than the request now.
  await clock.advance(4e12);
  const next = another();
  next.message(message({ http: [entry(DownstreamPeriodic, 100)] }, identifier));
  t.is(total(), 100);
  next.message(message({ http: [entry(DownstreamPeriodic, 70, { streamId: "moved" })] }, identifier));
  next.message(message({ http: [entry(DownstreamPeriodic, 90, { streamId: "moved" })] }, identifier));
  t.is(total(), 120);
});

test("a log that tells of ends only is taken at its word, however old the request is", (t) => {
  const { incoming, total } = opened();
  const old = { startTime: { seconds: 1n, nanos: 0 } };
  incoming.message(message({ http: [entry(DownstreamEnd, 50, old)] }, identifier));
  t.is(total(), 50);
});

test("where no rule asks for requests under way, their entries are not looked at", (t) => {
  const { incoming, records, observer } = open(["response.size"]);
  const broken = { ...common, accessLogType: DownstreamPeriodic, downstreamDirectRemoteAddress: undefined };
  incoming.message(message({ http: [httpEntry({ commonProperties: broken })] }, identifier));
  t.deepEqual(records, []);
  t.deepEqual(
    observer.drops.filter((line) => !line.endsWith(" 0")),
    [],
  );
});

test("an end that finds a queue full is tried again, and adds what is new once", async (t) => {
  const bytes = counter();
  let room = 0;
  const { incoming, clock } = open(["response.size"], {
    ongoing: bytes.take,
    outcome: () => (room-- > 0 ? "taken" : "full"),
  });
  const held = incoming.message(message({ http: [entry(DownstreamPeriodic, 5), entry(DownstreamEnd, 9)] }, identifier));
  t.is(bytes.total(), 5);
  room = 1;
  await clock.advance(200);
  await held;
  t.is(bytes.total(), 9);
});

/** The entries that a proxy writes of one request, each with its size; the last is the end. */
const life = fc
  .tuple(fc.boolean(), fc.array(fc.nat(1000), { maxLength: 6 }), fc.nat(1000))
  .map(([hasStart, growths, last]) => {
    let size = 0;
    const parts = growths.map((growth) => ({ type: DownstreamPeriodic, size: (size += growth) }));
    const start = hasStart ? [{ type: DownstreamStart, size: 0 }] : [];
    return [...start, ...parts, { type: DownstreamEnd, size: size + last }];
  });

test("entries that are lost, told twice, or overtaken by others, of several requests at once, sum up to their ends", (t) => {
  fc.assert(
    fc.property(
      fc.array(life, { minLength: 1, maxLength: 4 }),
      fc.array(fc.record({ drop: fc.boolean(), twice: fc.boolean(), at: fc.nat(1000) }), {
        minLength: 32,
        maxLength: 32,
      }),
      fc.array(fc.nat(3), { minLength: 8, maxLength: 8 }),
      (lives, fates, streams) => {
        const { incoming, another, records, total } = opened();
        const logs = [incoming, another(), another(), another()];
        // The log is known to tell of requests under way.
        for (const log of logs)
          log.message(message({ http: [entry(DownstreamStart, 0, { streamId: "lasts" })] }, identifier));
        let fate = 0;
        const written = lives
          .flatMap((entries, request) =>
            entries.flatMap(({ type, size }) => {
              const { drop, twice, at } = fates[fate++ % fates.length]!;
              const isEnd = type === DownstreamEnd;
              if (drop && !isEnd) return [];
              const one = { at: at + (isEnd ? 500 : 0), bytes: entry(type, size, { streamId: `request-${request}` }) };
              return twice && !isEnd ? [one, { ...one, at: at / 2 }] : [one];
            }),
          )
          .sort((a, b) => a.at - b.at);
        for (const [i, { bytes }] of written.entries())
          logs[streams[i % streams.length]!]!.message(message({ http: [bytes] }));
        t.is(records.length, lives.length);
        t.is(
          total(),
          lives.reduce((sum, entries) => sum + entries.at(-1)!.size, 0),
        );
      },
    ),
    { numRuns: fuzzRuns(300) },
  );
});
