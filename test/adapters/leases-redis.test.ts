import { randomUUID } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import type { Limit } from "weir/sdk";
import { createDraw, leasesSuffix, type Draw } from "../../adapters/redis/draw.ts";
import { drawScript } from "../../adapters/redis/draw-script.ts";
import { grantLeasesScript } from "../../adapters/redis/lease-grant-script.ts";
import { limitArgs } from "../../adapters/redis/quota.ts";
import { notRun } from "../e2e/programs.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { LeaseModel } from "./lease-model.ts";
import { startRedis } from "./redis-server.ts";

const server = await startRedis();

if ("gap" in server) test("draws on Redis", (t) => notRun(t, server));
else {
  test.after.always(() => server.kill());

  test("the script answers any sequence of messages as its model does", async (t) => {
    const limits: Limit[] = (["token-bucket", "sliding-window", "fixed-window", "calendar"] as const).map(
      (algorithm) => ({
        ...{ id: algorithm, algorithm, amount: 40, windowMs: 7000, burst: 50 },
        ...(algorithm === "calendar" ? { calendar: { unit: "minute", zone: "UTC" } as const } : {}),
      }),
    );
    const few = fc.integer({ min: 0, max: 12 });
    const message: fc.Arbitrary<Draw> = fc
      .record({
        amount: few,
        more: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(60) }),
        how: fc.constantFrom("all" as const, "some" as const, "always" as const),
        back: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: few }),
        lease: fc.integer({ min: 0, max: 3 }),
        used: few,
        usedKnown: few,
        returned: few,
        share: fc.nat(30),
        lastsMs: fc.integer({ min: 1, max: 3000 }),
      })
      .map(({ more, ...draw }) => ({ ...draw, needed: Math.max(draw.amount, more) }));
    const grant = fc.record({ units: fc.nat(30), forMs: fc.integer({ min: -1000, max: 9000 }) });
    const step = fc.record({
      grant: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: grant }),
      limit: fc.constantFrom(...limits),
      passMs: fc.oneof(fc.constant(0), fc.nat(500), fc.nat(2000), fc.constant(20_000)),
      message,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
        let now = Date.UTC(2026, 0, 1);
        const model = new LeaseModel(() => now);
        const prefix = `${randomUUID()}:`;
        const draw = createDraw(
          { draw: (keys, args) => server.client.eval(drawScript, keys.length, ...keys, ...args) as never },
          { prefix, now: () => now, clock: () => now },
        );
        for (const { limit, passMs, message: sent, grant } of steps) {
          now += passMs;
          if (grant !== undefined) {
            const till = now + grant.forMs;
            const args = [now, ...limitArgs(limit, () => now), grant.units, till];
            await server.client.eval(grantLeasesScript, 1, `${prefix}{${limit.id}}${leasesSuffix}`, ...args);
            model.grant(limit, limit.id, grant.units, till);
          }
          t.deepEqual(await draw(limit, limit.id, sent), model.draw(limit, limit.id, sent));
        }
      }),
      { numRuns: fuzzRuns(100) },
    );
  });
}
