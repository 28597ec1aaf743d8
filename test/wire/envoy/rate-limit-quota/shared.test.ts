import test from "ava";
import type { Share, Stake } from "../../../../src/sdk/index.ts";
import { Failure } from "../../../../src/runtime/failure.ts";
import { stub, world } from "../../../runtime/world.ts";
import { doorTo } from "./door.ts";

const id = { service: "web" };
const limit = (onError: string): string => `
policy: p
check:
  - { name: all, limit: 320/s, burst: 100, at: ratelimit, via: shared, onError: ${onError} }
`;

/** A store that answers what the test says; `undefined`: it fails. */
function store(answer: (stake: Stake) => Share | undefined) {
  const stakes: Stake[] = [];
  const shared = stub("shared", {
    quota: () => [],
    apportion: async (asked) =>
      asked.map((stake) => {
        stakes.push(stake);
        const share = answer(stake);
        if (share === undefined) throw new Error("the store is away");
        return share;
      }),
  });
  return { shared, stakes };
}

test("a bucket waits for the hub's share, and is answered as soon as that is known", async (t) => {
  const { shared, stakes } = store(() => ({ rate: 160, burst: 50, isFresh: true }));
  const { connect, clock } = await doorTo(limit("deny"), [shared]);
  const proxy = connect();
  proxy.report([{ id }]);
  t.deepEqual(proxy.take(), []);
  await clock.advance(10);
  t.deepEqual(proxy.take(), ["service=web 25+155/1s"]);
  t.like(stakes[0]!, { budget: { rate: 320, burst: 100 }, member: "hub", held: { rate: 0, burst: 0 }, ttlMs: 33_000 });
  await clock.advance(1000);
  t.deepEqual(stakes.at(-1)!.held, { rate: 160, burst: 50 });
});

test("a share that others have had begins without a burst", async (t) => {
  const { shared } = store(() => ({ rate: 160, burst: 50, isFresh: false }));
  const { connect, clock } = await doorTo(limit("deny"), [shared]);
  const proxy = connect();
  proxy.report([{ id }]);
  await clock.advance(10);
  t.deepEqual(proxy.take(), ["service=web deny"]);
  await clock.advance(1000);
  t.regex(proxy.take()[0]!, /^service=web \d+\+155\/1s$/);
});

test("a share that gets smaller is kept to", async (t) => {
  let rate = 320;
  const { shared, stakes } = store(() => ({ rate, burst: 100, isFresh: true }));
  const { connect, clock } = await doorTo(limit("deny"), [shared]);
  const proxy = connect();
  proxy.report([{ id }]);
  await clock.advance(10);
  t.deepEqual(proxy.take(), ["service=web 50+310/1s"]);
  rate = 32;
  await clock.advance(1600);
  t.regex(proxy.take()[0]!, /^service=web \d+\+124\/4s$/);
  t.is(stakes.at(-1)!.held.rate, 32);
});

for (const [onError, told] of [
  ["deny", "service=web deny"],
  ["allow", "service=web allow"],
  ["local", "service=web 50+310/1s"],
] as const) {
  test(`a store that is away from the beginning: ${onError}`, async (t) => {
    const { shared } = store(() => undefined);
    const { connect, clock } = await doorTo(limit(onError), [shared]);
    const proxy = connect();
    proxy.report([{ id }]);
    await clock.advance(600);
    t.deepEqual(proxy.take(), [told]);
  });
}

test("a hub goes on with its share until that is no longer kept for it, then as onError says, and takes part again", async (t) => {
  let isAway = false;
  const { shared } = store(() => (isAway ? undefined : { rate: 320, burst: 100, isFresh: true }));
  const { connect, clock } = await doorTo(limit("deny"), [shared]);
  const proxy = connect();
  proxy.report([{ id }]);
  await clock.advance(10);
  const [share] = proxy.take();
  isAway = true;
  const seen = new Set<string>();
  for (let i = 0; i < 4; i++) {
    await clock.advance(5000);
    proxy.report([{ id, allowed: 1 }]);
    for (const assignment of proxy.take()) seen.add(assignment);
  }
  t.deepEqual([...seen], [share]);
  for (let i = 0; i < 4; i++) {
    await clock.advance(5000);
    proxy.report([{ id, allowed: 1 }]);
  }
  t.deepEqual([...new Set(proxy.take())], ["service=web deny"]);
  isAway = false;
  await clock.advance(40_000);
  proxy.report([{ id, denied: 9 }]);
  await clock.advance(3000);
  t.regex(proxy.take().at(-1)!, /^service=web \d+\+\d+\/1s$/);
});

test("a store that a reload has taken away does not answer", async (t) => {
  const { runtime } = await world(limit("deny").replace("via: shared, ", ""));
  const { quotas } = runtime.acquire();
  t.false(quotas.isShared("shared"));
  t.true((await quotas.apportion("shared", [])) instanceof Failure);
  t.true((await quotas.apportion("memory", [])) instanceof Failure);
});
