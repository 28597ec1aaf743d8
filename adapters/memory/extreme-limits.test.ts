import test from "ava";
import type { Algorithm, Grant, Limit } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance } from "weir/sdk/testing";
import memory from "./index.ts";

const windows: readonly Exclude<Algorithm, "concurrency">[] = [
  "token-bucket",
  "sliding-window",
  "fixed-window",
  "calendar",
];

for (const algorithm of windows) {
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
