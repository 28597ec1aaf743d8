import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Exported, LogEntry } from "../../src/sdk/index.ts";
import { logEntries } from "../../src/telemetry/queues/cargo.ts";
import { defaultQueueLimits, type QueueLimits } from "../../src/telemetry/queues/queue-limits.ts";
import { ExportQueue } from "../../src/telemetry/queues/queue.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { FakeClock, fakeLog, FakeObserver } from "./fakes.ts";

type Answer = Exported | Promise<Exported> | Error;

/** A queue whose adapter answers as it is told, and takes all once it is told nothing more. */
function setUp(
  answers: (Answer | ((batch: readonly LogEntry[], signal: AbortSignal) => Answer))[] = [],
  limits: Partial<QueueLimits> = {},
) {
  const clock = new FakeClock();
  const observer = new FakeObserver();
  const log = fakeLog();
  const batches: { readonly at: number; readonly names: string }[] = [];
  const start = clock.now();
  const queue = new ExportQueue({
    adapter: "out",
    cargo: logEntries,
    deliver(batch, { signal }) {
      batches.push({ at: clock.now() - start, names: batch.map(({ name }) => name).join("") });
      const next = answers.shift();
      const answer = typeof next === "function" ? next(batch, signal) : next;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    limits: { ...defaultQueueLimits, ...limits },
    observer,
    log,
    now: clock.now,
    random: () => 1,
    timers: clock,
  });
  const push = (names: string): void => {
    for (const name of names) queue.push({ name, timeMs: 0, severity: "info", fields: {} });
  };
  return { queue, clock, observer, log, batches, push };
}

const failed = (delivered: number, retry = true): Exported => ({ delivered, retry, reason: "backend is down" });

test("a batch goes out when its first entry has waited long enough", async (t) => {
  const { push, clock, batches, observer } = setUp([], { delayMs: 200 });
  push("ab");
  await clock.advance(150);
  push("c");
  await clock.advance(49);
  t.deepEqual(batches, []);
  await clock.advance(1);
  t.deepEqual(batches, [{ at: 200, names: "abc" }]);
  t.deepEqual(observer.told, ["adapter out logs ok"]);
  t.is(clock.pending, 0, "a queue that is empty sets no timer");
});

test("a full batch goes out at once, and what is left waits for its own time", async (t) => {
  const { push, clock, batches } = setUp([], { batch: 3, delayMs: 200 });
  push("abcdefgh");
  await clock.advance(0);
  t.deepEqual(
    batches.map(({ names }) => names),
    ["abc", "def"],
  );
  await clock.advance(200);
  t.deepEqual(batches[2], { at: 200, names: "gh" });
});

test("one batch is under way at a time, and entries that come meanwhile keep their order", async (t) => {
  let deliver = (): void => {};
  const { push, clock, batches } = setUp([new Promise((resolve) => (deliver = () => resolve(undefined)))], {
    batch: 2,
  });
  push("abcd");
  await clock.advance(1000);
  t.deepEqual(
    batches.map(({ names }) => names),
    ["ab"],
  );
  push("e");
  deliver();
  await clock.advance(0);
  t.deepEqual(
    batches.map(({ names }) => names),
    ["ab", "cd"],
  );
  await clock.advance(200);
  t.deepEqual(
    batches.map(({ names }) => names),
    ["ab", "cd", "e"],
  );
});

test("what may be retried is offered again, later and later, from where delivery stopped", async (t) => {
  const { push, clock, batches, observer, log } = setUp([failed(0), new Error("broken"), failed(1), failed(0)], {
    delayMs: 0,
    backoffMs: 100,
    maxBackoffMs: 150,
  });
  push("abc");
  await clock.advance(1000);
  t.deepEqual(batches, [
    { at: 0, names: "abc" },
    { at: 100, names: "abc" },
    { at: 250, names: "abc" },
    { at: 350, names: "bc" },
    { at: 500, names: "bc" },
  ]);
  t.deepEqual(observer.told, [...Array<string>(4).fill("adapter out logs fault"), "adapter out logs ok"]);
  t.deepEqual(log.lines, ["warn: adapter out does not take log entries", "info: adapter out takes log entries again"]);
});

test("the pause before a retry has chance in it, half to whole", async (t) => {
  for (const [random, at] of [
    [0, 50],
    [0.5, 75],
  ] as const) {
    const clock = new FakeClock();
    let calls = 0;
    const queue = new ExportQueue({
      adapter: "out",
      cargo: logEntries,
      deliver: () => (calls++ === 0 ? failed(0) : undefined),
      limits: { ...defaultQueueLimits, delayMs: 0, backoffMs: 100 },
      observer: new FakeObserver(),
      log: fakeLog(),
      now: clock.now,
      random: () => random,
      timers: clock,
    });
    queue.push({ name: "a", timeMs: 0, severity: "info", fields: {} });
    await clock.advance(at - 1);
    t.is(calls, 1);
    await clock.advance(1);
    t.is(calls, 2);
  }
});

test("a backend is left alone for as long as it asks, within bounds, also by what comes after", async (t) => {
  const asking = (retryAfterMs: number): Exported => ({ delivered: 0, retry: true, reason: "busy", retryAfterMs });
  const { push, clock, batches } = setUp([asking(30_000), asking(10), asking(NaN), asking(Infinity), asking(20_000)], {
    delayMs: 0,
    backoffMs: 100,
    maxRetryAfterMs: 60_000,
    attempts: 5,
  });
  push("ab");
  await clock.advance(0);
  push("c");
  await clock.advance(200_000);
  t.deepEqual(batches, [
    { at: 0, names: "ab" },
    { at: 30_000, names: "abc" },
    { at: 30_200, names: "abc" },
    { at: 30_600, names: "abc" },
    { at: 90_600, names: "abc" },
  ]);
  push("d");
  await clock.advance(0);
  t.is(batches.length, 6, "the pause is over");
});

test("a batch that no attempt delivers is dropped and counted, and the next has its chance", async (t) => {
  const { push, clock, batches, observer } = setUp([failed(0), failed(0), failed(0)], {
    batch: 2,
    attempts: 3,
    backoffMs: 10,
  });
  push("abc");
  await clock.advance(1000);
  t.deepEqual(
    batches.map(({ names }) => names),
    ["ab", "ab", "ab", "c"],
  );
  t.true(observer.told.includes("dropped log_entry retries_exhausted 2"));
});

test("what is refused for good is dropped and counted at once", async (t) => {
  const { push, clock, batches, observer } = setUp([failed(1, false)], { delayMs: 0 });
  push("abc");
  await clock.advance(1000);
  t.deepEqual(
    batches.map(({ names }) => names),
    ["abc"],
  );
  t.deepEqual(observer.told, ["adapter out logs fault", "dropped log_entry refused 2"]);
});

test("an adapter that does not answer is told to stop, and its batch is offered again", async (t) => {
  let aborted = false;
  const never = (_: readonly LogEntry[], signal: AbortSignal): Answer => {
    signal.addEventListener("abort", () => (aborted = true));
    return new Promise(() => {});
  };
  const { push, clock, batches, observer } = setUp([never], { delayMs: 0, timeoutMs: 500, backoffMs: 10 });
  push("a");
  await clock.advance(499);
  t.false(aborted);
  await clock.advance(11);
  t.true(aborted);
  t.deepEqual(
    batches.map(({ names }) => names),
    ["a", "a"],
  );
  t.deepEqual(observer.told, ["adapter out logs timeout", "adapter out logs ok"]);
});

test("an answer that makes no sense delivers no more than the batch", async (t) => {
  const { push, clock, observer, queue } = setUp([failed(99), failed(-5), failed(NaN), null as never], { delayMs: 0 });
  push("a");
  await clock.advance(10);
  t.is(queue.length, 0);
  push("bc");
  await clock.advance(10_000);
  t.is(queue.length, 0);
  t.is(observer.told.filter((line) => line.startsWith("dropped")).length, 0);
});

test("room is bounded by entries and by bytes", async (t) => {
  const { queue, push, clock } = setUp([], { entries: 3, bytes: 1000 });
  push("ab");
  t.is(queue.room, 1);
  push("c");
  t.is(queue.room, 0);
  await clock.advance(1000);
  t.is(queue.room, 3);
  queue.push({ name: "large", timeMs: 0, severity: "info", fields: { text: "x".repeat(5000) } });
  t.is(queue.room, 0);
  await clock.advance(1000);
  t.deepEqual([queue.room, queue.bytes], [3, 0]);
});

test("close delivers what waits without waiting for more", async (t) => {
  const { queue, push, clock, batches } = setUp([], { batch: 2, delayMs: 60_000 });
  push("abc");
  const closed = queue.close(1000);
  await clock.advance(0);
  await closed;
  t.deepEqual(
    batches.map(({ names }) => names),
    ["ab", "c"],
  );
  t.is(queue.room, 0);
  t.is(clock.pending, 0);
});

test("close gives up at its deadline, drops what is left and stops the delivery under way", async (t) => {
  let aborted = false;
  const { queue, push, clock, observer, log } = setUp([
    (_, signal) => {
      signal.addEventListener("abort", () => (aborted = true));
      return new Promise(() => {});
    },
  ]);
  push("ab");
  let done = false;
  const closed = queue.close(300).then(() => (done = true));
  await clock.advance(299);
  t.false(done);
  await clock.advance(1);
  await closed;
  t.true(aborted);
  t.deepEqual(observer.told, ["dropped log_entry closed 2"]);
  t.deepEqual(log.lines, ["warn: adapter out did not take all log entries in time: 2 dropped"]);
});

test("what would end with the process is what waits and nobody else keeps, and what was left in the end", async (t) => {
  const { queue, push, clock } = setUp([failed(1), failed(0), failed(0)], { attempts: 9, delayMs: 100 });
  const kept = (name: string): void => {
    queue.push({ name, timeMs: 0, severity: "info", fields: {} }, () => undefined);
  };
  push("a");
  kept("b");
  push("c");
  kept("d");
  t.is(queue.unsafe, 2);
  await clock.advance(100);
  t.is(queue.unsafe, 1, "one is delivered");
  const closed = queue.close(50);
  await clock.advance(50);
  await closed;
  t.is(queue.unsafe, 1);
});

test("close waits for a delivery that is under way", async (t) => {
  let deliver = (): void => {};
  const { queue, push, clock, observer } = setUp([new Promise((resolve) => (deliver = () => resolve(undefined)))], {
    delayMs: 0,
  });
  push("a");
  await clock.advance(0);
  const closed = queue.close(1000);
  deliver();
  await clock.advance(0);
  await closed;
  t.deepEqual(observer.told, ["adapter out logs ok"]);
  t.is(clock.pending, 0);
});

const keptBy = ({ queue }: ReturnType<typeof setUp>, names: string): string[] => {
  const done: string[] = [];
  for (const name of names) queue.push({ name, timeMs: 0, severity: "info", fields: {} }, () => void done.push(name));
  return done;
};

test("close tries an adapter that is away once more, and leaves what others keep to them", async (t) => {
  const world = setUp([failed(0), failed(0), failed(0)], { delayMs: 0, backoffMs: 5000 });
  const done = keptBy(world, "ab");
  await world.clock.advance(100);
  t.is(world.batches.length, 1);
  const closed = world.queue.close(60_000);
  await world.clock.advance(0);
  await closed;
  t.is(world.batches.length, 2);
  t.deepEqual(done, []);
  t.false(world.observer.told.some((line) => line.startsWith("dropped")));
  t.is(world.clock.pending, 0);
});

test("close delivers all to an adapter that is back by then", async (t) => {
  const world = setUp([failed(0), undefined], { delayMs: 0, backoffMs: 5000, batch: 2 });
  const done = keptBy(world, "abc");
  await world.clock.advance(100);
  const closed = world.queue.close(60_000);
  await world.clock.advance(0);
  await closed;
  t.deepEqual(done, ["a", "b", "c"]);
  t.is(world.clock.pending, 0);
});

/** Closes a queue with that deadline, which takes just so long. `before`: what is looked at a millisecond before its end. */
async function closesAfter(
  t: ExecutionContext,
  { queue, clock }: ReturnType<typeof setUp>,
  ms: number,
  deadlineMs: number,
  before?: () => void,
): Promise<void> {
  let isClosed = false;
  const closed = queue.close(deadlineMs).then(() => (isClosed = true));
  await clock.advance(ms - 1);
  before?.();
  t.false(isClosed);
  await clock.advance(1);
  await closed;
}

test("close gives an adapter that is away and does not answer a second, where others keep what waits", async (t) => {
  const hangs = (): Promise<never> => new Promise(() => {});
  for (const before of [[failed(0)], [failed(0), hangs]]) {
    const world = setUp([...before, hangs], { delayMs: 0, backoffMs: 5000 });
    keptBy(world, "a");
    await world.clock.advance(before.length === 1 ? 100 : 5100);
    t.is(world.batches.length, before.length);
    await closesAfter(t, world, 1000, 60_000);
    t.is(world.batches.length, 2);
  }
});

test("close offers what others keep again for a moment where a single offer fails, and keeps to a pause that is asked for", async (t) => {
  const flaky = setUp([failed(0), failed(0)], { delayMs: 60_000, backoffMs: 100 });
  const done = keptBy(flaky, "a");
  const closed = flaky.queue.close(60_000);
  await flaky.clock.advance(300);
  await closed;
  t.deepEqual(done, ["a"]);

  const asking = setUp([{ delivered: 0, retry: true, reason: "busy", retryAfterMs: 500 }], { delayMs: 0 });
  keptBy(asking, "a");
  await asking.clock.advance(100);
  await asking.queue.close(60_000);
  t.is(asking.batches.length, 1);
});

test("close waits a moment for an offer under way that was made after a pause that was asked for", async (t) => {
  let take!: (answer: undefined) => void;
  const asked: Exported = { delivered: 0, retry: true, reason: "busy", retryAfterMs: 500 };
  const taken = () => new Promise<Exported>((resolve) => (take = resolve as typeof take));
  const world = setUp([asked, taken], { delayMs: 0 });
  const done = keptBy(world, "a");
  await world.clock.advance(1000);
  t.is(world.batches.length, 2);
  const closed = world.queue.close(60_000);
  await world.clock.advance(10);
  take(undefined);
  await closed;
  t.deepEqual(done, ["a"]);
  t.is(world.clock.pending, 0);
});

test("close waits for an offer of an adapter that has taken something meanwhile", async (t) => {
  const slow = () => new Promise<never>(() => {});
  const world = setUp([failed(0), undefined, slow], { delayMs: 0, backoffMs: 5000, batch: 1, timeoutMs: 30_000 });
  keptBy(world, "ab");
  await world.clock.advance(100);
  await closesAfter(t, world, 10_000, 10_000, () => t.is(world.batches.length, 3));
});

test("close gives an adapter a second that begins to fail meanwhile, however short its pauses are", async (t) => {
  const limits = { delayMs: 0, attempts: 1000, backoffMs: 100, maxBackoffMs: 100 };
  const world = setUp(Array<Exported>(100).fill(failed(0)), limits);
  keptBy(world, "a");
  await closesAfter(t, world, 1000, 60_000);
});

test("close tries for all of its time where nobody else has some of what waits", async (t) => {
  const world = setUp(Array<Exported>(100).fill(failed(0)), { delayMs: 0, attempts: 1000, maxBackoffMs: 1000 });
  keptBy(world, "ab");
  world.push("c");
  await world.clock.advance(3000);
  await closesAfter(t, world, 10_000, 10_000);
  t.deepEqual(
    world.observer.told.filter((line) => line.startsWith("dropped")),
    ["dropped log_entry closed 1"],
  );
});

test("closing a queue that is empty takes no time", async (t) => {
  const { queue, clock } = setUp();
  await queue.close(1000);
  t.is(clock.pending, 0);
});

test("whatever the adapter answers, entries arrive in order and each is delivered or counted as dropped", async (t) => {
  const answer = fc.oneof(
    fc.constant(undefined),
    fc.record({ delivered: fc.nat(6), retry: fc.boolean(), reason: fc.constant("x") }),
    fc.constant(new Error("broken")),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(answer, { maxLength: 30 }),
      fc.array(fc.nat(9), { maxLength: 10 }),
      async (answers, pushes) => {
        let delivered = 0;
        let last = -1;
        const scripted = answers.map((given) => (batch: readonly LogEntry[]): Answer => {
          take(given instanceof Error ? 0 : Math.min(batch.length, given?.delivered ?? batch.length), batch);
          return given;
        });
        const take = (count: number, batch: readonly LogEntry[]): void => {
          for (const { timeMs } of batch.slice(0, count)) {
            t.true(timeMs > last);
            last = timeMs;
            delivered++;
          }
        };
        const { queue, clock, observer } = setUp(
          [
            ...scripted,
            ...Array.from(
              { length: 200 },
              () => (batch: readonly LogEntry[]) => take(batch.length, batch) as undefined,
            ),
          ],
          { batch: 5, attempts: 3 },
        );
        let n = 0;
        for (const count of pushes) {
          for (let i = 0; i < count; i++) queue.push({ name: "x", timeMs: n++, severity: "info", fields: {} });
          await clock.advance(50);
        }
        const closed = queue.close(1e6);
        await clock.advance(1e6);
        await closed;
        const dropped = observer.told
          .filter((line) => line.startsWith("dropped"))
          .reduce((sum, line) => sum + Number(line.split(" ")[3]), 0);
        t.is(delivered + dropped, n);
        t.deepEqual([queue.length, queue.bytes], [0, 0]);
      },
    ),
    { numRuns: fuzzRuns(50) },
  );
});

test("the queue says why a batch is offered again, until it is taken or given up", async (t) => {
  const { queue, push, clock } = setUp(
    [failed(0), new Error("it broke"), undefined, failed(0), failed(0), failed(0), failed(0, false)],
    { delayMs: 0, attempts: 3, backoffMs: 10 },
  );
  const problems: (string | undefined)[] = [queue.problem];
  push("a");
  for (let i = 0; i < 3; i++) {
    await clock.advance(i === 0 ? 0 : 10 * i);
    problems.push(queue.problem);
  }
  push("b");
  await clock.advance(0);
  problems.push(queue.problem);
  await clock.advance(10 + 20);
  problems.push(queue.problem);
  push("c");
  await clock.advance(0);
  problems.push(queue.problem);
  t.deepEqual(problems, [
    undefined,
    "it does not take log entries: backend is down",
    "it does not take log entries: it broke",
    undefined,
    "it does not take log entries: backend is down",
    // Given up after three attempts.
    undefined,
    // Refused for good.
    undefined,
  ]);
});
