import test from "ava";
import { createVirtualClock } from "../../src/cli/policy-test/virtual-clock.ts";

test("timers run in the order of their time, each at its own", async (t) => {
  const clock = createVirtualClock(1000);
  const ran: string[] = [];
  clock.timers.after(30, () => ran.push(`c at ${clock.now()}`));
  clock.timers.after(10, () => {
    ran.push(`a at ${clock.now()}`);
    clock.timers.after(5, () => ran.push(`b at ${clock.now()}`));
  });
  const cancel = clock.timers.after(20, () => ran.push("cancelled"));
  cancel();
  await clock.advance(29);
  t.deepEqual(ran, ["a at 1010", "b at 1015"]);
  t.is(clock.now(), 1029);
  await clock.advance(1);
  t.deepEqual(ran.at(-1), "c at 1030");
});

test("what is due at once runs when the clock settles, and no time passes", async (t) => {
  const clock = createVirtualClock(0);
  let ran = 0;
  clock.timers.after(0, () => clock.timers.after(0, () => ran++));
  clock.timers.after(1, () => t.fail());
  await clock.settle();
  t.is(ran, 1);
  t.is(clock.now(), 0);
});

test("a promise that time settles is waited for by letting time pass", async (t) => {
  const clock = createVirtualClock(0);
  const promise = new Promise<string>((resolve) => clock.timers.after(5000, () => resolve("late")));
  clock.timers.after(60_000, () => t.fail());
  t.is(await clock.until(promise, new Set()), "late");
  t.is(clock.now(), 5000);
});

test("work outside is waited for before time passes", async (t) => {
  const clock = createVirtualClock(0);
  let answer: (text: string) => void = () => t.fail();
  const outside = new Promise<string>((resolve) => (answer = resolve));
  const timeout = new Promise<string>((resolve) => clock.timers.after(1000, () => resolve("timeout")));
  const waited = clock.until(Promise.race([outside, timeout]), new Set([outside]));
  setImmediate(() => setImmediate(() => answer("outside")));
  t.is(await waited, "outside");
  t.is(clock.now(), 0);
});

test("a promise that fails is passed on, one that nothing settles is told", async (t) => {
  const clock = createVirtualClock(0);
  await t.throwsAsync(clock.until(Promise.reject(new Error("no")), new Set()), { message: "no" });
  await t.throwsAsync(clock.until(new Promise(() => {}), new Set()), { message: /nothing can bring about/ });
});
