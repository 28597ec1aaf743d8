import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import type { Algorithm, Charge, Grant, Limit } from "../limit.ts";
import type { HoldChange, HoldOutcome } from "../hold.ts";
import type { QuotaOptions } from "./quota-contract.ts";
import type { ContractTest, Fixture } from "./test-adapter.ts";

const counted: readonly Algorithm[] = ["token-bucket", "sliding-window", "fixed-window", "calendar"];

/** What `holds` must keep to. */
export function holdsContract(options: QuotaOptions): ContractTest[] {
  const tests: ContractTest[] = [];
  const declare = (title: string, algorithm: Algorithm, run: (tried: Tried) => Promise<void>): void => {
    tests.push({ title: `holds: ${algorithm}: ${title}`, run: (fixture) => run(tried(algorithm, fixture, options)) });
  };

  declare("a lease ends when it is released, once", "concurrency", async ({ take, change, left }) => {
    for (let i = 0; i < 10; i++) assert.equal((await take(`d${i}`)).allowed, true);
    assert.equal((await take("d10")).allowed, false);
    assert.deepEqual(await change({ id: "d3", kind: "release" }), [["limit", 1]]);
    assert.equal(await left(), 1);
    assert.deepEqual(await change({ id: "d3", kind: "release" }), []);
    assert.deepEqual(await change({ id: "d10", kind: "release" }), []);
    assert.deepEqual(await change({ id: "d4", kind: "end", used: new Map() }), [["limit", 1]]);
    assert.equal(await left(), 2);
  });

  declare("a lease that nobody ends runs out by itself, and is nobody's then", "concurrency", async (given) => {
    const { take, change, left, advance } = given;
    await take("d", { amount: 4 });
    await advance(9_999);
    assert.equal(await left(), 6);
    await advance(626);
    assert.equal(await left(), 10);
    assert.deepEqual(await change({ id: "d", kind: "release" }), []);
    assert.deepEqual(await change({ id: "d", kind: "renew" }), []);
    assert.equal(await left(), 10);
  });

  declare(
    "a lease lasts on when it is renewed",
    "concurrency",
    async ({ take, fixture, left, advance, id, change }) => {
      await take("d", { amount: 4 });
      for (let i = 0; i < 3; i++) {
        await advance(8_000);
        const [[outcome] = []] = await fixture.instance.holds!([{ id: id("d"), kind: "renew" }], fixture.call);
        assert.equal(outcome?.units, 4);
        assert.ok(
          outcome?.forMs !== undefined && outcome.forMs >= 10_000 && outcome.forMs <= 10_625,
          `${outcome?.forMs}`,
        );
      }
      assert.equal(await left(), 6);
      assert.equal((await change({ id: "d", kind: "renew", forMs: 2_000 })).length, 1);
      await advance(2_626);
      assert.equal(await left(), 10);
      assert.deepEqual(await change({ id: "d", kind: "renew" }), []);
    },
  );

  declare("a retry holds the lease of the first call", "concurrency", async ({ take, change, left }) => {
    await take("first", { amount: 3, dedupId: "x" });
    const again = await take("again", { amount: 3, dedupId: "x" });
    assert.deepEqual([again.granted, again.repeated], [3, true]);
    assert.equal(await left(), 7);
    assert.deepEqual(await change({ id: "again", kind: "release" }), [["limit", 3]]);
    assert.equal(await left(), 10);
    assert.deepEqual(await change({ id: "first", kind: "release" }), []);
    assert.equal(await left(), 10);
  });

  declare(
    "a count that a decision takes from twice is held whole",
    "concurrency",
    async ({ charge, quota, change, left }) => {
      await quota([charge("d", { amount: 3 }), charge("d", { amount: 4 })]);
      assert.equal(await left(), 3);
      assert.deepEqual(await change({ id: "d", kind: "release" }), [["limit", 7]]);
      assert.equal(await left(), 10);
    },
  );

  declare("nothing is held of what was refused, asked or given back", "concurrency", async (given) => {
    const { charge, quota, take, change, left, fixture } = given;
    await take("all", { key: "empty", amount: 10 });
    await quota([charge("d", { amount: 3 }), charge("d", { key: "empty" })]);
    await take("d", { amount: 0 });
    assert.deepEqual(await change({ id: "d", kind: "release" }), []);
    assert.equal(await left(), 10);
    if (fixture.instance.refund === undefined) return;
    await take("back", { amount: 3 });
    await fixture.instance.refund([charge("back", { amount: 3 })], fixture.call);
    await take("other", { amount: 3 });
    assert.deepEqual(await change({ id: "back", kind: "release" }), []);
    assert.equal(await left(), 7);
  });

  for (const algorithm of counted) {
    declare(
      "gives back what a decision took, once, and all or some of it",
      algorithm,
      async ({ take, change, left, id }) => {
        await take("d", { amount: 4 });
        await take("e", { amount: 4 });
        const before = await left();
        assert.deepEqual(await change({ id: "d", kind: "release" }), []);
        assert.deepEqual(await change({ id: "d", kind: "renew" }), []);
        assert.deepEqual(await change({ id: "d", kind: "refund", limits: ["other"] }), []);
        assert.deepEqual(await change({ id: "d", kind: "refund", amount: 100, limits: ["other", id("limit")] }), [
          ["limit", 4],
        ]);
        assert.equal(await left(), before + 4);
        assert.deepEqual(await change({ id: "d", kind: "refund" }), []);
        assert.deepEqual(await change({ id: "e", kind: "refund", amount: 1 }), [["limit", 1]]);
        assert.equal(await left(), before + 5);
        assert.deepEqual(await change({ id: "e", kind: "refund" }), []);
      },
    );

    declare("gives back nothing that does not count any more", algorithm, async ({ take, change, left, advance }) => {
      const { resetMs } = await take("d", { amount: 10 });
      await advance(resetMs);
      await take("e", { amount: 10 });
      const before = await left();
      assert.deepEqual(await change({ id: "d", kind: "refund" }), [["limit", 0]]);
      assert.equal(await left(), before);
    });

    declare("forgets after the time that was asked for", algorithm, async ({ take, change, left, advance }) => {
      await take("d", { amount: 4, forMs: 500 });
      await advance(501);
      const before = await left();
      assert.deepEqual(await change({ id: "d", kind: "refund" }), []);
      assert.deepEqual(await change({ id: "d", kind: "end", used: new Map([["limit", 0]]) }), []);
      assert.equal(await left(), before);
    });

    declare("settles what was used, below and above what was taken, once", algorithm, async (given) => {
      const { take, change, left, advance } = given;
      await take("less", { amount: 6 });
      assert.deepEqual(await change({ id: "less", kind: "end", used: new Map() }), []);
      assert.deepEqual(await change({ id: "less", kind: "end", used: new Map([["limit", 2]]) }), [["limit", 4]]);
      assert.deepEqual(await change({ id: "less", kind: "end", used: new Map([["limit", 9]]) }), []);
      assert.equal(await left(), 8);
      await take("more", { amount: 1 });
      assert.deepEqual(await change({ id: "more", kind: "end", used: new Map([["limit", 21]]) }), [["limit", -20]]);
      const refused = await take("next");
      assert.deepEqual([refused.allowed, refused.remaining], [false, 0]);
      await advance(refused.retryAfterMs!);
      assert.equal((await take("next")).allowed, true);
    });

    declare("settles a charge of nothing", algorithm, async ({ take, change, left }) => {
      assert.equal((await take("d", { amount: 0 })).allowed, true);
      assert.deepEqual(await change({ id: "d", kind: "end", used: new Map([["limit", 4]]) }), [["limit", -4]]);
      assert.equal(await left(), 6);
    });
  }
  return tests;
}

type Part = Partial<Pick<Charge, "amount" | "key" | "dedupId">> & { readonly forMs?: number };

interface Tried {
  readonly fixture: Fixture;
  id(name: string): string;
  charge(decision: string, part?: Part): Charge;
  quota(charges: readonly Charge[]): Promise<readonly Grant[]>;
  take(decision: string, part?: Part): Promise<Grant>;
  /** Does one change; answers limits and units. Ids and limits are names of the test. */
  change(change: HoldChange): Promise<[limit: string, units: number][]>;
  left(): Promise<number>;
  advance(ms: number): Promise<void>;
}

/** An instance with a limit of its own: 10 units in 10 s, in a minute of the calendar, or at once. */
function tried(algorithm: Algorithm, fixture: Fixture, options: QuotaOptions): Tried {
  const run = randomUUID();
  const id = (name: string): string => `${run}/${name}`;
  const window =
    algorithm === "calendar"
      ? { windowMs: 60_000, calendar: { unit: "minute", zone: "Europe/Berlin" } as const }
      : { windowMs: 10_000 };
  const limit: Limit = { id: id("limit"), algorithm, amount: 10, ...window, burst: 10 };
  const charge = (decision: string, { forMs = 120_000, key = "key", dedupId, ...part }: Part = {}): Charge => ({
    limit,
    amount: 1,
    bestEffort: false,
    ...part,
    key: id(key),
    hold: { id: id(decision), forMs },
    ...(dedupId === undefined ? {} : { dedupId: id(dedupId) }),
  });
  const { instance, call } = fixture;
  const quota = async (charges: readonly Charge[]): Promise<readonly Grant[]> => instance.quota!(charges, call);
  return {
    fixture,
    id,
    charge,
    quota,
    async take(decision, part) {
      return (await quota([charge(decision, part)]))[0]!;
    },
    async change(change) {
      const own = { ...change, id: id(change.id) };
      const wanted =
        own.kind !== "end" ? own : { ...own, used: new Map([...own.used].map(([name, n]) => [id(name), n])) };
      const answers = await instance.holds!([wanted], call);
      assert.equal(answers.length, 1, "one answer a change is expected");
      return answers[0]!.map(shown);
    },
    async left() {
      return (await quota([{ limit, key: id("key"), amount: 0, bestEffort: false }]))[0]!.remaining;
    },
    async advance(ms) {
      await (options.advance === undefined ? fixture.host.advance(ms) : options.advance(ms, fixture));
    },
  };
}

function shown({ limit, units }: HoldOutcome): [limit: string, units: number] {
  return [limit.slice(limit.indexOf("/") + 1), Math.round(units * 1e6) / 1e6];
}
