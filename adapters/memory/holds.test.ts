import test from "ava";
import fc from "fast-check";
import type { Charge, Grant, Limit } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance } from "weir/sdk/testing";
import memory from "./index.ts";

const limit: Limit = { id: "p/l", algorithm: "concurrency", amount: 10, windowMs: 16_000, burst: 10 };
const charge = (id: string, part: Partial<Charge> = {}): Charge => {
  return { limit, key: "k", amount: 1, bestEffort: false, hold: { id, forMs: 16_000 }, ...part };
};

test("whatever is taken, renewed and released, no more is at work than may be, and what is over makes room in time", async (t) => {
  const step = fc.record({
    passMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 4000 }), fc.constant(20_000)),
    kind: fc.constantFrom("take", "take", "release", "renew"),
    decision: fc.nat({ max: 7 }),
    amount: fc.integer({ min: 1, max: 6 }),
    lasts: fc.integer({ min: 1, max: 16_000 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const host = fakeHost();
      const { quota, holds } = await makeInstance(memory, {}, host);
      /** Leases that are out for certain, by decision: units, and when the lease ends at the earliest and at the latest. */
      const out = new Map<string, { units: number; sure: number; late: number }>();
      for (const { passMs, kind, decision, amount, lasts } of steps) {
        await host.advance(passMs);
        const now = host.now();
        const id = `d${decision}`;
        const sum = (part: "sure" | "late") =>
          [...out.values()].reduce((units, lease) => units + (lease[part] > now ? lease.units : 0), 0);
        if (kind === "take" && !out.has(id)) {
          const [grant] = (await quota([charge(id, { amount })], fakeCall())) as readonly [Grant];
          if (grant.allowed && sum("sure") + amount > 10) return false;
          if (!grant.allowed && sum("late") + amount <= 10) return false;
          if (grant.allowed) out.set(id, { units: amount, sure: now + 16_000, late: now + 17_000 });
        } else if (kind !== "take") {
          const change = kind === "renew" ? ({ kind, forMs: lasts } as const) : ({ kind: "release" } as const);
          const [outcomes] = await holds([{ id, ...change }], fakeCall());
          const lease = out.get(id);
          if (outcomes!.length > 0 && (lease === undefined || lease.late <= now)) return false;
          if (outcomes!.length === 0 && lease !== undefined && lease.sure > now) return false;
          if (outcomes!.length === 0) continue;
          if (kind === "release") out.delete(id);
          else out.set(id, { units: lease!.units, sure: now + lasts, late: now + lasts + 1000 });
        }
        for (const [each, { late }] of out) if (late <= now) out.delete(each);
      }
      return true;
    }),
    { numRuns: 200 },
  );
  t.pass();
});

test("of more decisions than are remembered the first are forgotten, and what they took ends by itself", async (t) => {
  const host = fakeHost();
  const { quota, holds } = await makeInstance(memory, { maxHolds: 3 }, host);
  for (let i = 0; i < 5; i++) await quota([charge(`d${i}`)], fakeCall());
  t.is(host.events.get("hold_forgotten"), 2);
  const changes = Array.from({ length: 5 }, (_, i) => ({ id: `d${i}`, kind: "release" as const }));
  t.deepEqual(
    (await holds(changes, fakeCall())).map(({ length }) => length),
    [0, 0, 1, 1, 1],
  );
  const left = async () => (await quota([charge("x", { amount: 0 })], fakeCall()))[0]!.remaining;
  t.is(await left(), 8);
  await host.advance(17_000);
  t.is(await left(), 10);
});

test("decisions whose time is over make room by themselves", async (t) => {
  const host = fakeHost();
  const { quota } = await makeInstance(memory, { maxHolds: 4 }, host);
  for (let i = 0; i < 100; i++) {
    await host.advance(9_000);
    await quota([charge(`d${i}`)], fakeCall());
  }
  t.is(host.events.get("hold_forgotten"), undefined);
});

test("a count with leases out is not let go to make room for others", async (t) => {
  const host = fakeHost();
  const { quota } = await makeInstance(memory, { maxKeys: 1, maxKeysPerLimit: 1 }, host);
  const lasting = { ...limit, windowMs: 86_400_000 };
  const take = async (key: string) => (await quota([charge(key, { key, limit: lasting })], fakeCall()))[0]!.allowed;
  t.true(await take("a"));
  await host.advance(3_600_000);
  t.false(await take("b"));
  await host.advance(86_400_000 * 2);
  t.true(await take("b"));
});
