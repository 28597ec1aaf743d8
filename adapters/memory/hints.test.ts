import test from "ava";
import fc from "fast-check";
import type { Algorithm, Charge, Grant, Instance, Limit } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance } from "weir/sdk/testing";
import memory from "./index.ts";

const algorithms: readonly Algorithm[] = ["token-bucket", "sliding-window", "fixed-window", "concurrency"];

/** A text of its own each time. */
function textOf(key: string): string {
  return Buffer.from(key, "latin1").toString("latin1");
}

test("a charge with a hint, a right, a wrong or a foreign one, is granted what one without is", async (t) => {
  const step = fc.record({
    keys: fc.array(fc.integer({ min: 0, max: 11 }), { minLength: 1, maxLength: 3 }),
    amount: fc.nat({ max: 3 }),
    pauseMs: fc.constantFrom(0, 0, 10, 700, 12_000),
    foreign: fc.option(fc.constantFrom(-1, 0, 1, 5, 1e9, 0.5), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...algorithms), fc.array(step, { maxLength: 60 }), async (algorithm, steps) => {
      const limits = ["a", "b"].map((id): Limit => ({ id, algorithm, amount: 4, windowMs: 1000, burst: 4 }));
      const hosts = [fakeHost(), fakeHost()];
      // Few places, so that they go from key to key.
      const config = { maxKeys: 6, maxKeysPerLimit: 5 };
      const [hinted, plain] = (await Promise.all(hosts.map((host) => makeInstance(memory, config, host)))) as [
        Instance,
        Instance,
      ];
      const made = new Map<number, Charge>();
      for (const { keys, amount, pauseMs, foreign } of steps) {
        const kept = keys.map((k) => {
          const known = made.get(k);
          const { limit, key } = known ?? { limit: limits[k % 2]!, key: textOf(`key ${k}`) };
          const charge: Charge = { limit, key, amount, bestEffort: false, hint: foreign ?? known?.hint ?? -1 };
          made.set(k, charge);
          return charge;
        });
        const anew = keys.map((k): Charge => {
          return { limit: limits[k % 2]!, key: textOf(`key ${k}`), amount, bestEffort: false };
        });
        const grants = (instance: Instance, charges: readonly Charge[]) =>
          instance.quota!(charges, fakeCall()) as readonly Grant[];
        t.deepEqual(grants(hinted, kept), grants(plain, anew));
        for (const host of hosts) await host.advance(pauseMs);
      }
    }),
    { numRuns: 150 },
  );
});
