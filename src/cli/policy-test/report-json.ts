import { isGood } from "./result.ts";
import type { RunResult } from "./result.ts";

/** A run as programs read it: one JSON object. Its keys are those of {@link RunResult}, and `ok`. */
export function formatJson(run: RunResult): string {
  return `${JSON.stringify({ ok: isGood(run), ...run }, undefined, 2)}\n`;
}
