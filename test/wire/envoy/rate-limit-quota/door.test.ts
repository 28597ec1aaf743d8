import test from "ava";
import fc from "fast-check";
import { WeirError } from "../../../../src/util/weir-error.ts";
import type { Client } from "../../../../src/wire/client.ts";
import { RateLimitQuotaUsageReports } from "../../../../src/wire/gen/envoy/service/rate_limit_quota/v3/rlqs.ts";
import { fuzzRuns } from "../../../fuzz-runs.ts";
import { hostileBytes } from "../../hostile-bytes.ts";
import { doorTo } from "./door.ts";

const all = `
policy: p
match: ratelimit.domain == "edge"
check:
  - { name: all, limit: 320/s, burst: 100, at: ratelimit }
`;

const id = { service: "web" };

test("the first report of a bucket is answered by its share at once", async (t) => {
  const { connect, sessions } = await doorTo(all);
  const proxy = connect();
  proxy.report([{ id, allowed: 1 }]);
  // Of the burst a quarter is held back, of the rate a part; the request that passed is paid.
  t.deepEqual(proxy.take(), ["service=web 49+310/1s"]);
  t.is(sessions(), 0);
});

test("a bucket without a limit may let all pass, one that only observes too", async (t) => {
  const { connect } = await doorTo(
    [
      all.replace('"edge"', '"other"'),
      "policy: o\nmode: observe\ncheck: [{ name: l, limit: 1/s, at: ratelimit }]",
    ].join("\n---\n"),
  );
  const proxy = connect();
  proxy.report([{ id }]);
  t.deepEqual(proxy.take(), ["service=web allow"]);
});

test("of several limits the tightest holds", async (t) => {
  const { connect } = await doorTo(`
policy: p
check:
  - { name: wide, limit: 3200/s, at: ratelimit }
  - { name: web, limit: 32/s, burst: 8, at: ratelimit, when: 'ratelimit.descriptor["service"] == "web"' }
`);
  const proxy = connect();
  proxy.report([{ id }, { id: { service: "api" } }]);
  t.deepEqual(proxy.take(), ["service=web 4+124/4s", "service=api 1200+1550/1s"]);
});

test("a limit whose cost cannot be said denies, one whose cost is above one lets fewer pass", async (t) => {
  const { connect } = await doorTo(`
policy: p
check:
  - { name: l, limit: 320/s, burst: 100, at: ratelimit, cost: 'int(ratelimit.descriptor["cost"])' }
`);
  const proxy = connect();
  proxy.report([{ id: { cost: "10" } }, { id: { cost: "dear" } }, { id: { cost: "0" } }]);
  t.deepEqual(proxy.take(), ["cost=10 5+124/4s", "cost=dear deny", "cost=0 allow"]);
});

test("an assignment is sent again before it runs out, and to a proxy that reports no more it is not", async (t) => {
  const { connect, clock } = await doorTo(all);
  const proxy = connect();
  proxy.report([{ id }]);
  const [first] = proxy.take();
  await clock.advance(4900);
  t.deepEqual(proxy.take(), []);
  await clock.advance(600);
  t.deepEqual(proxy.take(), [first]);
  await clock.advance(60_000);
  t.deepEqual([...new Set(proxy.take())], [first]);
  await clock.advance(60_000);
  t.deepEqual(proxy.take(), []);
});

test("a second proxy gets its part when the first has read that it has less", async (t) => {
  const { connect, clock } = await doorTo(all);
  const [one, two] = [connect(), connect()];
  one.report([{ id }]);
  one.take();
  await clock.advance(5000);
  one.report([{ id, allowed: 1500, denied: 5000 }]);
  one.reads = false;
  two.report([{ id }]);
  t.deepEqual(two.take(), ["service=web 25+100/20s"], "what is held back of the rate");
  await clock.advance(600);
  t.regex(one.take().at(-1)!, /^service=web \d+\+155\/1s$/);
  await clock.advance(3000);
  t.deepEqual(two.take(), [], "the first may not have read it");
  one.read();
  await clock.advance(600);
  t.regex(two.take().at(-1)!, /^service=web \d+\+1[56]\d\/1s$/);
});

test("a share goes back when a proxy has left and what it had has run out", async (t) => {
  const { connect, clock } = await doorTo(all);
  const [one, two] = [connect(), connect()];
  one.report([{ id }]);
  await clock.advance(1000);
  two.report([{ id }]);
  for (let i = 0; i < 4; i++) {
    await clock.advance(5000);
    for (const proxy of [one, two]) proxy.report([{ id, allowed: 700, denied: 5000 }]);
  }
  t.regex(two.take().at(-1)!, /\+1[56]\d\/1s$/);
  one.incoming.gone();
  await clock.advance(3000);
  t.deepEqual(
    two.take().filter((assignment) => !/\+1[56]\d\/1s$/.test(assignment)),
    [],
    "the other may still use what it has",
  );
  await clock.advance(3000);
  two.report([{ id, allowed: 700, denied: 5000 }]);
  await clock.advance(5000);
  two.report([{ id, allowed: 700, denied: 5000 }]);
  await clock.advance(1000);
  t.regex(two.take().at(-1)!, /\+31\d\/1s$/);
});

test("a reload changes assignments, and buckets that have no limit any more may let all pass", async (t) => {
  const { connect, clock, reload } = await doorTo(all);
  const proxy = connect();
  proxy.report([{ id }]);
  proxy.take();
  await reload(all.replace("320/s", "32/s"));
  await clock.advance(600);
  const [less] = proxy.take();
  t.regex(less!, /^service=web \d+\+124\/4s$/);
  await reload(all.replace('"edge"', '"other"'));
  await clock.advance(600);
  t.deepEqual(proxy.take(), ["service=web allow"]);
  await clock.advance(12_000);
  proxy.take();
  await reload(all);
  await clock.advance(600);
  t.regex(proxy.take()[0]!, /^service=web \d+\+310\/1s$/);
});

test("a bucket without requests is abandoned, and begins anew with its next report", async (t) => {
  const { connect, clock, apportioner } = await doorTo(all);
  const proxy = connect();
  proxy.report([{ id, allowed: 1 }]);
  for (let i = 0; i < 119; i++) {
    await clock.advance(5000);
    proxy.report([{ id }]);
  }
  proxy.take();
  await clock.advance(6000);
  t.deepEqual(proxy.take(), ["service=web abandon"]);
  t.is(apportioner.buckets, 0);
  proxy.report([{ id, allowed: 1 }]);
  t.regex(proxy.take()[0]!, /^service=web \d+\+/);
});

test("nothing is sent to a proxy that does not read", async (t) => {
  const { connect, clock } = await doorTo(all);
  const proxy = connect();
  proxy.slow = true;
  proxy.report([{ id }]);
  t.is(proxy.take().length, 1);
  await clock.advance(20_000);
  t.deepEqual(proxy.take(), []);
  proxy.slow = false;
  proxy.incoming.drained();
  await clock.advance(600);
  t.regex(proxy.take()[0]!, /^service=web \d+\+310\/1s$/);
});

test("a stream that ends lets go of its buckets, and counts go when they are as if never used", async (t) => {
  const { connect, clock, apportioner } = await doorTo(all);
  const other = connect();
  other.report([{ id }], "nobody");
  const proxy = connect();
  proxy.report([{ id }]);
  t.is(apportioner.counts, 1);
  proxy.incoming.end();
  t.is(proxy.ended, 1);
  t.is(apportioner.buckets, 1);
  await clock.advance(13_000);
  t.is(apportioner.counts, 0);
  other.incoming.gone();
  await clock.advance(1000);
  t.is(clock.waiting, 0, "without streams no timer runs");
});

test("what proxies report is told by rule", async (t) => {
  const { connect, observer } = await doorTo(all);
  const uses: unknown[] = [];
  observer.quotaUse = (...use) => void uses.push(use);
  const proxy = connect();
  proxy.report([{ id, allowed: 3 }]);
  proxy.report([{ id, allowed: 5, denied: 7 }]);
  t.deepEqual(uses, [
    ["p/all", 3, 0],
    ["p/all", 5, 7],
  ]);
});

const ids: readonly { title: string; bucket: ReadonlyMap<string, string> }[] = [
  { title: "without entries", bucket: new Map() },
  { title: "with too many entries", bucket: new Map(Array.from({ length: 129 }, (_, i) => [`k${i}`, "v"])) },
  { title: "that is too long", bucket: new Map([["k", "v".repeat(5000)]]) },
];

for (const { title, bucket } of ids) {
  test(`an id ${title} is dropped and counted, and the stream goes on`, async (t) => {
    const { connect, observer } = await doorTo(all);
    const proxy = connect();
    const usage = { timeElapsed: undefined, numRequestsAllowed: 1n, numRequestsDenied: 0n };
    const bucketQuotaUsages = [{ ...usage, bucketId: { bucket: new Map(bucket) } }];
    proxy.send(RateLimitQuotaUsageReports.encode({ domain: "edge", bucketQuotaUsages }).finish());
    t.deepEqual(observer.drops, ["quota_bucket id 1"]);
    proxy.report([{ id }]);
    t.is(proxy.take().length, 1);
  });
}

test("a stream has so many buckets and no more", async (t) => {
  const { connect, observer, apportioner } = await doorTo(all);
  const proxy = connect();
  proxy.report(Array.from({ length: 2003 }, (_, i) => ({ id: { n: String(i) } })));
  t.is(apportioner.buckets, 2000);
  t.is(observer.drops.length, 3);
});

test("the order of an id's entries says nothing", async (t) => {
  const { connect, apportioner } = await doorTo(all);
  const proxy = connect();
  proxy.report([{ id: { a: "1", b: "2" } }]);
  proxy.report([{ id: { b: "2", a: "1" } }]);
  t.is(apportioner.buckets, 1);
});

test("a stream has one domain", async (t) => {
  const { connect } = await doorTo(all);
  t.throws(() => connect().report([{ id }], ""), { instanceOf: WeirError, code: "WEIR_REQUEST_DESCRIPTORS" });
  const proxy = connect();
  proxy.report([{ id }]);
  proxy.report([{ id }], "");
  t.throws(() => proxy.report([{ id }], "other"), { instanceOf: WeirError, code: "WEIR_REQUEST_DESCRIPTORS" });
});

test("a client asks for its domains and sets its attributes only", async (t) => {
  const { connect, observer } = await doorTo(`${all}  - { name: k, limit: 1/s, at: ratelimit, by: source.ip }\n`);
  const client = {
    name: "c",
    maySpeakFor: (domain: string) => domain === "edge",
    maySet: (name: string) => name !== "source.ip",
    refused: () => undefined,
  } as unknown as Client;
  t.throws(() => connect(client).report([{ id }], "other"), { code: "WEIR_NOT_PERMITTED" });
  t.throws(() => connect(client).report([{ id: { "source.ip": "10.0.0.1" } }]), { code: "WEIR_NOT_PERMITTED" });
  t.deepEqual(observer.drops, ["caller ratelimit_quota domain", "caller ratelimit_quota attribute"]);
  const proxy = connect(client);
  proxy.report([{ id }]);
  t.is(proxy.take().length, 1);
});

const good = RateLimitQuotaUsageReports.encode({
  domain: "edge",
  bucketQuotaUsages: [
    {
      bucketId: { bucket: new Map([["service", "web"]]) },
      timeElapsed: { seconds: 5n, nanos: 1 },
      numRequestsAllowed: 7n,
      numRequestsDenied: 300n,
    },
  ],
}).finish();

test("bytes that are no report end the stream with an error of the caller, and nothing else", async (t) => {
  const { connect, apportioner } = await doorTo(all);
  fc.assert(
    fc.property(hostileBytes(good), (bytes) => {
      const proxy = connect();
      try {
        proxy.send(bytes);
      } catch (error) {
        if (!(error instanceof WeirError)) throw error;
      }
      proxy.incoming.gone();
      return apportioner.buckets === 0;
    }),
    { numRuns: fuzzRuns(300) },
  );
  t.pass();
});

test("of a message with very many reports the first are read, and the others counted", async (t) => {
  const { connect, observer } = await doorTo(all);
  const proxy = connect();
  proxy.report([{ id }]);
  t.is(proxy.take().length, 1);
  const empty = Buffer.alloc(2 * 6000);
  for (let at = 0; at < empty.length; at += 2) empty[at] = 0x12;
  proxy.send(empty);
  t.deepEqual(
    observer.drops.filter((drop) => drop.startsWith("quota_bucket full")),
    ["quota_bucket full 1000"],
  );
});

test("each of the most buckets that a stream may have is answered", async (t) => {
  const { connect, clock } = await doorTo(all.replace("320/s, burst: 100", "100000/s"));
  const proxy = connect();
  const answered = new Set<string>();
  const take = (): void => {
    for (const line of proxy.take()) answered.add(line.split(" ")[0]!);
  };
  for (let i = 0; i < 2000; i += 50)
    proxy.report(Array.from({ length: 50 }, (_, j) => ({ id: { service: String(i + j) } })));
  take();
  await clock.advance(1000);
  take();
  t.is(answered.size, 2000);
});
