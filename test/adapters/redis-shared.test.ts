import { randomUUID } from "node:crypto";
import test, { type ExecutionContext } from "ava";
import type { Charge, Grant, Instance, Limit } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance, type FakeHost } from "weir/sdk/testing";
import { redisAdapter } from "../../adapters/redis/index.ts";
import { notRun } from "../e2e/programs.ts";
import { startRedis, type RedisServer } from "./redis-server.ts";

const server = await startRedis();

if ("gap" in server) test("limits in Redis that are not exact", (t) => notRun(t, server));
else {
  test.after.always(() => server.kill());
  const url = `redis://127.0.0.1:${server.port}`;

  test("bounded: a count in demand is answered at once, without Redis", async (t) => {
    const hub = await opened(t, url);
    await hub.warm(bounded, 20);
    for (let i = 0; i < 10; i++) t.true(hub.atHand([charge()])![0]!.allowed);
  });

  test("bounded: hubs together admit the limit, and not one unit more", async (t) => {
    const prefix = `${randomUUID()}:`;
    const hubs = await Promise.all(Array.from({ length: 5 }, () => opened(t, url, { prefix })));
    let admitted = 0;
    for (let round = 0; round < 400; round++) {
      const grants = await Promise.all(hubs.flatMap((hub) => [hub.take(), hub.take(), hub.take()]));
      admitted += grants.filter((grant) => grant.allowed).length;
      t.true(admitted <= bounded.amount);
      // While other hubs hold units, who is refused asks again after a while.
      if (round % 20 === 0) for (const hub of hubs) await hub.host.advance(130);
    }
    t.is(admitted, bounded.amount);
  });

  test("bounded: what a hub does not use goes back when it is idle, and when it closes", async (t) => {
    const prefix = `${randomUUID()}:`;
    const [one, other] = [await opened(t, url, { prefix }), await opened(t, url, { prefix })];
    const used = await one.warm(bounded, 20);
    t.true((await other.take({ amount: 0 })).remaining < bounded.amount - used);
    await one.rest(2000);
    await until(async () => (await other.take({ amount: 0 })).remaining === bounded.amount - used);

    const more = await one.warm(bounded, 20);
    await one.close();
    t.is((await other.take({ amount: 0 })).remaining, bounded.amount - used - more);
    await other.close();
    t.is(await server.client.keys(`${prefix}*`).then((keys) => keys.length), 1);
  });

  test("bounded: units of a hub that crashed count until its lease ends, and then as used", async (t) => {
    const prefix = `${randomUUID()}:`;
    let time = Date.UTC(2026, 0, 1);
    const adapter = redisAdapter(() => time);
    const [one, other] = [await opened(t, url, { prefix }, adapter), await opened(t, url, { prefix }, adapter)];
    const bucket: Limit = { ...bounded, algorithm: "token-bucket", amount: 100, windowMs: 1000, burst: 100 };
    const used = await one.warm(bucket, 10);
    const held = bucket.burst - used - (await other.take({ limit: bucket, amount: 0 })).remaining;
    t.true(held > 0);
    // Nothing drains of what is leased, and all of it does once the lease has ended.
    time += 1900;
    const { remaining } = await other.take({ limit: bucket, amount: 0 });
    t.true(remaining <= bucket.burst - held);
    time += 101;
    t.is((await other.take({ limit: bucket, amount: 0 })).remaining, remaining);
    time += 1000;
    t.is((await other.take({ limit: bucket, amount: 0 })).remaining, bucket.burst);
  });

  test("bounded: a batch with exact limits and other bounded ones is all or nothing", async (t) => {
    const hub = await opened(t, url);
    const second: Limit = { ...bounded, id: "a/second", amount: 10 };
    const exact: Limit = { ...second, id: "a/exact", amount: 5 };
    delete (exact as { consistency?: string }).consistency;
    const batch = (amounts: readonly number[]): Charge[] => [
      charge({ amount: amounts[0]! }),
      charge({ limit: second, key: "second", amount: amounts[1]! }),
      charge({ limit: exact, key: "exact", amount: amounts[2]! }),
    ];
    const left = async () =>
      (await hub.quota(batch([0, 0, 0]))).map(({ allowed, remaining }) => (allowed ? remaining : "refused"));
    const shown = (grants: readonly Grant[]) => grants.map(({ allowed, granted }) => [allowed, granted]);

    t.deepEqual(shown(await hub.quota(batch([3, 2, 1]))), [
      [true, 3],
      [true, 2],
      [true, 1],
    ]);
    await hub.warm(bounded, 20);
    const [first] = await left();
    t.deepEqual(shown(await hub.quota(batch([1, 1, 5]))), [
      [true, 0],
      [true, 0],
      [false, 0],
    ]);
    t.deepEqual(shown(await hub.quota(batch([1, 9, 1]))), [
      [true, 0],
      [false, 0],
      [true, 0],
    ]);
    t.deepEqual(await left(), [first, 8, 4]);
    t.deepEqual(shown(await hub.quota(batch([1, 8, 4]))), [
      [true, 1],
      [true, 8],
      [true, 4],
    ]);
    // Two bounded ones, of which one refuses at hand.
    t.false((await hub.quota(batch([1, 1, 0])))[1]!.allowed);
    t.deepEqual(
      hub.atHand(batch([1, 1, 0]).slice(0, 2))!.map(({ allowed, granted }) => [allowed, granted]),
      [
        [true, 0],
        [false, 0],
      ],
    );
    t.deepEqual(await left(), [(first as number) - 1, 0, 0]);
  });

  test("bounded: a repeated deduplication id is answered as before and spends nothing, until the charge is given back", async (t) => {
    const hub = await opened(t, url);
    const once = charge({ amount: 7, dedupId: "id" });
    const [first] = await hub.quota([once]);
    const [again] = await hub.quota([once]);
    t.deepEqual(again, { ...first!, repeated: true });
    await hub.warm(bounded, 20);
    t.deepEqual((await hub.quota([once]))[0], again);
    const { remaining } = await hub.take({ amount: 0 });
    await hub.instance.refund!([once], fakeCall());
    t.is((await hub.take({ amount: 0 })).remaining, remaining + 7);
    t.is((await hub.quota([once]))[0]!.repeated, undefined);
    // Two at the same time, before either is answered.
    const twice = { ...once, dedupId: "twice", key: randomUUID() };
    const both = await Promise.all([hub.quota([twice]), hub.quota([twice])]);
    t.deepEqual(
      both.map(([grant]) => grant!.repeated),
      [undefined, true],
    );
  });

  test("bounded: amounts beyond what is in hand, of best effort, that must be there or can never be", async (t) => {
    const hub = await opened(t, url);
    await hub.warm(bounded, 20);
    const { remaining } = await hub.take({ amount: 0 });
    t.is((await hub.take({ amount: remaining - 10 })).granted, remaining - 10);
    t.false((await hub.take({ amount: 0, atLeast: 11 })).allowed);
    t.true((await hub.take({ amount: 0, atLeast: 10 })).allowed);
    const never = await hub.take({ amount: bounded.amount + 1 });
    t.deepEqual([never.allowed, never.retryAfterMs], [false, undefined]);
    t.is((await hub.take({ amount: 100, bestEffort: true })).granted, 10);
    const refused = await hub.take({ amount: 100, bestEffort: true });
    t.deepEqual([refused.allowed, refused.remaining], [false, 0]);
    t.true(refused.retryAfterMs! > 0);
    await t.throwsAsync(hub.take({ amount: -1 }), { instanceOf: RangeError });
  });

  test("bounded: units in hand serve while Redis is gone, until their lease ends", async (t) => {
    const own = (await startRedis()) as RedisServer;
    const hub = await opened(t, `redis://127.0.0.1:${own.port}`);
    await hub.warm(bounded, 30);
    await own.kill();
    await t.throwsAsync(hub.take({ key: "another" }));
    t.true(hub.atHand([charge()])![0]!.allowed);
    for (let passed = 0; passed < 1900; passed += 190) {
      t.true(hub.atHand([charge()])![0]!.allowed);
      await hub.rest(190);
    }
    await hub.rest(100);
    t.is(hub.atHand([charge()]), undefined);
    await t.throwsAsync(hub.take());
  });

  test("bounded: a limit that was lowered by a reload holds at once", async (t) => {
    const hub = await opened(t, url);
    const used = await hub.warm(bounded, 30);
    const lowered: Limit = { ...bounded, amount: used + 3 };
    const grants = [];
    for (let i = 0; i < 10; i++) grants.push(await hub.take({ limit: lowered }));
    t.is(grants.filter((grant) => grant.allowed).length, 3);
    t.true((await hub.take()).allowed, "and raised again");
  });

  test("bounded: usage tells what is used and held, and a reset gives it back", async (t) => {
    const hub = await opened(t, url);
    const usage = hub.instance.usage!;
    const used = await hub.warm(bounded, 20);
    await hub.take({ key: "little", amount: 3 });
    const { keys, seen, complete } = await usage.top(bounded, "", 10, fakeCall());
    t.deepEqual([keys.map(({ key }) => key), seen, complete], [["key", "little"], 2, true]);
    t.true(keys[0]!.used >= used);
    t.deepEqual([keys[1]!.used, keys[1]!.resetMs > 0], [3, true]);
    t.is((await usage.look({ limit: bounded, key: "little" }, fakeCall())).used, 3);
    await usage.reset({ limit: bounded, key: "little" }, fakeCall());
    t.is((await usage.look({ limit: bounded, key: "little" }, fakeCall())).used, 0);
    t.is(await usage.resetAll(bounded, "", fakeCall()), 1);
  });

  for (const consistency of ["bounded", "best-effort"] as const)
    test(`${consistency}: what people grant is there for all hubs once, until its time is over or it is taken back`, async (t) => {
      const prefix = `${randomUUID()}:`;
      let time = Date.UTC(2026, 0, 1);
      const adapter = redisAdapter(() => time);
      const hubs = [await opened(t, url, { prefix }, adapter), await opened(t, url, { prefix }, adapter)];
      const [one, other] = hubs as [Opened, Opened];
      const usage = one.instance.usage!;
      const limit: Limit = { ...bounded, amount: 10, consistency };
      const count = { limit, key: "key" };
      const pass = async (ms: number): Promise<void> => {
        time += ms;
        for (const hub of hubs) await hub.rest(ms);
      };
      /** Lets hubs hear of each other, what is left of a key. */
      const left = async (key = "key"): Promise<number> => {
        await pass(1000);
        for (const hub of hubs) await hub.take({ limit, key, amount: 0 });
        await pass(200);
        return (await other.take({ limit, key, amount: 0 })).remaining;
      };
      for (let i = 0; i < 10; i++) t.true((await one.take({ limit })).allowed);
      t.is(await left(), 0);
      await usage.grant(count, 5, time + 60_000, fakeCall());
      t.is((await usage.look(count, fakeCall())).used, 10, "what is used is not less by it");
      t.is(await left(), 5);
      for (const hub of [one, one, other]) t.true((await hub.take({ limit })).allowed);
      t.is(await left(), 2);
      await usage.grant(count, 0, time, fakeCall());
      t.is(await left(), 0);
      t.false((await one.take({ limit })).allowed);
      await usage.grant(count, 8, time + 5000, fakeCall());
      t.is(await left(), 5);
      await pass(5000);
      t.is(await left(), 0);
      await usage.grant({ limit, key: "fresh" }, 5, time + 60_000, fakeCall());
      t.is((await usage.look({ limit, key: "fresh" }, fakeCall())).used, 0);
      t.is(await left("fresh"), 15);
      t.true((await one.take({ limit, key: "fresh", amount: 10 })).allowed);
      t.is(await left("fresh"), 5);
      t.true((await other.take({ limit, key: "fresh", amount: 5 })).allowed);
      t.is(await left("fresh"), 0);
      await usage.reset({ limit, key: "fresh" }, fakeCall());
      await pass(3000);
      t.is(await left("fresh"), 10, "a reset takes the grant too");
    });

  test("bounded: no more counts are kept than maxKeys; the others ask Redis each time", async (t) => {
    const hub = await opened(t, url, { maxKeys: 3 });
    for (let i = 0; i < 10; i++) t.true((await hub.take({ key: `k${i}` })).allowed);
    t.is(hub.host.events.get("lease_no_room"), 7);
    t.is((await hub.take({ key: "k9", amount: 0 })).remaining, bounded.amount - 1);
  });

  test("best-effort: hubs answer at once, hear of each other behind, and pay for what was too much", async (t) => {
    const prefix = `${randomUUID()}:`;
    let time = Date.UTC(2026, 0, 1);
    const adapter = redisAdapter(() => time);
    const hubs = [await opened(t, url, { prefix }, adapter), await opened(t, url, { prefix }, adapter)];
    const bucket: Limit = { ...soft, algorithm: "token-bucket", amount: 10, burst: 10, windowMs: 1000 };
    const burst = (): number =>
      hubs
        .flatMap((hub) => Array.from({ length: 15 }, () => hub.atHand([charge({ limit: bucket })])![0]!))
        .filter((grant) => grant.allowed).length;
    t.is(burst(), 20, "each of two hubs has granted the burst before it has heard of the other");
    const pass = async (ms: number) => {
      time += ms;
      for (const hub of hubs) await hub.host.advance(ms);
    };
    await pass(100);
    await pass(100);
    let admitted = 20 + burst();
    t.true(admitted <= 22);
    for (let i = 0; i < 100; i++) {
      await pass(100);
      admitted += burst();
    }
    t.true(admitted <= 10 + 10.2 * 10 + 4, `${admitted} in 10.2 s`);
    t.true(admitted >= 100, `${admitted} in 10.2 s`);
  });

  test("best-effort: counts on while Redis is gone, and tells it what was spent when it is back", async (t) => {
    const own = (await startRedis()) as RedisServer;
    const prefix = "gone:";
    const hub = await opened(t, `redis://127.0.0.1:${own.port}`, { prefix });
    const take = (amount: number) => hub.atHand([charge({ limit: soft, amount })])![0]!;
    t.true(take(40).allowed);
    await own.kill();
    t.true(take(40).allowed);
    await hub.host.advance(100);
    t.false(take(40).allowed);
    const back = (await startRedis({ port: own.port })) as RedisServer;
    t.teardown(() => back.kill());
    const other = await opened(t, `redis://127.0.0.1:${own.port}`, { prefix });
    await until(async () => {
      await hub.host.advance(100);
      await other.host.advance(100);
      return other.atHand([charge({ limit: soft, amount: 0 })])![0]!.remaining === 20;
    });
    await hub.instance.refund!([charge({ limit: soft, amount: 30 })], fakeCall());
    t.is(take(50).granted, 50);
  });
}

const bounded: Limit = {
  ...{ id: "a/bounded", algorithm: "fixed-window", amount: 1000, windowMs: 365 * 86_400_000, burst: 1000 },
  consistency: "bounded",
};
const soft: Limit = { ...bounded, id: "a/soft", amount: 100, consistency: "best-effort" };

function charge(part: Partial<Charge> = {}): Charge {
  return { limit: bounded, key: "key", amount: 1, bestEffort: false, ...part };
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}

interface Opened {
  readonly host: FakeHost;
  readonly instance: Instance;
  quota(charges: readonly Charge[]): Promise<readonly Grant[]>;
  atHand(charges: readonly Charge[]): readonly Grant[] | undefined;
  take(part?: Partial<Charge>): Promise<Grant>;
  /**
   * Takes one unit after the other until that many were answered at once, and waits for what was asked ahead; answers how
   * many were taken.
   */
  warm(limit: Limit, atOnce: number): Promise<number>;
  /** Lets time pass in which nobody asks, and Redis answer what it is told meanwhile. */
  rest(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** An instance as the hub uses it: what is at hand first. */
async function opened(
  t: ExecutionContext,
  url: string,
  config: object = {},
  adapter = redisAdapter(),
): Promise<Opened> {
  const host = fakeHost();
  const prefix = `${randomUUID()}:`;
  const instance = (await makeInstance(adapter, { url, prefix, timeout: "5s", ...config }, host)) as Instance;
  const atHand = (charges: readonly Charge[]) => instance.atHand!(charges);
  const quota = async (charges: readonly Charge[]): Promise<readonly Grant[]> =>
    atHand(charges) ?? instance.quota!(charges, fakeCall());
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= Promise.resolve(instance.close?.()).then(() => host.close()));
  t.teardown(close);
  return {
    host,
    instance,
    quota,
    atHand,
    take: async (part = {}) => (await quota([charge(part)]))[0]!,
    async warm(limit, atOnce) {
      let taken = 0;
      for (let inHand = 0; inHand < atOnce; taken++) {
        const here = atHand([charge({ limit })]);
        if (here === undefined) await instance.quota!([charge({ limit })], fakeCall());
        inHand = here === undefined ? 0 : inHand + 1;
      }
      await instance.quota!([charge({ key: "other", limit, amount: 0 })], fakeCall());
      return taken;
    },
    async rest(ms) {
      for (let passed = 0; passed < ms; passed += 50) {
        await host.advance(Math.min(50, ms - passed));
        await quota([charge({ key: "other", amount: 0 })]).catch(() => undefined);
      }
    },
    close,
  };
}
