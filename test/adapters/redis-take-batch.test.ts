import { setImmediate } from "node:timers/promises";
import test from "ava";
import type { Charge, Limit } from "weir/sdk";
import { createTake } from "../../adapters/redis/take-batch.ts";

const limit: Limit = { id: "p/r", algorithm: "token-bucket", amount: 10, windowMs: 1000, burst: 10 };
const charge = (key: string): Charge => ({ limit, key, amount: 1, bestEffort: false });

/** Takes over a store that a test answers for. */
function takes() {
  const sent: { keys: readonly string[]; answer(): void; fail(error: Error): void }[] = [];
  const take = createTake({
    dedupMs: 1000,
    tell({ key }, of, { keys, numbers }) {
      if (key === "wrong") throw new RangeError("cannot be told");
      keys.push(key);
      numbers.push("b".charCodeAt(0), 0, 0, of, 10, 1000, 10, 1, 1);
    },
    send: (keys) =>
      new Promise((resolve, reject) => {
        const answer = (): void => resolve(keys.flatMap(() => [1, 1, 9, 100, -1]));
        sent.push({ keys, answer, fail: reject });
      }),
  });
  return { sent, take: (key: string, slot = 0) => take([charge(key)], slot, "") };
}

test("what begins in one turn goes as one command, slot by slot", async (t) => {
  const { sent, take } = takes();
  const taken = [take("a"), take("b"), take("c", 7), take("d")];
  t.is(sent.length, 0);
  await setImmediate();
  t.deepEqual(
    sent.map(({ keys }) => keys),
    [["a", "b", "d"], ["c"]],
  );
  for (const { answer } of sent) answer();
  for (const [grant] of await Promise.all(taken)) t.deepEqual([grant!.allowed, grant!.remaining], [true, 9]);
});

test("decisions gather while four commands are under way, until one is answered or 32 are together", async (t) => {
  const { sent, take } = takes();
  const taken: Promise<unknown>[] = [];
  for (let i = 0; i < 7; i++) {
    taken.push(take(`k${i}`));
    await setImmediate();
  }
  t.is(sent.length, 4);
  // Another slot has room of its own.
  taken.push(take("elsewhere", 1));
  await setImmediate();
  t.deepEqual(sent[4]!.keys, ["elsewhere"]);
  sent[1]!.answer();
  await setImmediate();
  t.deepEqual(sent[5]!.keys, ["k4", "k5", "k6"]);
  for (let i = 0; i < 40; i++) taken.push(take(`m${i}`));
  await setImmediate();
  t.deepEqual(
    sent.slice(6).map(({ keys }) => keys.length),
    [32],
  );
  for (let i = 0; i < sent.length; i++) {
    sent[i]!.answer();
    await setImmediate();
  }
  await Promise.all(taken);
  t.is(sent.flatMap(({ keys }) => keys).length, 48);
  t.is(sent.length, 8);
});

test("what cannot be told fails alone; a command that fails fails its decisions, and the next ones go", async (t) => {
  const { sent, take } = takes();
  const [one, wrong, two] = [take("one"), take("wrong"), take("two")];
  await t.throwsAsync(wrong, { message: "cannot be told" });
  await setImmediate();
  t.deepEqual(sent[0]!.keys, ["one", "two"]);
  sent[0]!.fail(new Error("gone"));
  await t.throwsAsync(one, { message: "gone" });
  await t.throwsAsync(two, { message: "gone" });
  await t.throwsAsync(take("wrong"));
  const three = take("three");
  await setImmediate();
  sent[1]!.answer();
  t.true((await three)[0]!.allowed);
});
