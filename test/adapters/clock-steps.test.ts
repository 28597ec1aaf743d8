import { randomUUID } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import type { Adapter, Algorithm, Charge, Grant, Limit } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance } from "weir/sdk/testing";
import memory from "../../adapters/memory/index.ts";
import { redisAdapter } from "../../adapters/redis/index.ts";
import { notRun } from "../e2e/programs.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { startRedis } from "./redis-server.ts";

/** The most units within a span of time that the clock says has passed, both ends included. */
function most(algorithm: Algorithm, { amount, burst, windowMs }: Limit, spanMs: number): number {
  if (algorithm === "token-bucket") return burst + (spanMs * amount) / windowMs;
  if (algorithm === "sliding-window" || algorithm === "concurrency")
    return amount * (Math.floor(spanMs / windowMs) + 1);
  return amount * (Math.floor(spanMs / windowMs) + 2);
}

const step = fc.record({
  /** Time that passes, and then by how much the clock is set. */
  passMs: fc.oneof(fc.constant(0), fc.nat({ max: 40_000 })),
  setMs: fc.oneof(
    { arbitrary: fc.constant(0), weight: 4 },
    { arbitrary: fc.integer({ min: -7_200_000, max: 90_000 }), weight: 1 },
    { arbitrary: fc.integer({ min: -50, max: 50 }), weight: 1 },
  ),
  amounts: fc.array(fc.tuple(fc.nat({ max: 9 }), fc.boolean()), { minLength: 1, maxLength: 4 }),
  id: fc.option(fc.constantFrom("a", "b"), { nil: undefined }),
  refund: fc.boolean(),
});

function holds(title: string, adapter: Adapter, config: object, runs: number): void {
  for (const algorithm of ["token-bucket", "sliding-window", "fixed-window", "calendar", "concurrency"] as const) {
    const limit: Limit = {
      id: "p/l",
      algorithm,
      amount: 10,
      windowMs: algorithm === "calendar" ? 60_000 : 20_000,
      burst: 14,
      ...(algorithm === "calendar" ? { calendar: { unit: "minute", zone: "UTC" } as const } : {}),
    };
    const capacity = algorithm === "token-bucket" ? limit.burst : limit.amount;

    test(`${title}, ${algorithm}: whatever is asked, given back and done to the clock, no span sees more than it may, and none waits for the clock`, async (t) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          // Memory answers at once: the connections of the others get their turn here.
          await new Promise((done) => setImmediate(done));
          const host = fakeHost();
          const key = randomUUID();
          const instance = await makeInstance(adapter, { ...config, dedup: "1h" }, host);
          try {
            const ask = async (part: Partial<Charge>): Promise<Grant> =>
              (await instance.quota!([{ limit, key, amount: 1, bestEffort: false, ...part }], fakeCall()))[0]!;
            const spent: { at: number; amount: number }[] = [];
            const first = new Map<string, number>();
            let passed = 0;
            for (const { passMs, setMs, amounts, id, refund } of steps) {
              await host.advance(passMs);
              host.setTime(host.now() + setMs);
              // A clock that is set forward cannot be told from time that passes; one that is set back stands still.
              passed += passMs + Math.max(0, setMs);
              let before = Infinity;
              for (const [amount, bestEffort] of amounts) {
                const grant = await ask({ amount, bestEffort });
                if (grant.remaining > before) throw new Error("more is left after a charge");
                before = grant.remaining;
                if (grant.granted > 0 && refund) {
                  await instance.refund!([{ limit, key, amount: grant.granted, bestEffort: false }], fakeCall());
                  before = Infinity;
                } else if (grant.granted > 0) spent.push({ at: passed, amount: grant.granted });
              }
              if (id === undefined) continue;
              const grant = await ask({ amount: 2, dedupId: key + id });
              if (!grant.allowed) continue;
              if (grant.repeated === true) {
                if (grant.granted !== first.get(id)) throw new Error("another answer to the same id");
              } else {
                first.set(id, grant.granted);
                spent.push({ at: passed, amount: grant.granted });
              }
            }
            for (let i = 0; i < spent.length; i++) {
              let sum = 0;
              for (let j = i; j < spent.length; j++) {
                sum += spent[j]!.amount;
                const span = spent[j]!.at - spent[i]!.at;
                if (sum > most(algorithm, limit, span) + 1e-6) throw new Error(`${sum} within ${span} ms`);
              }
            }
            // After a step back a window may last until the next one would have ended.
            await host.advance(3 * limit.windowMs);
            const { remaining } = await ask({ amount: 0 });
            if (remaining !== capacity) throw new Error(`${remaining} left when everything is over`);
          } finally {
            await instance.close?.();
          }
        }),
        { numRuns: runs },
      );
      t.pass();
    });
  }
}

const server = await startRedis();

holds("memory", memory as Adapter, {}, fuzzRuns(150));
if ("gap" in server) test("limits in a Redis whose clock is set", (t) => notRun(t, server));
else {
  test.after.always(() => server.kill());
  const config = { url: `redis://127.0.0.1:${server.port}`, timeout: "10s" };
  holds("Redis", redisAdapter((host) => host.now()) as Adapter, config, fuzzRuns(60));
}
