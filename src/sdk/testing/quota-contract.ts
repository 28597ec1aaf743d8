import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import type { Algorithm, Charge, Grant, Limit } from "../limit.ts";
import type { ContractTest, Fixture } from "./test-adapter.ts";
import { usageContract } from "./usage-contract.ts";

/** What the tests of `quota` need to know. */
export interface QuotaOptions {
  /** The algorithms to try. Default: all, `concurrency` only where the adapter provides `holds`. */
  readonly algorithms?: readonly Algorithm[];
  /** Lets time pass for the instance's store. Default: the fake host's clock moves. */
  advance?(ms: number, fixture: Fixture): Promise<void>;
  /** How many units an algorithm may be wrong by, for stores that count in whole steps. Default 0.001. */
  readonly tolerance?: number;
}

const counting: readonly Algorithm[] = ["token-bucket", "sliding-window", "fixed-window", "calendar"];

/** What `quota` must keep to. */
export function quotaContract(options: QuotaOptions, holds: boolean): ContractTest[] {
  const tolerance = options.tolerance ?? 0.001;
  const tests: ContractTest[] = [];

  for (const algorithm of options.algorithms ?? (holds ? [...counting, "concurrency" as const] : counting)) {
    const declare = (title: string, run: (tried: Tried) => Promise<void>): void => {
      tests.push({ title: `${algorithm}: ${title}`, run: (fixture) => run(tried(algorithm, fixture, options)) });
    };

    declare("grants what the limit allows, then refuses", async ({ take }) => {
      for (let left = 9; left >= 0; left--) {
        const grant = await take({});
        assert.deepEqual([grant.allowed, grant.granted, grant.remaining], [true, 1, left]);
        assert.ok(grant.resetMs > 0 && grant.validForMs >= 0);
      }
      const refused = await take({});
      assert.deepEqual([refused.allowed, refused.granted, refused.remaining], [false, 0, 0]);
    });

    declare("grants after retryAfterMs what it refused before", async ({ take, advance }) => {
      for (const [first, wanted] of [
        [10, 1],
        [7, 5],
        [10, 10],
      ] as const) {
        const key = randomUUID();
        await take({ key, amount: first });
        const refused = await take({ key, amount: wanted });
        assert.equal(refused.allowed, false);
        assert.ok(refused.retryAfterMs! > 0);
        await advance(refused.retryAfterMs!);
        assert.equal((await take({ key, amount: wanted })).allowed, true, `${wanted} after ${first}`);
      }
    });

    declare("is whole again after resetMs", async ({ take, advance }) => {
      const { resetMs } = await take({ amount: 6 });
      await advance(resetMs);
      assert.equal((await take({ amount: 0 })).remaining, 10);
    });

    declare("answers what is left to an amount of 0, and takes nothing", async ({ take }) => {
      await take({ amount: 4 });
      for (let i = 0; i < 3; i++) {
        const peek = await take({ amount: 0 });
        assert.deepEqual([peek.allowed, peek.granted, peek.remaining], [true, 0, 6]);
      }
    });

    declare("refuses when fewer units are left than must be there, and takes no more", async ({ take, advance }) => {
      assert.deepEqual(shown(await take({ amount: 2, atLeast: 10 })), [true, 2, 8]);
      assert.deepEqual(shown(await take({ amount: 0, atLeast: 8 })), [true, 0, 8]);
      const refused = await take({ amount: 1, atLeast: 9 });
      assert.deepEqual(shown(refused), [false, 0, 8]);
      await advance(refused.retryAfterMs!);
      assert.equal((await take({ amount: 0, atLeast: 9 })).allowed, true);
      assert.deepEqual(shown(await take({ key: "new", amount: 0, atLeast: 11 })), [false, 0, 10]);
    });

    declare(
      "takes nothing of a batch in which fewer units are left than must be there",
      async ({ charge, quota, take }) => {
        await take({ key: "empty", amount: 10 });
        const grants = await quota([charge({ amount: 4 }), charge({ key: "empty", amount: 0, atLeast: 1 })]);
        assert.deepEqual(grants.map(shown), [
          [true, 0, 10],
          [false, 0, 0],
        ]);
        assert.equal((await take({ amount: 0 })).remaining, 10);
      },
    );

    declare("refuses more than the limit for good, and takes nothing", async ({ take }) => {
      const refused = await take({ amount: 11 });
      assert.deepEqual([refused.allowed, refused.granted, refused.retryAfterMs], [false, 0, undefined]);
      assert.equal((await take({ amount: 1e308 })).allowed, false);
      assert.equal((await take({ amount: 0 })).remaining, 10);
    });

    declare("gives a best-effort charge what is left, and refuses it only when nothing is", async ({ take }) => {
      assert.equal((await take({ amount: 7 })).granted, 7);
      const rest = await take({ amount: 100, bestEffort: true });
      assert.deepEqual([rest.allowed, rest.granted, rest.remaining], [true, 3, 0]);
      const none = await take({ amount: 100, bestEffort: true });
      assert.deepEqual([none.allowed, none.granted], [false, 0]);
    });

    declare("keeps keys apart", async ({ take }) => {
      await take({ key: "one", amount: 10 });
      assert.equal((await take({ key: "one" })).allowed, false);
      assert.equal((await take({ key: "two", amount: 10 })).allowed, true);
    });

    declare("takes from several limits all or nothing", async ({ charge, quota, take }) => {
      const [full, empty] = [charge({ key: "full", amount: 5 }), charge({ key: "empty", amount: 5 })];
      await take({ key: "empty", amount: 8 });
      for (const batch of [
        [full, empty],
        [empty, full],
      ]) {
        const grants = await quota(batch);
        const granted = grants[batch.indexOf(full)]!;
        assert.deepEqual([granted.allowed, granted.granted, granted.remaining], [true, 0, 10]);
        const refused = grants[batch.indexOf(empty)]!;
        assert.deepEqual([refused.allowed, refused.granted, refused.remaining], [false, 0, 2]);
      }
      const spent = await quota([full, charge({ key: "empty", amount: 2 })]);
      assert.deepEqual(
        spent.map((grant) => [grant.allowed, grant.granted, grant.remaining]),
        [
          [true, 5, 5],
          [true, 2, 0],
        ],
      );
    });

    declare("counts a key that stands twice in one call twice", async ({ charge, quota, take }) => {
      const grants = await quota([charge({ amount: 6 }), charge({ amount: 6 })]);
      assert.deepEqual(
        grants.map((grant) => [grant.allowed, grant.granted]),
        [
          [true, 0],
          [false, 0],
        ],
      );
      await quota([charge({ amount: 6 }), charge({ amount: 4 })]);
      assert.equal((await take({ amount: 0 })).remaining, 0);
    });

    declare("answers a repeated deduplication id as before and spends nothing", async ({ take }) => {
      const first = await take({ amount: 3, dedupId: "a" });
      assert.equal(first.granted, 3);
      const again = await take({ amount: 3, dedupId: "a" });
      assert.deepEqual([again.allowed, again.granted, again.repeated], [true, 3, true]);
      assert.equal((await take({ amount: 0 })).remaining, 7);
      await take({ amount: 3, dedupId: "b" });
      assert.equal((await take({ amount: 0 })).remaining, 4);
    });

    declare(
      "counts what is spent already even where fewer units are left",
      async ({ take, quota, charge, advance }) => {
        await take({ amount: 8 });
        const spent = await take({ amount: 7, spent: true, bestEffort: true });
        assert.deepEqual(shown(spent), [true, 7, 0]);
        const refused = await take({});
        assert.equal(refused.allowed, false);
        await advance(refused.retryAfterMs!);
        assert.equal((await take({})).allowed, true);
        await take({ key: "new", amount: 12, spent: true, bestEffort: true });
        assert.deepEqual(shown(await take({ key: "new", amount: 1, bestEffort: true })), [false, 0, 0]);
        await quota([charge({ key: "twice", amount: 3, spent: true }), charge({ key: "twice", amount: 7 })]);
        assert.equal((await take({ key: "twice", amount: 0 })).remaining, 0);
      },
    );

    declare("counts keys of a group each by itself", async ({ take, quota, charge }) => {
      const grants = await quota([
        charge({ key: "top", group: "top", amount: 2 }),
        charge({ key: "sub", group: "top", amount: 3, dedupId: "g" }),
      ]);
      assert.deepEqual(grants.map(shown), [
        [true, 2, 8],
        [true, 3, 7],
      ]);
      assert.equal((await take({ key: "sub", group: "top", amount: 3, dedupId: "g" })).repeated, true);
      assert.equal((await take({ key: "top", group: "top", amount: 0 })).remaining, 8);
    });

    declare("does not remember a refusal by its deduplication id", async ({ take, charge, quota, advance }) => {
      await take({ key: "empty", amount: 10 });
      const batch = [charge({ amount: 2, dedupId: "x" }), charge({ key: "empty", amount: 2, dedupId: "y" })];
      const refused = await quota(batch);
      await advance(refused[1]!.retryAfterMs!);
      assert.deepEqual(
        (await quota(batch)).map((grant) => [grant.granted, grant.repeated]),
        [
          [2, undefined],
          [2, undefined],
        ],
      );
    });

    declare("keeps the count when only the amount of the limit changes", async ({ take, charge, quota }) => {
      await take({ amount: 8 });
      const raised: Limit = { ...charge({}).limit, amount: 20, burst: 20 };
      const [grant] = await quota([{ ...charge({ amount: 0 }), limit: raised }]);
      assert.ok(grant!.remaining >= 11 && grant!.remaining <= 12, `${grant!.remaining} are left`);
    });

    declare("gives back what is refunded, where it can", async ({ take, charge, fixture }) => {
      if (fixture.instance.refund === undefined) return;
      await take({ amount: 6, dedupId: "r" });
      await fixture.instance.refund([charge({ amount: 6, dedupId: "r" })], fixture.call);
      assert.equal((await take({ amount: 0 })).remaining, 10);
      assert.equal((await take({ amount: 6, dedupId: "r" })).repeated, undefined);
    });

    declare("holds no more than the limit whatever is given back, where it can", async ({ take, charge, fixture }) => {
      if (fixture.instance.refund === undefined) return;
      await take({ amount: 6 });
      await fixture.instance.refund([charge({ amount: 2 }), charge({ amount: 1 })], fixture.call);
      assert.equal((await take({ amount: 0 })).remaining, 7);
      await fixture.instance.refund([charge({ amount: 1e9 }), charge({ key: "new", amount: 5 })], fixture.call);
      assert.deepEqual(shown(await take({ amount: 10 })), [true, 10, 0]);
      assert.deepEqual(shown(await take({ key: "new", amount: 10 })), [true, 10, 0]);
    });

    tests.push(...usageContract(algorithm, (fixture) => tried(algorithm, fixture, options)));

    declare(
      "says less and less while time stands, and never grants above the limit",
      async ({ take, advance, now }) => {
        const taken: { at: number; amount: number }[] = [];
        let seed = 7;
        const chance = (n: number): number =>
          ((seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff) >>> 8) % n;
        for (let step = 0; step < 40; step++) {
          let before = Infinity;
          for (let i = 0; i < 5; i++) {
            const grant = await take({ amount: chance(4), bestEffort: chance(2) === 0 });
            assert.ok(grant.remaining <= before, `${grant.remaining} after ${before}`);
            before = grant.remaining;
            if (grant.granted > 0) taken.push({ at: now(), amount: grant.granted });
          }
          await advance(1 + chance(1800));
        }
        for (let i = 0; i < taken.length; i++) {
          let sum = 0;
          for (let j = i; j < taken.length; j++) {
            sum += taken[j]!.amount;
            const span = taken[j]!.at - taken[i]!.at;
            assert.ok(sum <= bound(algorithm, span) + tolerance, `${sum} within ${span} ms`);
          }
        }
      },
    );
  }
  return tests;
}

/** The most units that may be granted within a closed span of time, for the limit of {@link tried}. */
function bound(algorithm: Algorithm, spanMs: number): number {
  if (algorithm === "token-bucket") return 10 + spanMs / 1000;
  if (algorithm === "sliding-window" || algorithm === "concurrency") return 10 * (Math.floor(spanMs / 10_000) + 1);
  return 10 * (Math.floor(spanMs / (algorithm === "calendar" ? 60_000 : 10_000)) + 2);
}

function shown({ allowed, granted, remaining }: Grant): [allowed: boolean, granted: number, remaining: number] {
  return [allowed, granted, remaining];
}

export interface Tried {
  readonly prefix: string;
  readonly fixture: Fixture;
  charge(part: Partial<Charge>): Charge;
  quota(charges: readonly Charge[]): Promise<readonly Grant[]>;
  take(part: Partial<Charge>): Promise<Grant>;
  advance(ms: number): Promise<void>;
  now(): number;
}

/** An instance with a limit of its own: 10 units in 10 s, or in a minute of the calendar, with a burst of 10. */
function tried(algorithm: Algorithm, fixture: Fixture, options: QuotaOptions): Tried {
  const prefix = randomUUID();
  const window =
    algorithm === "calendar"
      ? { windowMs: 60_000, calendar: { unit: "minute", zone: "Europe/Berlin" } as const }
      : { windowMs: 10_000 };
  const limit: Limit = { id: `contract/${prefix}`, algorithm, amount: 10, ...window, burst: 10 };
  const charge = (part: Partial<Charge>): Charge => ({
    limit,
    amount: 1,
    bestEffort: false,
    ...part,
    key: `${prefix}/${part.key ?? "key"}`,
    ...(part.dedupId === undefined ? {} : { dedupId: `${prefix}/${part.dedupId}` }),
  });
  const quota = async (charges: readonly Charge[]): Promise<readonly Grant[]> => {
    const grants = await fixture.instance.quota!(charges, fixture.call);
    assert.equal(grants.length, charges.length, "one grant a charge is expected");
    return grants;
  };
  let passed = 0;
  return {
    prefix: `${prefix}/`,
    fixture,
    charge,
    quota,
    async take(part) {
      return (await quota([charge(part)]))[0]!;
    },
    async advance(ms) {
      passed += ms;
      await (options.advance === undefined ? fixture.host.advance(ms) : options.advance(ms, fixture));
    },
    now: () => passed,
  };
}
