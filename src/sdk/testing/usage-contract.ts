import { strict as assert } from "node:assert";
import type { Algorithm } from "../limit.ts";
import type { Usage } from "../usage.ts";
import type { Tried } from "./quota-contract.ts";
import type { ContractTest, Fixture } from "./test-adapter.ts";

/** What `usage` must keep to, for each algorithm. An instance without it has nothing to keep to. */
export function usageContract(algorithm: Algorithm, trying: (fixture: Fixture) => Tried): ContractTest[] {
  const tests: ContractTest[] = [];
  const declare = (title: string, run: (usage: Usage, tried: Tried) => Promise<void>): void => {
    tests.push({
      title: `${algorithm}: ${title}`,
      async run(fixture) {
        if (fixture.instance.usage !== undefined) await run(fixture.instance.usage, trying(fixture));
      },
    });
  };

  declare("tells the most used keys of a limit, and of no other", async (usage, { take, charge, prefix, fixture }) => {
    const { limit } = charge({});
    for (const [key, amount] of [
      ["b", 3],
      ["a", 9],
      ["c", 5],
      ["idle", 0],
      ["*", 1],
      ["\u00e9}%", 2],
    ] as const)
      await take({ key, amount });
    const { limit: other } = charge({});
    await fixture.instance.quota!(
      [{ limit: other, key: `other ${prefix}`, amount: 10, bestEffort: false }],
      fixture.call,
    );
    const all = await usage.top(limit, prefix, 10, fixture.call);
    assert.deepEqual(
      all.keys.map(({ key, used }) => [key.slice(prefix.length), Math.round(used)]),
      [
        ["a", 9],
        ["c", 5],
        ["b", 3],
        ["\u00e9}%", 2],
        ["*", 1],
      ],
    );
    assert.ok(all.complete && all.seen >= 5);
    assert.ok(all.keys.every(({ resetMs }) => resetMs > 0));
    const { used } = await usage.look({ limit, key: `${prefix}a` }, fixture.call);
    assert.equal(Math.round(used), 9);
    assert.deepEqual(await usage.look({ limit, key: `${prefix}nobody` }, fixture.call), {
      key: `${prefix}nobody`,
      used: 0,
      resetMs: 0,
    });
    const first = await usage.top(limit, prefix, 2, fixture.call);
    assert.equal(first.keys.length, 2);
  });

  declare("forgets what was taken of a key, and of every key", async (usage, { take, charge, prefix, fixture }) => {
    const { limit } = charge({});
    for (const key of ["a", "b", "c"]) await take({ key, amount: 10 });
    await usage.reset({ limit, key: `${prefix}a` }, fixture.call);
    assert.equal((await take({ key: "a", amount: 0 })).remaining, 10);
    assert.equal((await take({ key: "b", amount: 0 })).remaining, 0);
    assert.equal(await usage.resetAll(limit, prefix, fixture.call), 2);
    for (const key of ["b", "c"]) assert.equal((await take({ key, amount: 10 })).allowed, true);
    await usage.reset({ limit, key: `${prefix}nobody` }, fixture.call);
  });

  declare("lets no more than was granted be taken beyond the limit, once", async (usage, tried) => {
    const { take, charge, prefix, fixture, advance } = tried;
    const { limit } = charge({});
    const grant = (key: string, extra: number, ms: number): Promise<void> =>
      usage.grant({ limit, key: `${prefix}${key}` }, extra, fixture.host.now() + ms, fixture.call);
    await take({ key: "a", amount: 10 });
    await grant("a", 5, 3_600_000);
    assert.equal((await take({ key: "b", amount: 0 })).remaining, 10);
    assert.equal((await take({ key: "a", amount: 0 })).remaining, 5);
    assert.equal((await take({ key: "a", amount: 6 })).allowed, false);
    assert.equal((await take({ key: "a", amount: 5 })).allowed, true);
    assert.equal((await take({ key: "a", amount: 1 })).allowed, false);
    await grant("fresh", 5, 3_600_000);
    assert.equal((await take({ key: "fresh", amount: 15 })).allowed, true);
    await usage.reset({ limit, key: `${prefix}fresh` }, fixture.call);
    assert.equal((await take({ key: "fresh", amount: 0 })).remaining, 10);
    await grant("back", 5, 3_600_000);
    await grant("back", 0, 0);
    assert.equal((await take({ key: "back", amount: 0 })).remaining, 10);
    await grant("past", 5, 1000);
    await advance(1001);
    assert.equal((await take({ key: "past", amount: 0 })).remaining, 10);
  });
  return tests;
}
