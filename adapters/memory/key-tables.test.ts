import test from "ava";
import type { Limit } from "weir/sdk";
import { KeyTables } from "./key-tables.ts";
import { counters } from "./limiter.ts";

function limit(id: string): Limit {
  return { id, algorithm: "fixed-window", amount: 5, windowMs: 1000, burst: 5 };
}

test("a limit whose table was closed, since all its keys were over, gets a new one", (t) => {
  const tables = new KeyTables(counters, { maxKeys: 100, maxKeysPerLimit: 100 }, 1, () => t.fail());
  const [quiet, busy] = [limit("quiet"), limit("busy")];
  tables.add(quiet, "k", 1000);
  const closed = tables.of(quiet);
  for (let i = 0; i < 4; i++) tables.add(busy, `k${i}`, 60_000);
  t.is(tables.sizeOf(quiet), 0);
  t.not(tables.of(quiet), closed);
  tables.add(quiet, "k", 60_000);
  t.deepEqual([tables.sizeOf(quiet), tables.sizeOf(busy), tables.total], [1, 4, 5]);
});

test("each of more limits than have their tables at hand has its own", (t) => {
  const tables = new KeyTables(counters, { maxKeys: 100, maxKeysPerLimit: 100 }, 1, () => t.fail());
  const limits = Array.from({ length: 11 }, (_, i) => limit(`l${i}`));
  for (let round = 0; round < 3; round++) for (const each of limits) t.is(tables.of(each).limit, each.id);
});
