import test from "ava";
import fc from "fast-check";
import type { Algorithm, Charge, Grant, Limit } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance } from "weir/sdk/testing";
import memory from "./index.ts";

const windows: readonly Exclude<Algorithm, "concurrency">[] = [
  "token-bucket",
  "sliding-window",
  "fixed-window",
  "calendar",
];

/** The most units within a span of time that the clock says has passed, both ends included. */
function most(algorithm: Algorithm, { amount, burst, windowMs }: Limit, spanMs: number): number {
  if (algorithm === "token-bucket") return burst + (spanMs * amount) / windowMs;
  if (algorithm === "sliding-window") return amount * (Math.floor(spanMs / windowMs) + 1);
  return amount * (Math.floor(spanMs / windowMs) + 2);
}

const step = fc.record({
  /** Time that passes, and then by how much the clock is set. */
  passMs: fc.oneof(fc.constant(0), fc.nat({ max: 40_000 })),
  setMs: fc.oneof({ arbitrary: fc.constant(0), weight: 4 }, fc.integer({ min: -7_200_000, max: 90_000 })),
  amounts: fc.array(fc.tuple(fc.nat({ max: 9 }), fc.boolean()), { minLength: 1, maxLength: 4 }),
  id: fc.option(fc.constantFrom("a", "b"), { nil: undefined }),
  refund: fc.boolean(),
});

for (const algorithm of windows) {
  test(`${algorithm}: whatever is asked, given back and done to the clock, no span sees more than it may`, async (t) => {
    const limit: Limit = {
      id: "p/l",
      algorithm,
      amount: 10,
      windowMs: algorithm === "calendar" ? 60_000 : 20_000,
      burst: 14,
      ...(algorithm === "calendar" ? { calendar: { unit: "minute", zone: "UTC" } as const } : {}),
    };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const host = fakeHost();
        const instance = await makeInstance(memory, { dedup: "1h" }, host);
        const take = (part: Partial<Charge>): Grant =>
          (
            instance.quota([{ limit, key: "k", amount: 1, bestEffort: false, ...part }], fakeCall()) as readonly Grant[]
          )[0]!;
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
            const grant = take({ amount, bestEffort });
            if (grant.remaining > before) return false;
            before = grant.remaining;
            if (grant.granted > 0 && refund) {
              void instance.refund!([{ limit, key: "k", amount: grant.granted, bestEffort: false }], fakeCall());
              before = Infinity;
            } else if (grant.granted > 0) spent.push({ at: passed, amount: grant.granted });
          }
          if (id === undefined) continue;
          const grant = take({ amount: 2, dedupId: id });
          if (!grant.allowed) continue;
          if (grant.repeated === true) {
            if (grant.granted !== first.get(id)) return false;
          } else {
            first.set(id, grant.granted);
            spent.push({ at: passed, amount: grant.granted });
          }
        }
        for (let i = 0; i < spent.length; i++) {
          let sum = 0;
          for (let j = i; j < spent.length; j++) {
            sum += spent[j]!.amount;
            if (sum > most(algorithm, limit, spent[j]!.at - spent[i]!.at) + 1e-6) return false;
          }
        }
        return true;
      }),
      { numRuns: 150 },
    );
    t.pass();
  });

  test(`${algorithm}: the largest and the slowest limits that can be written answer with numbers`, async (t) => {
    const host = fakeHost();
    const instance = await makeInstance(memory, {}, host);
    const calendar = { calendar: { unit: "year", zone: "UTC" } } as const;
    for (const [i, [amount, windowMs]] of [
      [1_000_000_000_000, 1],
      [1_000_000_000_000, 366 * 86_400_000],
      [1, 366 * 86_400_000],
      [1, 1],
    ].entries()) {
      const limit: Limit = {
        id: `p/${i}`,
        algorithm,
        amount: amount!,
        windowMs: windowMs!,
        burst: 1_000_000_000_000,
        ...(algorithm === "calendar" ? calendar : {}),
      };
      for (const asked of [1, 1_000_000_000_000, 1e308, Number.MAX_SAFE_INTEGER, 1]) {
        const [grant] = instance.quota(
          [{ limit, key: "k", amount: asked, bestEffort: false }],
          fakeCall(),
        ) as readonly Grant[];
        const numbers = [grant!.granted, grant!.remaining, grant!.resetMs, grant!.retryAfterMs ?? 0, grant!.validForMs];
        t.true(
          numbers.every((number) => Number.isSafeInteger(number) && number >= 0) || grant!.resetMs > 2 ** 53,
          `${asked} of ${amount} in ${windowMs}: ${numbers.join(" ")}`,
        );
        t.true(numbers.every(Number.isFinite));
      }
    }
  });
}
