import { strict as assert } from "node:assert";
import { maxAmount } from "../rate.ts";
import type { TableRow } from "../table.ts";
import type { ContractTest } from "./test-adapter.ts";

/** What `table` must keep to, whatever keys it knows. */
export function tableContract(): ContractTest[] {
  return [
    {
      title: "answers of any key at once, with a limit or nothing",
      run({ instance }) {
        for (const key of ["", "a-key", "__proto__", "constructor", "ünï\n", "x".repeat(10_000)]) {
          const row: unknown = instance.table!(key);
          if (row === undefined) continue;
          assert.ok(
            typeof row === "object" && row !== null && !(row instanceof Promise),
            `${key}: no row, but ${String(row)}`,
          );
          const { amount, windowMs } = row as Partial<TableRow>;
          assert.ok(Number(amount) > 0 && Number(amount) <= maxAmount, `${key}: its amount is ${String(amount)}`);
          assert.ok(Number.isFinite(windowMs) && Number(windowMs) >= 0, `${key}: its windowMs is ${String(windowMs)}`);
        }
      },
    },
  ];
}
