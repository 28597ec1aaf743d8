import test from "ava";
import { percentiles, percentilesText, repeat } from "../../src/cli/repeat.ts";

test("so many calls are made, so many of them at the same time", async (t) => {
  const waiting: (() => void)[] = [];
  let most = 0;
  let begun = 0;
  const done = repeat(
    10,
    4,
    () => 0,
    () => {
      begun++;
      return new Promise((resolve) => {
        waiting.push(() => resolve(true));
        most = Math.max(most, waiting.length);
      });
    },
  );
  t.is(begun, 4);
  while (waiting.length > 0) {
    waiting.shift()!();
    await new Promise((turn) => setImmediate(turn));
  }
  const { made, latencies } = await done;
  t.deepEqual([made, latencies.length, most], [10, 10, 4]);
});

test("a percentile is the shortest time within which so large a share was answered", (t) => {
  const of = (count: number) => {
    const latencies = Float64Array.from({ length: count }, (_, i) => i + 1);
    return percentiles({ latencies, made: count });
  };
  t.deepEqual(of(100), { p50: 50, p90: 90, p99: 99, max: 100 });
  t.deepEqual(of(2), { p50: 1, p90: 2, p99: 2, max: 2 });
  t.deepEqual(of(1), { p50: 1, p90: 1, p99: 1, max: 1 });
  const text = percentilesText({ latencies: Float64Array.of(0.306, 2), made: 2 });
  t.is(text, "p50 0.31 ms, p90 2.00 ms, p99 2.00 ms, max 2.00 ms");
});
