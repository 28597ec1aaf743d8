import test from "ava";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { compiled, fakeClock, recorder, stub, world } from "./world.ts";

/** What is counted of the rules that were used. */
function used({ ruleTotals }: Runtime<undefined>): Record<string, readonly number[]> {
  const totals = Array.from(ruleTotals(), ({ rule, applied, granted, refused }) => [
    rule.id,
    [applied, granted, refused] as const,
  ]);
  return Object.fromEntries(totals) as Record<string, readonly number[]>;
}

const shop = `
policy: shop
check:
  - { name: closed, deny: permission_denied, when: request.path == "/closed" }
  - { name: staff, deny: permission_denied, when: request.path == "/staff", unless: source.user == "ann" }
  - { name: number, deny: permission_denied, when: int(request.path) > 5 }
  - { name: calls, limit: 2/m, when: request.path == "/calls" }
`;

test("a rule is counted when its conditions hold, or cannot be evaluated, whatever comes of it", async (t) => {
  const { check, runtime } = await world(shop);
  await check({ "request.path": "/closed" });
  await check({ "request.path": "/staff", "source.user": "ann" });
  await check({ "request.path": "7" });
  await check({});
  t.deepEqual(used(runtime), {
    "shop/closed": [1, 0, 0],
    "shop/staff": [1, 0, 0],
    "shop/number": [3, 0, 0],
    "shop/calls": [0, 0, 0],
  });
});

test("units of limits: what was granted, and what was refused since a limit was used up", async (t) => {
  const { check, runtime } = await world(`
policy: p
check:
  - { name: wide, limit: 100/m, cost: request.size }
  - { name: narrow, limit: 10/m, cost: request.size }
---
policy: seen
mode: observe
check:
  - { name: tiny, limit: 1/m, cost: request.size }
`);
  await check({ "request.size": 6 });
  await check({ "request.size": 6 });
  await check({ "request.size": 4 });
  t.deepEqual(used(runtime), { "p/wide": [3, 10, 0], "p/narrow": [3, 10, 6], "seen/tiny": [3, 0, 10] });
});

test("what another adapter's limit refused is neither granted nor refused", async (t) => {
  const none = stub("none", {
    quota: (charges) => charges.map(() => ({ allowed: false, granted: 0, remaining: 0, resetMs: 1000, validForMs: 0 })),
  });
  const { check, runtime } = await world(
    `
policy: p
check:
  - { name: here, limit: 100/m }
  - { name: there, limit: 100/m, via: none }
`,
    [none],
    { config: "adapters: { memory: {}, none: {}, prometheus: {}, stdout: { adapter: log } }\n" },
  );
  await check({});
  t.deepEqual(used(runtime), { "p/here": [1, 0, 0], "p/there": [1, 0, 1] });
});

test("an amount that a caller names, and takes in part", async (t) => {
  const { check, runtime } = await world("policy: p\ncheck:\n  - { name: l, limit: 10/m }\n");
  await check({}, { quotas: new Map([["l", { amount: 25, bestEffort: true }]]) });
  t.deepEqual(used(runtime), { "p/l": [1, 10, 15] });
});

test("descriptors of rate limit doors are counted each, and a look takes nothing", async (t) => {
  const { rateLimitNow, runtime } = await world("policy: p\ncheck:\n  - { name: l, limit: 3/m, at: ratelimit }\n");
  rateLimitNow([[{}, { hits: 2 }]]);
  rateLimitNow([[{}, { hits: 2 }]]);
  rateLimitNow([[{}, { hits: 0 }]]);
  t.deepEqual(used(runtime), { "p/l": [3, 2, 2] });
});

test("a rule that stays over a reload goes on counting, also what requests under way still count", async (t) => {
  const { check, checkNow, runtime } = await world(shop);
  await check({ "request.path": "/closed" });
  const serving = runtime.acquire();
  t.deepEqual(await runtime.activate(await compiled(shop.replace("2/m", "3/m"))), []);
  t.deepEqual(used(runtime)["shop/closed"], [1, 0, 0]);
  checkNow({ "request.path": "/closed" });
  t.deepEqual(used(runtime)["shop/closed"], [2, 0, 0]);
  serving.release();
  t.deepEqual(used(runtime)["shop/closed"], [2, 0, 0]);
  const only = shop.replace(/.*name: closed.*\n/, "");
  t.deepEqual(await runtime.activate(await compiled(only)), []);
  t.deepEqual(Object.keys(used(runtime)).sort(), ["shop/calls", "shop/number", "shop/staff"]);
  t.deepEqual(await runtime.activate(await compiled(shop)), []);
  t.deepEqual(used(runtime)["shop/closed"], [0, 0, 0]);
});

test("the time of a decision is told by what it went into", async (t) => {
  const clock = fakeClock();
  const times: (readonly (number | undefined)[])[] = [];
  const decision = (_allowed: boolean, ...ms: (number | undefined)[]): void => void times.push(ms);
  const later = <T>(ms: number, value: T): Promise<T> =>
    new Promise((resolve) => void clock.after(ms, () => resolve(value)));
  const slow = stub("slow", {
    check: () => later(30, { allow: true }),
    quota: (charges) =>
      later(
        5,
        charges.map(({ amount }) => ({
          allowed: true,
          granted: amount,
          remaining: 9,
          resetMs: 1000,
          validForMs: 0,
        })),
      ),
  });
  const { check } = await world(
    `
policy: p
check:
  - { name: a, ask: slow, when: request.path == "/both" || request.path == "/ask" }
  - { name: l, limit: 9/m, via: slow, when: request.path == "/both" || request.path == "/limit" }
`,
    [slow],
    {
      config: "adapters: { memory: {}, slow: {}, prometheus: {}, stdout: { adapter: log } }\n",
      observer: { ...recorder().observer, decision },
      monotonic: () => clock.now(),
      now: () => clock.now(),
      timers: clock,
    },
  );
  for (const path of ["/none", "/ask", "/limit", "/both"]) {
    const pending = check({ "request.path": path });
    await clock.advance(100);
    await pending;
  }
  t.deepEqual(times, [
    [0, undefined, undefined],
    [30, 30, undefined],
    [5, undefined, 5],
    [35, 30, 5],
  ]);
});
