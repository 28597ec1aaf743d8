import test from "ava";
import { createLookTimes } from "../../../src/runtime/watch/look-times.ts";

test("many are looked at less often, and still less where changes are told", (t) => {
  const times = createLookTimes(1000, () => 0);
  const cases: readonly (readonly [entries: number, untoldMs: number, toldMs: number])[] = [
    [1, 1000, 1000],
    [333, 1000, 6660],
    [1000, 3000, 20_000],
    [3000, 9000, 60_000],
    [10_000, 30_000, 60_000],
    [100_000, 300_000, 300_000],
  ];
  for (const [entries, untoldMs, toldMs] of cases) {
    t.is(times.restMs(entries, false), untoldMs, `${entries}`);
    t.is(times.restMs(entries, true), toldMs, `${entries}`);
  }
  t.false(times.areMany(333));
  t.true(times.areMany(334));
});

test("what changes now and then is looked at at once, what changes all the time by the number of files", (t) => {
  let nowMs = 0;
  const times = createLookTimes(1000, () => nowMs);
  /** Looks for so long as often as may be; answers how often. */
  const storm = (entries: number, forMs: number): number => {
    let looks = 0;
    for (const endMs = nowMs + forMs; nowMs < endMs; looks++) nowMs += times.soonMs(entries);
    return looks;
  };
  t.is(storm(400, 60_000), 60, "never more often than few are");
  t.is(storm(10_000, 6_000), 6);
  t.true(storm(10_000, 600_000) <= 61);
  nowMs += 60_000;
  t.is(storm(10_000, 6_000), 6, "after a rest at once again");
});
