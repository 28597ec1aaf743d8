import test from "ava";
import type { TableRow } from "../../src/sdk/index.ts";
import { parseTableRow } from "../../src/sdk/index.ts";
import { stub, world } from "./world.ts";

const config = "attributes: { tenant.id: string, tenant.plan: string, tenant.seat: string }\nadapters: { plans: {} }";

function table(texts: Readonly<Record<string, string>>) {
  const rows = new Map<string, TableRow>();
  const set = (key: string, text: string): void => void rows.set(key, parseTableRow(text) as TableRow);
  for (const [key, text] of Object.entries(texts)) set(key, text);
  return { adapter: stub("plans", { table: (key) => rows.get(key) }), set };
}

test("a key has the limit that its row says, and one without a row that of the rule or an override", async (t) => {
  const plans = table({ acme: "50/s 80", slow: "2/s" });
  const { checkNow } = await world(
    `policy: p
check:
  - name: l
    limit: 10/s
    by: tenant.id
    table: plans
    overrides: [{ when: tenant.plan == "gold", limit: 20/s }]`,
    [plans.adapter],
    { config },
  );
  const limit = (id: string, plan = "none") => checkNow({ "tenant.id": id, "tenant.plan": plan }).limits[0]!;
  t.like(limit("acme", "gold"), { amount: 50, remaining: 79 }, "a row goes before an override");
  t.like(limit("slow"), { amount: 2, remaining: 1 });
  t.like(limit("other"), { amount: 10 });
  t.like(limit("third", "gold"), { amount: 20 });
  t.like(checkNow({}).limits[0]!, { amount: 10 }, "an absent key has no row");
});

test("a row that changes holds for the next request, and the count goes on", async (t) => {
  const plans = table({ acme: "10/m" });
  const { checkNow } = await world(
    `policy: p\ncheck: [{ name: l, limit: 1/m, by: tenant.id, table: plans }]`,
    [plans.adapter],
    { config },
  );
  const ask = () => checkNow({ "tenant.id": "acme" });
  for (let i = 0; i < 10; i++) t.true(ask().allowed);
  t.false(ask().allowed);
  plans.set("acme", "12/m");
  t.like(ask().limits[0], { allowed: true, amount: 12, remaining: 1 });
});

test("the row is found by tableKey where the rule says so", async (t) => {
  const plans = table({ acme: "3/s" });
  const { checkNow } = await world(
    `policy: p\ncheck: [{ name: l, limit: 1/s, by: { t: tenant.id, s: tenant.seat }, table: plans, tableKey: tenant.id }]`,
    [plans.adapter],
    { config },
  );
  t.like(checkNow({ "tenant.id": "acme", "tenant.seat": "1" }).limits[0], { amount: 3, remaining: 2 });
  t.like(checkNow({ "tenant.id": "acme", "tenant.seat": "2" }).limits[0], { amount: 3, remaining: 2 });
});

test("a row of another kind of window is not taken, told once and counted", async (t) => {
  const plans = table({ month: "5/month", burst: "5/s 9", jobs: "5" });
  const { checkNow, told, lines } = await world(
    `policy: p
check:
  - { name: bucket, limit: 10/s, by: tenant.id, table: plans }
  - { name: window, limit: 10/s, by: tenant.id, table: plans, algorithm: fixed-window }
  - { name: calendar, limit: 10/day, by: tenant.id, table: plans }`,
    [plans.adapter],
    { config },
  );
  const amounts = (id: string) => checkNow({ "tenant.id": id }).limits.map(({ rule, amount }) => `${rule} ${amount}`);
  t.deepEqual(amounts("month"), ["p/bucket 10", "p/calendar 5", "p/window 10"]);
  t.deepEqual(amounts("month"), ["p/bucket 10", "p/calendar 5", "p/window 10"]);
  t.deepEqual(amounts("burst"), ["p/bucket 5", "p/calendar 10", "p/window 10"]);
  t.deepEqual(amounts("jobs"), ["p/bucket 10", "p/calendar 10", "p/window 10"]);
  t.is(told.filter((line) => line.startsWith("fault") && line.endsWith("table")).length, 7);
  t.is(lines.filter(({ message }) => message.includes("does not fit")).length, 7);
});

test("a rate limit door looks rows up too", async (t) => {
  const plans = table({ acme: "3/s" });
  const { rateLimitNow } = await world(
    `policy: p\ncheck: [{ name: l, limit: 1/s, by: 'ratelimit.descriptor["tenant"]', table: plans }]`,
    [plans.adapter],
    { config },
  );
  t.like(rateLimitNow([[{ "ratelimit.descriptor": { tenant: "acme" } }]]).descriptors[0]!.limits[0], {
    amount: 3,
    remaining: 2,
  });
});
