import type { Parsed } from "./shape/scalars.ts";

/** So many units in each window. */
export interface Rate {
  readonly amount: number;
  readonly windowMs: number;
}

/** The most units a window may allow: limits count in doubles, and a fraction of a unit must not get lost. */
export const maxAmount = 1_000_000_000_000;

/** The longest window: 366 days. */
const maxWindowMs = 366 * 86_400_000;

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const rateExpected = "a rate such as 500/s, 10/m, 1000/h, 1/d or 100/10s";

/** Reads `500/s`, `10/m`, `1000/h`, `1/d` or, with a number before the unit, `100/10s`. `undefined`: no rate at all. */
export function parseRate(text: string): Parsed<Rate> | undefined {
  const m = /^(-?\d{1,30})(\.\d+)? ?\/ ?(\d{0,15})(ms|s|m|h|d)$/.exec(text);
  if (m === null) return undefined;
  const amount = Number(m[1]);
  if (m[2] !== undefined)
    return { problem: `expected ${rateExpected}, got a fraction`, hint: "30/m is half a unit each second" };
  if (amount <= 0) {
    const hint = "to refuse every request, write deny: permission_denied";
    return { problem: `a limit allows at least 1 unit; this one allows ${amount}`, hint };
  }
  if (amount > maxAmount) return { problem: `a limit allows at most ${maxAmount} units` };
  const windowMs = (m[3] === "" ? 1 : Number(m[3])) * unitMs[m[4]!]!;
  if (windowMs < 1) return { problem: "a window is longer than nothing" };
  if (windowMs > maxWindowMs) return { problem: "a window is at most 366 days long" };
  return { value: { amount, windowMs } };
}
