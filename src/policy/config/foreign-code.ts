import { systemTimers, type Timers } from "../../util/timers.ts";
import { late, within } from "../../util/within.ts";

/** How long the import of an adapter, and the check of its configuration, may take: a reload waits for them. */
const patienceMs = 30_000;

/** What code of an adapter answers. Rejects when it takes too long. */
export async function inTime<T>(answer: T | Promise<T>, timers: Timers = systemTimers): Promise<T> {
  const result = await within(Promise.resolve(answer), patienceMs, timers);
  if (result === late) throw new Error(`it did not end within ${patienceMs / 1000} s`);
  return result;
}

/** What it threw, in one line. */
export function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  // Node adds which file of ours asked.
  return text
    .split("\n")[0]!
    .replace(/ imported from .*/, "")
    .slice(0, 300);
}
