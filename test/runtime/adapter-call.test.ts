import test from "ava";
import type { Call, Instance, Verdict } from "../../src/sdk/index.ts";
import { AdapterCalls } from "../../src/runtime/adapter-call.ts";
import { CircuitBreaker } from "../../src/runtime/circuit-breaker.ts";
import { Failure } from "../../src/runtime/failure.ts";
import { fakeClock, logLines, recorder, settled } from "./world.ts";

function calling(instance: Partial<Instance>, options: { maxWaiting?: number } = {}) {
  const clock = fakeClock();
  const { observer, told } = recorder();
  const { log, lines } = logLines();
  const calls = new AdapterCalls({
    name: "x",
    instance,
    timeoutMs: () => 1000,
    observer,
    log,
    now: () => clock.now(),
    monotonic: () => clock.now(),
    timers: clock,
    breaker: { failures: 3, openMs: 1000, maxOpenMs: 4000 },
    ...options,
  });
  const kindOf = async (answer: unknown): Promise<string> => {
    const settledAnswer = await answer;
    return settledAnswer instanceof Failure ? settledAnswer.kind : "ok";
  };
  return { calls, clock, told, lines, kindOf };
}

const allow: Verdict = { allow: true };

test("an answer that comes at once is passed on at once, without timer", (t) => {
  const { calls, clock, told } = calling({ check: () => allow });
  t.is(calls.check({}), allow);
  t.is(clock.waiting, 0);
  t.deepEqual(told, ["call x check ok"]);
});

test("a call that takes too long ends as a timeout, and its signal is aborted", async (t) => {
  let signal: AbortSignal | undefined;
  const { calls, clock, kindOf, lines } = calling({
    check: (_input, call: Call) => {
      signal = call.signal;
      return new Promise(() => undefined);
    },
  });
  const answer = kindOf(calls.check({}));
  await clock.advance(999);
  t.false(signal!.aborted);
  await clock.advance(1);
  t.is(await answer, "timeout");
  t.true(signal!.aborted);
  t.like(lines[0]!.fields, { failure: "timeout", reason: "no answer within 1000 ms", err: undefined });
});

test("a call that is told when it begins says when it was answered, where that is at once and no failure", async (t) => {
  const grant = { allowed: true, granted: 1, remaining: 0, resetMs: 0, validForMs: 0 };
  const limit = { id: "a/b", algorithm: "token-bucket", amount: 1, windowMs: 1, burst: 1 } as const;
  const charge = { limit, key: "k", amount: 1, bestEffort: false };
  const endOf = async (instance: Partial<Instance>): Promise<number | undefined> => {
    const { calls, clock, kindOf } = calling(instance);
    await clock.advance(500);
    const time = { startMs: clock.now() - 100, endMs: undefined };
    await kindOf(calls.quota([charge], undefined, undefined, time));
    return time.endMs === undefined ? undefined : time.endMs - time.startMs;
  };
  t.is(await endOf({ quota: () => [grant] }), 100);
  t.is(await endOf({ atHand: () => [grant] }), 100);
  t.is(await endOf({ quota: () => Promise.resolve([grant]) }), undefined);
  t.is(await endOf({ quota: () => [] }), undefined);
  t.is(await endOf({ atHand: () => [] }), undefined);
});

test("what an instance has at hand is answered while its breaker is open, and does not close it", async (t) => {
  const grant = { allowed: true, granted: 1, remaining: 0, resetMs: 0, validForMs: 0 };
  const limit = { id: "a/b", algorithm: "token-bucket", amount: 1, windowMs: 1, burst: 1 } as const;
  const charge = { limit, key: "k", amount: 1, bestEffort: false };
  let atHand = false;
  let asked = 0;
  const { calls, told, kindOf } = calling({
    atHand: () => (atHand ? [grant] : undefined),
    quota: () => Promise.reject(new Error(`away ${++asked}`)),
  });
  for (let i = 0; i < 3; i++) t.is(await kindOf(calls.quota([charge])), "fault");
  t.is(await kindOf(calls.quota([charge])), "open");
  atHand = true;
  t.deepEqual(calls.quota([charge]), [grant]);
  t.is(told.at(-1), "call x quota ok");
  atHand = false;
  t.is(await kindOf(calls.quota([charge])), "open");
  t.is(asked, 3);
});

test("a caller's deadline shortens a call, but says nothing of the adapter", async (t) => {
  const { calls, clock, kindOf } = calling({ check: () => new Promise(() => undefined) });
  for (let i = 0; i < 5; i++) {
    const answer = kindOf(calls.check({}, { deadlineMs: clock.now() + 10 }));
    await clock.advance(10);
    t.is(await answer, "timeout");
  }
  const answer = kindOf(calls.check({}, { deadlineMs: clock.now() - 10 }));
  await clock.advance(0);
  t.is(await answer, "timeout", "not open: the breaker has not counted them");
});

test("a deadline is read only where an answer is waited for", async (t) => {
  let read = 0;
  const { calls, clock, kindOf } = calling({
    check: (input) => ((input as { wait?: true }).wait === true ? new Promise(() => undefined) : allow),
  });
  const deadline = {
    get deadlineMs() {
      read++;
      return clock.now() + 10;
    },
  };
  t.is(calls.check({}, deadline), allow);
  t.is(read, 0);
  const answer = kindOf(calls.check({ wait: true }, deadline));
  await clock.advance(10);
  t.is(await answer, "timeout");
  t.is(read, 1);
});

test("no more calls wait than may, and those that ignore their deadline still count", async (t) => {
  const ends: (() => void)[] = [];
  const { calls, clock, kindOf } = calling(
    { check: () => new Promise((resolve) => ends.push(() => resolve(allow))) },
    { maxWaiting: 2 },
  );
  const [one, two] = [kindOf(calls.check({})), kindOf(calls.check({}))];
  t.is(await kindOf(calls.check({})), "busy");
  await clock.advance(1000);
  t.deepEqual([await one, await two], ["timeout", "timeout"]);
  t.is(await kindOf(calls.check({})), "busy");
  for (const end of ends) end();
  await settled();
  const third = kindOf(calls.check({}));
  ends[2]!();
  t.is(await third, "ok");
});

test("after failures in a row the adapter is left alone, then tried once, and answers again", async (t) => {
  let asked = 0;
  let up = false;
  const { calls, clock, kindOf, lines } = calling({
    check: async () => {
      asked++;
      if (!up) throw new Error("down");
      return allow;
    },
  });
  for (const expected of ["fault", "fault", "fault", "open", "open"]) t.is(await kindOf(calls.check({})), expected);
  t.is(asked, 3);
  await clock.advance(1000);
  const trial = calls.check({});
  t.is(await kindOf(calls.check({})), "open", "one call at a time is the trial");
  t.is(await kindOf(trial), "fault");
  await clock.advance(1000);
  t.is(await kindOf(calls.check({})), "open", "it stays open twice as long");
  await clock.advance(1000);
  up = true;
  t.is(await kindOf(calls.check({})), "ok");
  t.is(await kindOf(calls.check({})), "ok");
  t.deepEqual(
    lines.map(({ level }) => level),
    ["warn", "info"],
    "one line when it begins to fail and one when it ends",
  );
});

test("an adapter that is left alone and says that it can serve again is tried before its time", async (t) => {
  let up = false;
  let looked = 0;
  const { calls, clock, kindOf } = calling({
    check: () => (up ? Promise.resolve(allow) : Promise.reject(new Error("no connection"))),
    unready: () => (looked++, up ? undefined : "no connection"),
  });
  t.is(await kindOf(calls.check({})), "fault");
  t.is(looked, 0, "nobody asks while it is not left alone");
  for (const expected of ["fault", "fault", "open"]) t.is(await kindOf(calls.check({})), expected);
  await clock.advance(1000);
  t.is(await kindOf(calls.check({})), "fault", "from here on it is left alone for 2 s");
  await clock.advance(1001);
  t.true(calls.isLeftAlone);
  up = true;
  t.false(calls.isLeftAlone);
  t.is(await kindOf(calls.check({})), "ok");
  t.is(await kindOf(calls.check({})), "ok");
});

test("what an adapter says when its last call fails counts, and what it said before does not", async (t) => {
  for (const saysSo of [true, false]) {
    let isUp = false;
    const { calls, clock, kindOf } = calling({
      check: () => Promise.reject(new Error("no connection")),
      unready: () => (isUp ? undefined : "no connection"),
    });
    for (const expected of ["fault", "fault", "fault", "open"]) t.is(await kindOf(calls.check({})), expected);
    await clock.advance(1000);
    isUp = !saysSo;
    t.is(await kindOf(calls.check({})), "fault", "from here on it is left alone for 2 s");
    isUp = true;
    await clock.advance(1001);
    t.is(calls.isLeftAlone, !saysSo);
  }
});

test("an adapter that cannot say whether it can serve is left alone for the whole time", async (t) => {
  const { calls, clock, kindOf } = calling({
    check: () => Promise.reject(new Error("down")),
    unready: () => {
      throw new Error("ha");
    },
  });
  for (const expected of ["fault", "fault", "fault", "open"]) t.is(await kindOf(calls.check({})), expected);
  await clock.advance(1000);
  t.is(await kindOf(calls.check({})), "fault");
  await clock.advance(1999);
  t.is(await kindOf(calls.check({})), "open");
});

test("an adapter that fails now and then is logged seldom, and an outage that began meanwhile is", async (t) => {
  let fails = false;
  const { calls, clock, kindOf, lines } = calling({
    check() {
      if (fails) throw new Error("off");
      return allow;
    },
  });
  const ask = async (failing: boolean): Promise<void> => {
    fails = failing;
    t.is(await kindOf(calls.check({})), failing ? "fault" : "ok");
  };
  const told = (): readonly string[] =>
    lines.splice(0).map(({ message, fields }) => `${message} ${(fields as { notLogged?: number }).notLogged ?? 0}`);
  for (let i = 0; i < 100; i++) await ask(i % 2 === 0);
  t.deepEqual(told(), ["the adapter does not answer 0", "the adapter answers again 0"]);
  await ask(true);
  t.deepEqual(told(), []);
  await clock.advance(10_000);
  for (let i = 0; i < 3; i++) await ask(true);
  t.deepEqual(told(), ["the adapter does not answer 50"]);
  await ask(false);
  t.deepEqual(told(), ["the adapter answers again 0"]);
});

test("what is thrown at once is a fault of one request and does not leave the adapter alone", async (t) => {
  const { calls, kindOf } = calling({
    check: () => {
      throw new Error("this input");
    },
  });
  for (let i = 0; i < 20; i++) t.is(await kindOf(calls.check({})), "fault");
});

test("grants must be one a charge, each of the right shape", async (t) => {
  const limit = { id: "p/l", algorithm: "token-bucket", amount: 1, windowMs: 1, burst: 1 } as const;
  const charge = { limit, key: "k", amount: 1, bestEffort: false };
  const good = { allowed: true, granted: 1, remaining: 0, resetMs: 0, validForMs: 0 };
  for (const [grants, kind] of [
    [[good], "ok"],
    [[{ ...good, granted: 0 }], "ok"],
    [[{ ...good, granted: 5, repeated: true }], "ok"],
    [[{ ...good, allowed: false, granted: 0, retryAfterMs: 5 }], "ok"],
    [[], "fault"],
    [[good, good], "fault"],
    [[undefined], "fault"],
    [new Array(1), "fault"],
    [[{ ...good, allowed: 1 }], "fault"],
    [[{ ...good, granted: 2 }], "fault"],
    [[{ ...good, allowed: false }], "fault"],
    ...["granted", "remaining", "resetMs", "validForMs", "retryAfterMs"].flatMap((key) =>
      [NaN, -1, Infinity, "1", null].map((value) => [[{ ...good, [key]: value }], "fault"] as const),
    ),
    [undefined, "fault"],
  ] as const) {
    const { calls, kindOf } = calling({ quota: () => grants as never });
    t.is(await kindOf(calls.quota([charge])), kind, JSON.stringify(grants));
  }
});

for (const [wrong, verdict] of [
  ["nothing", undefined],
  ["no object", "allow"],
  ["allow that is no boolean", { allow: "yes" }],
  ["a code that is no status", { allow: false, code: "teapot" }],
  ["a code that every object has", { allow: false, code: "constructor" }],
  ["a message that is no text", { allow: false, message: 5 }],
  ["a validity that is no number", { allow: true, validForMs: NaN }],
  ["a negative use count", { allow: true, validUses: -1 }],
  [
    "a getter that throws",
    {
      get allow() {
        throw new Error("ha");
      },
    },
  ],
] as const) {
  test(`a verdict with ${wrong} is a fault, at once and behind a promise, and the log says what is wrong`, async (t) => {
    for (const answer of [() => verdict, async () => verdict]) {
      const { calls, kindOf, lines } = calling({ check: answer as never });
      t.is(await kindOf(calls.check({})), "fault");
      t.is(lines.length, 1);
      t.true((lines[0]!.fields as { err?: unknown }).err instanceof Error);
    }
  });
}

test("a refund that fails or is not supported is counted", async (t) => {
  const charge = {
    limit: { id: "p/l", algorithm: "token-bucket", amount: 1, windowMs: 1, burst: 1 } as const,
    key: "k",
    amount: 1,
    bestEffort: false,
  };
  const none = calling({});
  none.calls.refund([charge, charge]);
  t.deepEqual(none.told, ["dropped refund not_supported 2"]);
  const failing = calling({ refund: () => Promise.reject(new Error("down")) });
  failing.calls.refund([charge]);
  await settled();
  t.true(failing.told.includes("dropped refund fault 1"));
});

test("idle waits for the calls under way", async (t) => {
  let end!: () => void;
  const { calls } = calling({ check: () => new Promise((resolve) => (end = () => resolve(allow))) });
  void calls.check({});
  let idle = false;
  const waiting = calls.idle().then(() => (idle = true));
  await settled();
  t.false(idle);
  end();
  await waiting;
  t.true(idle);
});

test("a breaker closes on the first success and counts only failures in a row", (t) => {
  let now = 0;
  const breaker = new CircuitBreaker(() => now, { failures: 2, openMs: 10, maxOpenMs: 15 });
  const call = (ok: boolean): boolean => {
    if (!breaker.admits()) return false;
    breaker.done(ok);
    return true;
  };
  t.true(call(false) && call(true) && call(false) && call(true) && call(false) && call(false));
  t.false(breaker.admits());
  now = 10;
  t.true(call(false));
  now = 24;
  t.false(breaker.admits());
  now = 25;
  t.true(call(true) && call(false) && call(true));
});

test("a backend that says again and again that it is back is tried no sooner than after the first pause", (t) => {
  let now = 0;
  let ready = true;
  const breaker = new CircuitBreaker(
    () => now,
    { failures: 1, openMs: 10, maxOpenMs: 1000 },
    () => ready,
  );
  const tried: number[] = [];
  for (; now < 100; now++) {
    ready = !ready;
    if (!breaker.admits()) continue;
    tried.push(now);
    breaker.done(false);
  }
  t.is(tried.length, 10, tried.join());
  t.true(tried.every((at, i) => i === 0 || at - tried[i - 1]! >= 10));
});

test("a backend that fails while it says that it can serve is tried when the pause is over", (t) => {
  let now = 0;
  const breaker = new CircuitBreaker(
    () => now,
    { failures: 1, openMs: 10, maxOpenMs: 40 },
    () => true,
  );
  const tried: number[] = [];
  for (; now < 100; now++) {
    if (!breaker.admits()) continue;
    tried.push(now);
    breaker.done(false);
  }
  t.deepEqual(tried, [0, 10, 30, 70]);
});
