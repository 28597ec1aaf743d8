import test from "ava";
import { createStopSignals } from "../../src/cli/stop-signals.ts";

/** What the given signals mean, each at its moment. */
function meanings(
  env: Record<string, string>,
  signals: readonly (readonly [atMs: number, signal: string])[],
): string[] {
  let nowMs = 0;
  const meaning = createStopSignals({ env, now: () => nowMs });
  return signals.map(([atMs, signal]) => {
    nowMs = atMs;
    return meaning(signal);
  });
}

test("the first signal drains and the second exits", (t) => {
  t.deepEqual(
    meanings({}, [
      [5, "SIGTERM"],
      [5, "SIGTERM"],
    ]),
    ["drain", "exit"],
  );
  t.deepEqual(
    meanings({}, [
      [5, "SIGINT"],
      [9000, "SIGTERM"],
      [9001, "SIGTERM"],
    ]),
    ["drain", "exit", "exit"],
  );
});

test("a signal that npm hands on besides is the same one", (t) => {
  const npm = { npm_lifecycle_event: "start" };
  t.deepEqual(
    meanings(npm, [
      [5, "SIGINT"],
      [9, "SIGINT"],
      [400, "SIGINT"],
    ]),
    ["drain", "echo", "exit"],
  );
  t.deepEqual(
    meanings(npm, [
      [5, "SIGINT"],
      [9, "SIGTERM"],
    ]),
    ["drain", "exit"],
  );
});
