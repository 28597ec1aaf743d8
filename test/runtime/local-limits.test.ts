import { randomBytes } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import { builtinAdapters } from "../../adapters/index.ts";
import { defineAdapter } from "../../src/sdk/index.ts";
import type { Charge, Grant, Instance } from "../../src/sdk/index.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { settled, stub, world, type World } from "./world.ts";

type How =
  "answers" | "refuses connections" | "is silent" | "answers late" | "counts and breaks" | "counts and is silent";

/** A store that counts as memory does, and answers as a store over a network may. What it counted is real. */
async function faulty(now: () => number, peers?: () => number | undefined) {
  const memory = builtinAdapters.get("memory")!;
  const config = await memory.config["~standard"].validate({ dedup: "10h" });
  const host = { name: "store", now, monotonic: now, count: () => undefined, every: () => undefined };
  const inner = (await memory.create((config as { value: never }).value, host as never)) as Instance;
  const state = {
    how: "answers" as How,
    calls: [] as (readonly Charge[])[],
    /** Units that were granted to requests whose answer was lost, and those that could not be given back. */
    lost: 0,
  };
  const late: (() => void)[] = [];
  const brokenOff = (): Error => new Error("the connection broke");
  const over = <T>(answer: () => T): Promise<T> => {
    switch (state.how) {
      case "answers":
        return Promise.resolve().then(answer);
      case "refuses connections":
        return Promise.reject(new Error("down"));
      case "is silent":
        return new Promise((_, reject) => late.push(() => reject(brokenOff())));
      case "counts and breaks":
        answer();
        return Promise.reject(brokenOff());
      case "counts and is silent":
        answer();
        return new Promise((_, reject) => late.push(() => reject(brokenOff())));
      case "answers late": {
        const given = answer();
        return new Promise((resolve) => late.push(() => resolve(given)));
      }
    }
  };
  const methods: Partial<Instance> = {
    quota: (charges) => {
      state.calls.push(charges);
      const { how } = state;
      return over(() => {
        const grants = inner.quota!(charges, { signal: new AbortController().signal }) as readonly Grant[];
        if (how === "counts and breaks" || how === "counts and is silent")
          for (const [i, { granted }] of grants.entries()) if (charges[i]!.spent !== true) state.lost += granted;
        return grants;
      });
    },
    refund(charges, call) {
      const arrives = state.how === "answers" || state.how === "answers late";
      if (!arrives) state.lost += sumOf(charges);
      return over(() => (arrives ? (inner.refund!(charges, call) as void) : undefined));
    },
    timeoutMs: 50,
    ...(peers === undefined ? {} : { peers }),
  };
  return {
    adapter: stub("store", methods),
    state,
    /** Lets every late answer come now. */
    arrive: () => late.splice(0).forEach((each) => each()),
    /** What the store says of a charge, whatever it does to others. */
    ask: (charge: Charge) => (inner.quota!([charge], { signal: new AbortController().signal }) as readonly Grant[])[0]!,
  };
}

const faults: readonly How[] = [
  "refuses connections",
  "is silent",
  "answers late",
  "counts and breaks",
  "counts and is silent",
];

const waits: ReadonlySet<How> = new Set(["is silent", "answers late", "counts and is silent"]);

function sumOf(charges: readonly Charge[]): number {
  return charges.reduce((sum, { amount }) => sum + amount, 0);
}

interface Tried extends Awaited<ReturnType<typeof faulty>> {
  readonly hub: World;
  /** Whether a request passes, and whether its limit was judged without its store. */
  pass(attributes?: Record<string, string>): Promise<{ allowed: boolean; degraded: boolean }>;
  remaining(): number;
}

async function tried(rule: string, peers?: () => number | undefined, config = ""): Promise<Tried> {
  let now = (): number => 0;
  const store = await faulty(() => now(), peers);
  const hub = await world(`policy: p\ncheck: [{ name: l, ${rule}, via: store, onError: local }]`, [store.adapter], {
    config: `adapters: { store: {} }\n${config}`,
    // Ids that a store remembers must not come again.
    random: (bytes) => randomBytes(bytes),
  });
  now = () => hub.clock.now();
  let charge: Charge | undefined;
  return {
    ...store,
    hub,
    async pass(attributes = {}) {
      const decided = hub.check({ "request.headers": attributes });
      // The deadline of a call that nobody answers.
      if (waits.has(store.state.how)) await hub.clock.advance(50);
      const { allowed, limits } = await decided;
      charge ??= store.state.calls[0]?.[0];
      return { allowed, degraded: limits[0]!.degraded === true };
    },
    remaining: () => store.ask({ ...charge!, amount: 0 }).remaining,
  };
}

test("an outage goes on from what was spent, and what was let through in it is not forgotten", async (t) => {
  for (const algorithm of ["fixed-window", "sliding-window", "token-bucket"]) {
    const { state, pass, remaining, hub } = await tried(`limit: 10/h, algorithm: ${algorithm}`);
    for (let i = 0; i < 4; i++) t.deepEqual(await pass(), { allowed: true, degraded: false });
    state.how = "refuses connections";
    for (let i = 0; i < 3; i++) t.deepEqual(await pass(), { allowed: true, degraded: true });
    state.how = "answers";
    await hub.clock.advance(1000);
    await settled();
    t.is(remaining(), 3, `${algorithm}: the store was told of 3`);
    for (let i = 0; i < 3; i++) t.deepEqual(await pass(), { allowed: true, degraded: false });
    t.deepEqual(await pass(), { allowed: false, degraded: false });
    state.how = "refuses connections";
    t.deepEqual(await pass(), { allowed: false, degraded: true }, algorithm);
  }
});

test("the log says that a store was charged only where it was", async (t) => {
  const charged = ({ lines }: World): number => lines.filter(({ message }) => /was charged/.test(message)).length;
  const { state, pass, hub } = await tried("limit: 10/s");
  state.how = "refuses connections";
  await pass();
  await hub.clock.advance(1000);
  await settled();
  t.is(charged(hub), 0, "a second later the bucket is as full as if nothing had been let through");
  const monthly = await tried("limit: 10/month");
  monthly.state.how = "refuses connections";
  await monthly.pass();
  await monthly.hub.clock.advance(1000);
  await settled();
  t.is(charged(monthly.hub), 0, "it is away still");
  monthly.state.how = "answers";
  await monthly.hub.clock.advance(1000);
  await settled();
  t.is(charged(monthly.hub), 1);
});

test("a request that comes before the store was told of an outage is charged after it", async (t) => {
  const { state, pass, remaining } = await tried("limit: 5/h, algorithm: fixed-window");
  await pass();
  state.how = "refuses connections";
  for (let i = 0; i < 4; i++) await pass();
  state.how = "answers";
  t.deepEqual(await pass(), { allowed: false, degraded: false });
  t.is(remaining(), 0);
  const [debts, asked] = state.calls.slice(-2);
  t.true(debts!.every(({ spent }) => spent === true));
  t.is(new Set(debts!.map(({ dedupId }) => dedupId)).size, debts!.length);
  t.is(sumOf(debts!), 4);
  t.like(asked![0], { amount: 1 });
});

test("each hub counts by its share: the rule's, that of weir.yaml, or one over the hubs last seen", async (t) => {
  const admits = async (rule: string, peers?: () => number | undefined, config?: string): Promise<number> => {
    const { state, pass } = await tried(rule, peers, config);
    state.how = "refuses connections";
    let count = 0;
    for (let i = 0; i < 120; i++) if ((await pass()).allowed) count++;
    return count;
  };
  t.is(await admits("limit: 100/h"), 100);
  t.is(await admits("limit: 100/h", () => undefined), 100, "no hub was ever seen");
  t.is(await admits("limit: 100/h", () => 4), 25);
  t.is(await admits("limit: 100/h, share: 0.1", () => 4), 10);
  t.is(await admits("limit: 100/h, algorithm: fixed-window", () => 3), 33);
  t.is(await admits("limit: 100/h", () => 4, "check: { share: 0.5 }"), 50);
  t.is(await admits("limit: 100/h, share: 0.1", () => 4, "check: { share: 0.5 }"), 10);
  t.is(await admits("limit: 3/h, algorithm: fixed-window", () => 5), 1, "one at least");
  t.is(await admits("limit: 3/h", () => 5), 1);
  for (const nonsense of [0, -1, NaN]) t.is(await admits("limit: 100/h", () => nonsense), 100);
});

test("a hub that spent more than its share while the store was there lets nothing more through", async (t) => {
  const { state, pass } = await tried("limit: 100/h, algorithm: fixed-window", () => 4);
  for (let i = 0; i < 30; i++) await pass();
  state.how = "refuses connections";
  t.deepEqual(await pass(), { allowed: false, degraded: true });
});

test("an answer that comes too late is given back, and what passed meanwhile is charged once", async (t) => {
  const { state, pass, remaining, arrive, hub } = await tried("limit: 10/h, algorithm: fixed-window");
  await pass();
  state.how = "answers late";
  for (let i = 0; i < 4; i++) t.deepEqual(await pass(), { allowed: true, degraded: true });
  t.true(remaining() < 10 - 4, "the store has counted them, though nobody knows");
  state.how = "answers";
  arrive();
  await settled();
  await hub.clock.advance(1000);
  await settled();
  t.is(remaining(), 5);
});

test("a refusal by onError: deny gives back what a late answer took, onError: allow leaves it", async (t) => {
  for (const [onError, left] of [
    ["deny", 10],
    ["allow", 9],
  ] as const) {
    const store = await faulty(() => 0);
    const rule = `{ name: l, limit: 10/h, via: store, onError: ${onError} }`;
    const hub = await world(`policy: p\ncheck: [${rule}]`, [store.adapter]);
    store.state.how = "answers late";
    const decided = hub.check({});
    await hub.clock.advance(50);
    t.is((await decided).allowed, onError === "allow");
    store.state.how = "answers";
    store.arrive();
    await settled();
    t.is(store.ask({ ...store.state.calls[0]![0]!, amount: 0 }).remaining, left, onError);
  }
});

test("a charge whose answer never came is never sent again, and a payment that is sent again has the same id", async (t) => {
  const { state, pass, remaining, arrive, hub } = await tried("limit: 10/h, algorithm: fixed-window");
  await pass();
  state.how = "is silent";
  t.deepEqual(await pass(), { allowed: true, degraded: true });
  t.is(state.calls.length, 2);
  // The payment gets no answer either; then the connection breaks.
  await hub.clock.advance(1000);
  await settled();
  await hub.clock.advance(50);
  await settled();
  state.how = "answers";
  arrive();
  await settled();
  await hub.clock.advance(2000);
  await settled();
  const payments = state.calls.slice(2).map(([charge]) => charge!);
  t.is(payments.length, 2);
  t.true(payments.every(({ spent, amount }) => spent === true && amount === 1));
  t.is(new Set(payments.map(({ dedupId }) => dedupId)).size, 1);
  t.is(remaining(), 8);
});

test("several limits, all or nothing: what is counted here is given back when another refuses", async (t) => {
  const store = await faulty(() => 0);
  const hub = await world(
    `
policy: p
check:
  - { name: a, limit: 10/h, via: store, onError: local }
  - { name: b, limit: 1/h, via: z, onError: allow }
`,
    [store.adapter, defineAdapter({ ...builtinAdapters.get("memory")!, name: "z" } as never)],
  );
  store.state.how = "refuses connections";
  const passed: boolean[] = [];
  for (let i = 0; i < 5; i++) passed.push((await hub.check({})).allowed);
  t.deepEqual(passed, [true, false, false, false, false]);
  store.state.how = "answers";
  const before = store.state.calls.length;
  await hub.clock.advance(1000);
  const payments = store.state.calls
    .slice(before)
    .flat()
    .filter(({ spent }) => spent === true);
  t.deepEqual(
    payments.map(({ amount }) => amount),
    [1],
  );
});

test("many counts are paid, each once", async (t) => {
  const { state, pass, hub } = await tried(`limit: 10/h, by: 'request.headers["k"]'`);
  state.how = "refuses connections";
  for (let i = 0; i < 300; i++) await pass({ k: String(i) });
  state.how = "answers";
  await hub.clock.advance(60_000);
  for (let i = 0; i < 50; i++) await settled();
  const payments = state.calls.flat().filter(({ spent }) => spent === true);
  t.is(new Set(payments.map(({ key }) => key)).size, 300);
  t.false(hub.told.some((line) => line.startsWith("dropped local_units")));
});

test("a payment whose answer was lost is sent again as it was, and what came meanwhile beside it", async (t) => {
  for (const how of ["counts and breaks", "counts and is silent"] as const) {
    const { state, pass, remaining, arrive, hub } = await tried("limit: 20/h, algorithm: fixed-window");
    await pass();
    state.how = "refuses connections";
    for (let i = 0; i < 3; i++) await pass();
    state.how = how;
    await hub.clock.advance(1000);
    t.is(remaining(), 20 - 4, "the store was charged, and nobody knows");
    state.how = "refuses connections";
    for (let i = 0; i < 2; i++) await pass();
    state.how = "answers";
    arrive();
    await hub.clock.advance(60_000);
    t.is(remaining(), 20 - 6, how);
    t.is(state.lost, 0);
    const byId = new Map<string, Set<number>>();
    for (const { spent, dedupId, amount } of state.calls.flat())
      if (spent === true) byId.set(dedupId!, (byId.get(dedupId!) ?? new Set()).add(amount));
    t.true([...byId.values()].every((amounts) => amounts.size === 1));
    const before = state.calls.length;
    await hub.clock.advance(60_000);
    t.is(state.calls.length, before, "nothing is owed any more");
  }
});

test("a store that owes answers to many payments of a count is not asked for it before there is one", async (t) => {
  const { state, pass, remaining, arrive, hub } = await tried("limit: 50/h, algorithm: fixed-window");
  let passed = 0;
  state.how = "counts and is silent";
  for (let i = 0; i < 8; i++) if ((await pass()).allowed) passed++;
  const payments = new Set(state.calls.flat().flatMap(({ dedupId }) => dedupId ?? []));
  t.is(payments.size, 4);
  t.is(state.lost, 5, "the first request, and one for each of the payments");
  state.how = "answers";
  t.deepEqual(await pass(), { allowed: true, degraded: true });
  arrive();
  await settled();
  await hub.clock.advance(10_000);
  t.deepEqual(await pass(), { allowed: true, degraded: false });
  t.is(remaining(), 50 - passed - 2 - state.lost);
});

test("whatever becomes of answers, a store has counted what passed, each unit once", async (t) => {
  const step = fc.record({
    passMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 40_000 })),
    how: fc.constantFrom<How>("answers", "answers", ...faults),
    requests: fc.integer({ min: 0, max: 9 }),
    arrive: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("fixed-window", "sliding-window", "token-bucket"),
      fc.array(step, { minLength: 1, maxLength: 20 }),
      async (algorithm, steps) => {
        // So slow that nothing comes back meanwhile.
        const { state, pass, hub, arrive, remaining } = await tried(`limit: 1000/360d, algorithm: ${algorithm}`);
        let passed = 0;
        const end = { passMs: 60_000, how: "answers", requests: 1, arrive: true } as const;
        for (const { passMs, how, requests, arrive: arrives } of [...steps, end, end]) {
          if (arrives || how === "answers") arrive();
          await settled();
          // What a late answer took is given back whole only where units count until a window ends.
          state.how = how === "answers late" && algorithm !== "fixed-window" ? "counts and is silent" : how;
          await hub.clock.advance(passMs);
          for (let i = 0; i < requests; i++) if ((await pass()).allowed) passed++;
        }
        const unasked = hub.told.filter((line) => /^dropped refund (open|busy) 1$/.test(line)).length;
        return 1000 - remaining() === passed + state.lost + unasked;
      },
    ),
    { numRuns: fuzzRuns(150) },
  );
  t.pass();
});

for (const algorithm of ["fixed-window", "sliding-window", "token-bucket", "calendar"] as const) {
  test(`${algorithm}: one hub admits no more than the limit, whenever its store is away and comes back`, async (t) => {
    const windowMs = 60_000;
    const step = fc.record({
      passMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 9000 }), fc.constant(windowMs)),
      how: fc.constantFrom<How>("answers", "answers", ...faults),
      requests: fc.integer({ min: 0, max: 12 }),
      arrive: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
        const rate = algorithm === "calendar" ? "20/minute" : `20/m, algorithm: ${algorithm}`;
        const { state, pass, hub, arrive } = await tried(`limit: ${rate}`);
        const admitted: number[] = [];
        for (const { passMs, how, requests, arrive: arrives } of steps) {
          if (arrives || how === "answers") arrive();
          await settled();
          state.how = how;
          await hub.clock.advance(passMs);
          await settled();
          for (let i = 0; i < requests; i++) if ((await pass()).allowed) admitted.push(hub.clock.now());
        }
        for (const [i, from] of admitted.entries()) {
          let count = 0;
          for (const at of admitted.slice(i)) {
            count++;
            const span = at - from;
            const most =
              algorithm === "token-bucket"
                ? 20 + (span * 20) / windowMs
                : algorithm === "sliding-window"
                  ? 20 * (Math.floor(span / windowMs) + 1)
                  : 20 * (Math.floor(at / windowMs) - Math.floor(from / windowMs) + 1);
            if (count > most + 1e-6) throw new Error(`${count} within ${span} ms`);
          }
        }
      }),
      { numRuns: fuzzRuns(80) },
    );
    t.pass();
  });
}
