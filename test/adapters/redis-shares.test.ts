import { randomUUID } from "node:crypto";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Stake } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance } from "weir/sdk/testing";
import redis, { redisAdapter } from "../../adapters/redis/index.ts";
import { notRun } from "../e2e/programs.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { SharedStore } from "../runtime/quota/shared-store.ts";
import { startRedis } from "./redis-server.ts";

const server = await startRedis();

if ("gap" in server) test("shares in Redis", (t) => notRun(t, server));
else {
  test.after.always(() => server.kill());
  const config = { url: `redis://127.0.0.1:${server.port}`, timeout: "10s" };
  const virtual = redisAdapter((host) => host.now());

  async function opened(t: ExecutionContext, adapter: typeof redis) {
    const host = fakeHost();
    const instance = await makeInstance(adapter, config, host);
    t.teardown(() => instance.close?.());
    return { host, apportion: (stakes: readonly Stake[]) => instance.apportion!(stakes, fakeCall()) };
  }

  test("Redis divides as the simulated store does", async (t) => {
    const step = fc.record({
      passMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5000 }), fc.constant(70_000)),
      member: fc.constantFrom("a", "b", "c", "d"),
      demand: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 300, noNaN: true })),
      held: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const budget = fc.record({ rate: fc.constantFrom(0.01, 1, 100), burst: fc.constantFrom(1, 3, 50) });
    const { host, apportion } = await opened(t, virtual);
    await fc.assert(
      fc.asyncProperty(budget, fc.array(step, { minLength: 1, maxLength: 20 }), async (budget, steps) => {
        const store = new SharedStore(() => host.now());
        const key = randomUUID();
        const held = new Map<string, { rate: number; burst: number }>();
        for (const { passMs, member, demand, held: part } of steps) {
          await host.advance(passMs);
          // A hub goes on using a part of what it had.
          const { rate = 0, burst = 0 } = held.get(member) ?? {};
          const uses = { rate: rate * part, burst: burst * part };
          const stake: Stake = { key, budget, member, demand, held: uses, ttlMs: 30_000 };
          const [share] = await apportion([stake]);
          const expected = store.share(stake);
          const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-9 * Math.max(1, a, b);
          // A key expires by Redis's own clock, which stands still here.
          if (!near(share!.rate, expected.rate) || !near(share!.burst, expected.burst))
            throw new Error(`${JSON.stringify(share)} is not ${JSON.stringify(expected)}`);
          held.set(member, share!);
        }
      }),
      { numRuns: fuzzRuns(60) },
    );
    t.pass();
  });

  test("shares never add up to more than the budget, by Redis's own clock", async (t) => {
    const { apportion } = await opened(t, redis);
    const key = randomUUID();
    const budget = { rate: 100, burst: 20 };
    const none = { rate: 0, burst: 0 };
    const ask = async (member: string, demand: number, held = none) =>
      (await apportion([{ key, budget, member, demand, held, ttlMs: 60_000 }]))[0]!;
    t.deepEqual(await ask("a", 10), { rate: 100, burst: 20, isFresh: true });
    t.deepEqual(await ask("b", 1000), { rate: 0, burst: 0, isFresh: false });
    t.deepEqual(await ask("a", 10, { rate: 100, burst: 20 }), { rate: 10, burst: 2.8, isFresh: false });
    t.deepEqual(await ask("b", 1000), { rate: 0, burst: 0, isFresh: false }, "the first still uses it");
    t.deepEqual(await ask("a", 10, { rate: 10, burst: 2.8 }), { rate: 10, burst: 2.8, isFresh: false });
    t.deepEqual(await ask("b", 1000), { rate: 90, burst: 17.2, isFresh: false });
  });

  test("what a hub had goes to others when its time is over, and a budget that nobody has is fresh when it is whole", async (t) => {
    const { apportion } = await opened(t, redis);
    const key = randomUUID();
    const budget = { rate: 100, burst: 5 };
    const none = { rate: 0, burst: 0 };
    const ask = async (member: string, ttlMs: number) =>
      (await apportion([{ key, budget, member, demand: 1000, held: none, ttlMs }]))[0]!;
    t.true((await ask("a", 0)).isFresh);
    t.deepEqual(await ask("b", 0), { rate: 100, burst: 5, isFresh: false });
    t.true((await server.client.pttl(`weir:{${key}}}share`)) <= 1050);
  });
}
