import test from "ava";
import fc from "fast-check";
import type { Limit } from "weir/sdk";
import { fuzzRuns } from "../fuzz-runs.ts";
import { simulate, type Setting } from "./cluster-simulation.ts";

const limits: Record<string, Limit> = {
  "token-bucket": { id: "l", algorithm: "token-bucket", amount: 40, windowMs: 1000, burst: 60 },
  "sliding-window": { id: "l", algorithm: "sliding-window", amount: 60, windowMs: 1000, burst: 60 },
  "fixed-window": { id: "l", algorithm: "fixed-window", amount: 60, windowMs: 1000, burst: 60 },
  calendar: {
    ...{ id: "l", algorithm: "calendar", amount: 200, windowMs: 60_000, burst: 200 },
    calendar: { unit: "minute", zone: "UTC" },
  },
};

/** Chance by a seed (mulberry32): a schedule that fails is shown again by the seed that is printed. */
function chanceOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const settings = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 31 }),
  hubs: fc.integer({ min: 1, max: 6 }),
  aheadMs: fc.constantFrom(50, 100, 500),
  perSecond: fc.constantFrom(30, 100, 300),
  most: fc.constantFrom(2, 10, 70),
  latencyMs: fc.constantFrom(0.5, 5, 40),
  lateMs: fc.constantFrom(20, 200, 2000),
  lost: fc.constantFrom(0, 0.02, 0.2),
  mishaps: fc.constantFrom(0, 1, 5),
});

for (const [name, limit] of Object.entries(limits)) {
  test(`${name}: however hubs crash, messages are late or lost and clocks differ, all hubs together stay within the limit`, async (t) => {
    const total = { admitted: 0, messages: 0, crashes: 0, full: 0 };
    await fc.assert(
      fc.asyncProperty(settings, async ({ seed, ...rest }) => {
        const never = { failovers: 0, behindMs: 0 };
        const setting: Setting = { ...rest, ...never, limit, lengthMs: 3000, chance: chanceOf(seed) };
        const { admitted, messages, crashes, above } = await simulate(setting);
        total.admitted += admitted;
        total.messages += messages;
        total.crashes += crashes;
        if (above > -1) total.full++;
        return above < 1e-6;
      }),
      { numRuns: fuzzRuns(500) },
    );
    // A cluster that admits nothing would pass: it has to fill the limit now and then, and to be hit.
    t.log(total);
    t.true(total.full > 0 && total.crashes > 0 && total.messages < total.admitted * 3);
  });
}

test("a failover that forgets admits no more above the limit than Redis had granted and leased in the time that it forgot", async (t) => {
  const total = { above: 0, forgotten: 0, beyond: 0 };
  await fc.assert(
    fc.asyncProperty(settings, fc.constantFrom(...Object.values(limits)), async ({ seed, ...rest }, limit) => {
      const failing = { failovers: 1, behindMs: 300 };
      const setting: Setting = { ...rest, ...failing, limit, lengthMs: 3000, chance: chanceOf(seed) };
      const { above, forgotten } = await simulate(setting);
      total.forgotten += forgotten;
      total.above = Math.max(total.above, above);
      if (above > 1e-6) total.beyond++;
      return above <= forgotten + 1e-6;
    }),
    { numRuns: fuzzRuns(300) },
  );
  t.log(total);
  t.true(total.beyond > 0);
});

const grants = fc.record({
  units: fc.integer({ min: 1, max: 100 }),
  atMs: fc.integer({ min: 0, max: 2000 }),
  forMs: fc.integer({ min: 1, max: 2000 }),
});

test("what people grant beyond the limit is admitted once, and no more", async (t) => {
  const total = { beyond: 0, most: 0 };
  await fc.assert(
    fc.asyncProperty(settings, grants, fc.constantFrom(...Object.values(limits)), async (setting, grant, limit) => {
      const { seed, ...rest } = setting;
      const never = { failovers: 0, behindMs: 0 };
      const { above } = await simulate({ ...rest, ...never, limit, grant, lengthMs: 3000, chance: chanceOf(seed) });
      if (above > 1e-6) total.beyond++;
      total.most = Math.max(total.most, above / grant.units);
      return above <= grant.units + 1e-6;
    }),
    { numRuns: fuzzRuns(300) },
  );
  // A grant that nobody gets anything of would pass.
  t.log(total);
  t.true(total.beyond > 0);
});
