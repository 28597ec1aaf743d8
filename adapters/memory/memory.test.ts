import { readFileSync } from "node:fs";
import test from "ava";
import fc from "fast-check";
import type { Algorithm, Charge, Grant, Limit } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance, testAdapter } from "weir/sdk/testing";
import type { FakeHost } from "weir/sdk/testing";
import { parse } from "yaml";
import memory from "./index.ts";
import { counters } from "./limiter.ts";
import { slidingWindow } from "./sliding-window.ts";

testAdapter(test, memory, {
  config: {},
  refusedConfigs: [{ maxKeys: 0 }, { maxKeys: 1.5 }, { dedup: "soon" }, { dedup: 5 }],
});

const algorithms = Object.keys(counters) as Algorithm[];

function limit(part: Partial<Limit> = {}): Limit {
  const amount = part.amount ?? 10;
  const period = part.algorithm === "calendar" ? { calendar: { unit: "minute", zone: "Asia/Kolkata" } as const } : {};
  return { id: "test/limit", algorithm: "token-bucket", amount, windowMs: 1000, burst: amount, ...period, ...part };
}

/** What was granted and when, for requests of the given amounts with the given pauses before them. */
function drive(given: Limit, requests: readonly (readonly [pauseMs: number, amount: number])[]) {
  const counter = counters[given.algorithm];
  const state = new Float64Array(counter.width);
  let now = 1_767_225_600_000;
  const grants: { at: number; amount: number }[] = [];
  for (const [pause, amount] of requests) {
    now += pause;
    const available = counter.available(state, 0, given, now);
    if (amount > available) continue;
    counter.take(state, 0, given, now, amount);
    if (amount > 0) grants.push({ at: now, amount });
  }
  return grants;
}

/** The most that was granted beyond `bound(span)` in any span of time. */
function worstExcess(grants: readonly { at: number; amount: number }[], bound: (spanMs: number) => number): number {
  let worst = 0;
  for (let i = 0; i < grants.length; i++) {
    let sum = 0;
    for (let j = i; j < grants.length; j++) {
      sum += grants[j]!.amount;
      worst = Math.max(worst, sum - bound(grants[j]!.at - grants[i]!.at));
    }
  }
  return worst;
}

const someLimit = fc.record({
  amount: fc.integer({ min: 1, max: 1000 }),
  windowMs: fc.constantFrom(1, 7, 100, 1000, 1001, 60_000),
  burst: fc.integer({ min: 1, max: 2000 }),
});
const someRequests = fc.array(fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 300 })), { maxLength: 80 });

test("token bucket: no span of time sees more than burst + rate x span", (t) => {
  fc.assert(
    fc.property(someLimit, someRequests, (part, requests) => {
      const given = limit(part);
      const excess = worstExcess(
        drive(given, requests),
        (span) => given.burst + (span * given.amount) / given.windowMs,
      );
      return excess <= 1e-6;
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test("sliding window: no window, wherever it begins, sees more than the amount", (t) => {
  fc.assert(
    fc.property(someLimit, someRequests, (part, requests) => {
      const given = limit({ ...part, algorithm: "sliding-window" });
      const excess = worstExcess(drive(given, requests), (span) =>
        span < given.windowMs ? given.amount : Number.POSITIVE_INFINITY,
      );
      return excess <= 0;
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test("sliding window: a unit is free again after one window and one sixteenth at the latest", (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 100_000 }), fc.constantFrom(16, 100, 1000, 60_000), (start, windowMs) => {
      const given = limit({ algorithm: "sliding-window", windowMs, amount: 1 });
      const state = new Float64Array(slidingWindow.width);
      slidingWindow.available(state, 0, given, start);
      slidingWindow.take(state, 0, given, start, 1);
      return slidingWindow.available(state, 0, given, start + windowMs + windowMs / 16) === 1;
    }),
  );
  t.pass();
});

test("fixed window: no aligned window sees more than the amount", (t) => {
  fc.assert(
    fc.property(someLimit, someRequests, (part, requests) => {
      const given = limit({ ...part, algorithm: "fixed-window" });
      const sums = new Map<number, number>();
      for (const { at, amount } of drive(given, requests)) {
        const window = Math.floor(at / given.windowMs);
        sums.set(window, (sums.get(window) ?? 0) + amount);
      }
      return [...sums.values()].every((sum) => sum <= given.amount);
    }),
    { numRuns: 300 },
  );
  t.pass();
});

for (const algorithm of algorithms) {
  test(`${algorithm}: whoever waits as told is granted, and a millisecond earlier is not`, (t) => {
    const counter = counters[algorithm];
    fc.assert(
      fc.property(someLimit, someRequests, fc.nat(), (part, requests, n) => {
        const given = limit({ ...part, algorithm });
        const state = new Float64Array(counter.width);
        let now = 1_767_225_600_000;
        for (const [pause, amount] of requests) {
          now += pause;
          if (amount <= counter.available(state, 0, given, now)) counter.take(state, 0, given, now, amount);
        }
        const wanted = 1 + (n % counter.capacity(given));
        const available = counter.available(state, 0, given, now);
        const wait = counter.waitMs(state, 0, given, now, wanted);
        if (wanted <= available) return wait === 0;
        const early = counter.available(state.slice(), 0, given, now + wait - 1);
        const then = counter.available(state.slice(), 0, given, now + wait);
        return wait > 0 && early < wanted && then >= wanted - 1e-6;
      }),
      { numRuns: 500 },
    );
    t.pass();
  });

  test(`${algorithm}: a state after its first number's time is as good as new`, (t) => {
    const counter = counters[algorithm];
    fc.assert(
      fc.property(someLimit, someRequests, (part, requests) => {
        const given = limit({ ...part, algorithm });
        const state = new Float64Array(counter.width);
        let now = 1_767_225_600_000;
        for (const [pause, amount] of requests) {
          now += pause;
          if (amount <= counter.available(state, 0, given, now)) counter.take(state, 0, given, now, amount);
        }
        const later = Math.max(now, Math.ceil(state[0]!) + 1);
        return counter.available(state, 0, given, later) === counter.capacity(given);
      }),
      { numRuns: 300 },
    );
    t.pass();
  });

  test(`${algorithm}: what is given back can be taken again`, (t) => {
    const counter = counters[algorithm];
    fc.assert(
      fc.property(someLimit, someRequests, fc.integer({ min: 1, max: 50 }), (part, requests, amount) => {
        const given = limit({ ...part, algorithm });
        const state = new Float64Array(counter.width);
        let now = 1_767_225_600_000;
        for (const [pause, n] of requests) {
          now += pause;
          if (n <= counter.available(state, 0, given, now)) counter.take(state, 0, given, now, n);
        }
        const before = counter.available(state, 0, given, now);
        if (amount > before) return true;
        counter.take(state, 0, given, now, amount);
        counter.giveBack(state, 0, given, now, amount);
        return Math.abs(counter.available(state, 0, given, now) - before) < 1e-6;
      }),
    );
    t.pass();
  });
}

async function running(
  config: Parameters<typeof makeInstance<"quota", Record<never, never>, typeof memory.config>>[1],
) {
  const host = fakeHost();
  const instance = await makeInstance(memory, config, host);
  const quota = (charges: readonly Charge[]) => instance.quota(charges, fakeCall()) as readonly Grant[];
  const take = (key: string, part: Partial<Charge> = {}): Grant =>
    quota([{ limit: limit(), key, amount: 1, bestEffort: false, ...part }])[0]!;
  return { host, quota, take, refund: (charges: readonly Charge[]) => instance.refund!(charges, fakeCall()) };
}

test("when every counter is in use, a new key is refused, counted and logged once; a used one goes on", async (t) => {
  const { host, take } = await running({ maxKeys: 3 });
  for (const key of ["a", "b", "c"]) t.true(take(key, { amount: 5 }).allowed);
  for (const key of ["d", "e"]) t.like(take(key), { allowed: false, remaining: 0, retryAfterMs: 1000 });
  t.is(host.events.get("key_refused"), 2);
  t.is(host.logs.filter((line) => line.level === "warn").length, 1);
  t.like(take("a"), { allowed: true, remaining: 4 });
});

test("an idle counter makes room for a new key", async (t) => {
  const { host, take } = await running({ maxKeys: 3 });
  take("slow", { amount: 10 });
  take("quick");
  take("brisk");
  await host.advance(101);
  t.true(take("new").allowed, "a unit of the quick ones has come back after 100 ms");
  t.true(take("newer").allowed);
  t.false(take("newest").allowed);
  t.like(take("slow"), { allowed: true, remaining: 0 }, "what the busy one took is not forgotten");
});

test("when every counter is in use, the one that was idle the longest goes for a new key, counted and logged", async (t) => {
  const { host, take } = await running({ maxKeys: 3 });
  const day = limit({ windowMs: 86_400_000 });
  for (const key of ["oldest", "older", "busy"]) {
    take(key, { limit: day, amount: 10 });
    await host.advance(1000);
  }
  await host.advance(9500);
  t.false(take("busy", { limit: day }).allowed, "who is refused is busy too");
  t.true(take("new", { limit: day }).allowed);
  t.is(host.events.get("key_dropped"), 1);
  t.is(host.logs.filter((line) => line.level === "warn").length, 1);
  t.like(take("older", { limit: day, amount: 0 }), { remaining: 0 }, "what was used later stays");
  t.like(take("oldest", { limit: day, amount: 0 }), { remaining: 10 });
  t.like(take("busy", { limit: day, amount: 0 }), { remaining: 0 });
});

test("a counter that is as good as new goes before one that is idle", async (t) => {
  const { host, take } = await running({ maxKeys: 3 });
  const day = limit({ windowMs: 86_400_000 });
  take("idle", { limit: day, amount: 10 });
  await host.advance(20_000);
  take("full again", { limit: limit({ windowMs: 500 }) });
  take("in use", { limit: day });
  await host.advance(600);
  t.true(take("new", { limit: day }).allowed);
  t.is(host.events.get("key_dropped"), undefined);
  t.like(take("idle", { limit: day, amount: 0 }), { remaining: 0 });
});

test("a flood of new keys never drops a busy one", async (t) => {
  const { host, take } = await running({ maxKeys: 1000, maxKeysPerLimit: 100 });
  const day = limit({ algorithm: "fixed-window", amount: 1000, windowMs: 1e12 });
  let taken = 0;
  for (let i = 0; i < 50_000; i++) {
    take(`flood ${i}`, { limit: day });
    if (i % 10 === 0) await host.advance(100);
    if (i % 500 === 0 && take("busy", { limit: day }).allowed) taken++;
  }
  t.is(taken, 100);
  t.is(take("busy", { limit: day, amount: 0 }).remaining, 900);
  t.true(host.events.get("key_dropped")! > 1000);
});

test("limits that have all keys of the instance make room for those of another", async (t) => {
  const { host, take } = await running({ maxKeys: 100, maxKeysPerLimit: 60 });
  const day = (id: string): Limit => limit({ id, windowMs: 86_400_000 });
  take("own", { limit: day("test/small"), amount: 10 });
  for (let i = 0; i < 60; i++) for (const id of ["test/a", "test/b"]) take(`${id} ${i}`, { limit: day(id) });
  await host.advance(11_000);
  for (let i = 0; i < 20; i++) t.true(take(`new ${i}`, { limit: day("test/small") }).allowed);
  t.like(take("own", { limit: day("test/small"), amount: 0 }), { remaining: 0 }, "the large ones gave");
  t.is(host.events.get("key_dropped"), 20);
});

test("one limit cannot use up the counters of the others", async (t) => {
  const { take } = await running({ maxKeys: 100, maxKeysPerLimit: 10 });
  const flood = limit({ id: "test/flood" });
  for (let i = 0; i < 10; i++) t.true(take(`flood ${i}`, { limit: flood }).allowed);
  t.false(take("flood 10", { limit: flood }).allowed);
  for (let i = 0; i < 10; i++) t.true(take(`calm ${i}`).allowed);
});

test("however many keys come, no more than maxKeys are held and the busy ones keep their counts", async (t) => {
  const { host, take } = await running({ maxKeys: 500 });
  let granted = 0;
  for (let i = 0; i < 20_000; i++) {
    if (take(`key ${i}`, { limit: limit({ algorithm: algorithms[i % 3]! }) }).allowed) granted++;
    if (i % 100 === 0) await host.advance(40);
    if (i % 1000 === 0) t.true(take("steady", { limit: limit({ amount: 1_000, windowMs: 86_400_000 }) }).allowed);
  }
  t.true(granted > 500);
  t.is(take("steady", { limit: limit({ amount: 1_000, windowMs: 86_400_000 }), amount: 0 }).remaining, 980);
});

test("a clock that is set back neither refills nor freezes a limit", async (t) => {
  for (const algorithm of algorithms) {
    const host: FakeHost = fakeHost();
    const instance = await makeInstance(memory, {}, host);
    const take = (amount: number): Grant =>
      (
        instance.quota([{ limit: limit({ algorithm }), key: "k", amount, bestEffort: false }], fakeCall()) as Grant[]
      )[0]!;
    t.true(take(10).allowed);
    host.setTime(host.now() - 3_600_000);
    t.false(take(1).allowed, `${algorithm}: nothing came back`);
    await host.advance(algorithm === "calendar" ? 60_000 : 2000);
    t.true(take(10).allowed, `${algorithm}: time goes on`);
  }
});

test("a deduplication id is remembered for its window, and forgotten after two", async (t) => {
  const { host, take } = await running({ dedup: "10s" });
  const slow = limit({ windowMs: 3_600_000 });
  t.is(take("k", { limit: slow, dedupId: "a" }).repeated, undefined);
  await host.advance(10_000);
  t.true(take("k", { limit: slow, dedupId: "a" }).repeated);
  await host.advance(20_000);
  t.is(take("k", { limit: slow, dedupId: "a" }).repeated, undefined);
});

test("deduplication ids beyond the limit are forgotten and counted, and their repetition is charged", async (t) => {
  const { host, take } = await running({ maxDedupIds: 10 });
  const slow = limit({ amount: 100, windowMs: 3_600_000 });
  for (let i = 0; i < 30; i++) take("k", { limit: slow, dedupId: `id ${i}` });
  t.true(host.events.get("dedup_forgotten")! > 0);
  t.is(take("k", { limit: slow, dedupId: "id 0" }).remaining, 69);
});

test("amounts that are no amounts are faults", async (t) => {
  const { take } = await running({});
  for (const amount of [-1, NaN]) t.throws(() => take("k", { amount }), { instanceOf: RangeError });
  t.false(take("k", { amount: Infinity }).allowed);
});

test("a batch is granted when all of it fits, and otherwise leaves every count as it was", async (t) => {
  const { quota, take } = await running({});
  const names = ["a", "b", "c"];
  let run = 0;
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.tuple(fc.constantFrom(...names), fc.nat({ max: 6 })), { minLength: 2, maxLength: 6 })),
      (batches) => {
        run++;
        const left = new Map(names.map((name) => [name, 10]));
        for (const batch of batches) {
          const sums = new Map<string, number>();
          for (const [name, amount] of batch) sums.set(name, (sums.get(name) ?? 0) + amount);
          const fits = [...sums].every(([name, sum]) => sum <= left.get(name)!);
          const grants = quota(
            batch.map(([name, amount]) => ({ limit: limit(), key: `${name} ${run}`, amount, bestEffort: false })),
          );
          if (grants.every((grant) => grant.allowed) !== fits) return false;
          if (fits) for (const [name, sum] of sums) left.set(name, left.get(name)! - sum);
          for (const name of names)
            if (take(`${name} ${run}`, { amount: 0 }).remaining !== left.get(name)) return false;
        }
        return true;
      },
    ),
  );
  t.pass();
});

test("the README has every key of the configuration, with its default", (t) => {
  const [example] = /(?<=```yaml\n)[^]*?(?=```)/.exec(readFileSync("adapters/memory/README.md", "utf8"))!;
  const { adapters } = parse(example) as { adapters: { memory: object } };
  t.deepEqual(Object.keys(adapters.memory), Object.keys(memory.config.shape));
  t.deepEqual(memory.config.parse(adapters.memory), memory.config.parse({}));
});
