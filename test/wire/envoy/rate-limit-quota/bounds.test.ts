import test from "ava";
import type { Client } from "../../../../src/wire/client.ts";
import { doorTo } from "./door.ts";

const all = `
policy: p
check:
  - { name: all, limit: 320/s, burst: 100, at: ratelimit }
`;
const id = { service: "web" };
const ids = (count: number, name = "web") =>
  Array.from({ length: count }, (_, i) => ({ id: { service: `${name}${i}` } }));

test("no client has more than its part of the buckets, on however many connections; others go on", async (t) => {
  const bounds = { buckets: 10, perClient: 4 };
  const { connect, clock, observer, apportioner } = await doorTo(all, [], { bounds });
  const [one, same, other] = [connect(), connect(), connect(undefined, "10.0.0.10")];
  one.report(ids(3));
  same.report(ids(3, "api"));
  t.is(one.take().length, 3);
  t.is(same.take().length, 1, "the fourth of the address");
  t.deepEqual(observer.drops, ["quota_bucket client 1", "quota_bucket client 1"]);
  other.report(ids(4));
  t.is(other.take().length, 4);

  // What is left is given to others again, and to the client itself.
  one.incoming.gone();
  await clock.advance(600);
  same.take();
  same.report([{ id: { service: "new" } }]);
  t.is(same.take().length, 1);
  t.is(apportioner.buckets, 6);
  const third = connect(undefined, "10.0.0.11");
  third.report(ids(4));
  const fourth = connect(undefined, "10.0.0.12");
  fourth.report(ids(1));
  t.deepEqual(fourth.take(), []);
  t.is(observer.drops.at(-1), "quota_bucket full 1");
});

test("clients that a listener names are told apart by their names, not by their addresses", async (t) => {
  const { connect, observer } = await doorTo(all, [], { bounds: { buckets: 10, perClient: 2 } });
  const named = (name: string): Client =>
    ({ name, maySpeakFor: () => true, maySet: () => true, refused: () => undefined }) as Client;
  const proxies = [
    connect(named("web"), "10.0.0.1"),
    connect(named("web"), "10.0.0.2"),
    connect(named("api"), "10.0.0.1"),
  ];
  for (const proxy of proxies) proxy.report(ids(2));
  t.deepEqual(
    proxies.map((proxy) => proxy.take().length),
    [2, 0, 2],
  );
  t.deepEqual(observer.drops, ["quota_bucket client 1", "quota_bucket client 1"]);
});

test("no client takes the room for counts by buckets with many limits", async (t) => {
  const rules = Array.from(
    { length: 10 },
    (_, i) => `{ name: l${i}, limit: ${i + 1}/s, at: ratelimit, by: 'ratelimit.descriptor["service"]' }`,
  );
  const policy = `policy: p\ncheck:\n${rules.map((rule) => `  - ${rule}\n`).join("")}`;
  // Of 100 counts a quarter: buckets are let in until so many are reached.
  const { connect, observer, apportioner } = await doorTo(policy, [], {
    bounds: { buckets: 400, perClient: 100 },
    maxCounts: 100,
  });
  const [one, other] = [connect(), connect(undefined, "10.0.0.10")];
  one.report(ids(10));
  t.is(one.take().length, 3);
  t.is(apportioner.counts, 30);
  t.deepEqual(observer.drops, Array(7).fill("quota_bucket client 1"));
  other.report(ids(3, "api"));
  t.is(other.take().length, 3);
});

test("a hub that has just started assigns nothing while others' assignments may be out, then all of the limit", async (t) => {
  const { connect, clock, log } = await doorTo(all, [], { holdsBack: true });
  const proxy = connect();
  proxy.report([{ id, allowed: 20, denied: 3 }]);
  t.deepEqual(proxy.take(), []);
  await clock.advance(10_900);
  t.deepEqual(proxy.take(), []);
  t.is(log.lines.length, 1, "and says so, once");
  await clock.advance(600);
  t.regex(proxy.take()[0]!, /^service=web \d+\+310\/1s$/);
  const late = connect();
  late.report([{ id: { service: "api" } }]);
  t.is(late.take().length, 1, "from then on at once");
});

test("what has no limit or cannot be kept is answered at once by a hub that has just started", async (t) => {
  const { connect } = await doorTo(
    `
policy: p
match: ratelimit.descriptor["service"] == "busy"
check: [{ name: l, limit: 3, algorithm: concurrency, at: ratelimit }]`,
    [],
    { holdsBack: true },
  );
  const proxy = connect();
  proxy.report([{ id }, { id: { service: "busy" } }]);
  t.deepEqual(proxy.take(), ["service=web allow", "service=busy deny"]);
});

const observing = `
policy: trial
mode: observe
check:
  - { name: strict, limit: 32/s, burst: 32, at: ratelimit }
`;

/** Reports a rate for some time, five seconds each. */
async function load(
  { clock }: Awaited<ReturnType<typeof doorTo>>,
  proxies: readonly (readonly [{ report(usages: readonly { id: typeof id; allowed: number }[]): void }, number])[],
  reports: number,
): Promise<void> {
  for (let i = 0; i < reports; i++) {
    await clock.advance(5000);
    for (const [proxy, rate] of proxies) proxy.report([{ id, allowed: rate * 5 }]);
  }
}

function sums(uses: readonly string[], rule: string): { allowed: number; denied: number } {
  const own = uses.map((use) => use.split(" ")).filter(([name]) => name === rule);
  const sum = (at: number): number => own.reduce((all, parts) => all + Number(parts[at]), 0);
  return { allowed: sum(1), denied: sum(2) };
}

test("a limit that observes is divided on a count of its own: what it would refuse is counted, nothing is refused", async (t) => {
  const world = await doorTo([all, observing].join("\n---\n"));
  const { connect, observer } = world;
  const proxy = connect();
  proxy.report([{ id }]);
  await load(world, [[proxy, 100]], 12);
  const told = proxy.take();
  t.true(
    told.every((line) => /\d+\+310\/1s$/.test(line)),
    "the proxy hears of the enforced limit alone",
  );
  const enforced = sums(observer.uses, "p/all");
  t.deepEqual(enforced, { allowed: 6000, denied: 0 });
  const observed = sums(observer.uses, "trial/strict");
  t.is(observed.allowed + observed.denied, 6000);
  t.true(
    observed.allowed <= 32 + 32 * 60 && observed.allowed >= 0.8 * 32 * 60,
    `${observed.allowed} would have passed`,
  );
});

test("a limit that observes refuses nobody who keeps to it, also when two proxies share it", async (t) => {
  const world = await doorTo(observing);
  const [one, two] = [world.connect(), world.connect()];
  for (const proxy of [one, two]) proxy.report([{ id }]);
  await load(
    world,
    [
      [one, 10],
      [two, 15],
    ],
    12,
  );
  t.deepEqual([...new Set([...one.take(), ...two.take()])], ["service=web allow"]);
  const { allowed, denied } = sums(world.observer.uses, "trial/strict");
  t.is(allowed + denied, 1500);
  t.true(denied <= 0.05 * 1500, `${denied} would have been refused`);
});

test("policies that begin to observe, and stop it, are followed by buckets that there are", async (t) => {
  const world = await doorTo(all);
  const { connect, clock, observer, apportioner, reload } = world;
  const proxy = connect();
  proxy.report([{ id }]);
  await reload([all, observing].join("\n---\n"));
  await clock.advance(600);
  await load(world, [[proxy, 10]], 4);
  t.true(sums(observer.uses, "trial/strict").allowed > 0);
  t.is(apportioner.counts, 2);
  await reload(all);
  await clock.advance(20_000);
  observer.uses.length = 0;
  proxy.report([{ id, allowed: 10 }]);
  t.deepEqual(observer.uses, ["p/all 10 0"]);
  t.is(apportioner.counts, 1);
  proxy.incoming.gone();
  t.is(apportioner.buckets, 0);
});

test("there are no more parts in limits that observe than buckets", async (t) => {
  const { connect, observer } = await doorTo(
    `policy: trial
mode: observe
check: [{ name: a, limit: 1/s, at: ratelimit }, { name: b, limit: 1/s, at: ratelimit }]`,
    [],
    { bounds: { buckets: 8, perClient: 3 } },
  );
  const proxy = connect();
  proxy.report(ids(3));
  t.is(proxy.take().length, 3, "the buckets themselves are answered");
  t.deepEqual(observer.drops, Array(3).fill("quota_bucket client 1"));
});
