import { calendarUnits, type CalendarUnit } from "./calendar.ts";

/** So many units in each window, or at once. */
export interface Rate {
  readonly amount: number;
  /** 0: no window, so many at once. */
  readonly windowMs: number;
  /** The unit, where the window is one of the calendar. */
  readonly calendar?: CalendarUnit;
}

/** The most units a window may allow: limits count in doubles, and a fraction of a unit must not get lost. */
export const maxAmount = 1_000_000_000_000;

/** The longest window: 366 days. */
const maxWindowMs = 366 * 86_400_000;

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** How long the units of the calendar are taken to be where a length has to be told. */
const nominalMs: Readonly<Record<CalendarUnit, number>> = {
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 7 * 86_400_000,
  month: 30 * 86_400_000,
  year: 365 * 86_400_000,
};

export const rateExpected = "a rate such as 500/s, 10/m, 1000/h, 1/d, 100/10s or 1000/month";

/**
 * Reads `500/s`, `10/m`, `1000/h`, `1/d`, with a number before the unit `100/10s`, with a unit of the calendar
 * `1000/month`, or of what is at work at once just a number. `undefined`: no rate at all.
 */
export function parseRate(
  text: string,
): { readonly value: Rate } | { readonly problem: string; readonly hint?: string } | undefined {
  const m = /^(-?\d{1,30})(\.\d+)?(?: ?\/ ?(?:(\d{0,15})(ms|s|m|h|d)|([a-z]{3,6})))?$/.exec(text);
  if (m === null) return undefined;
  const calendar = calendarUnits.find((unit) => unit === m[5]);
  if (m[5] !== undefined && calendar === undefined) return undefined;
  const amount = Number(m[1]);
  if (m[2] !== undefined)
    return { problem: `expected ${rateExpected}, got a fraction`, hint: "30/m is half a unit each second" };
  if (amount <= 0) {
    const hint = "to refuse every request, write deny: permission_denied";
    return { problem: `a limit allows at least 1 unit; this one allows ${amount}`, hint };
  }
  if (amount > maxAmount) return { problem: `a limit allows at most ${maxAmount} units` };
  if (m[4] === undefined && m[5] === undefined) return { value: { amount, windowMs: 0 } };
  if (calendar !== undefined) return { value: { amount, windowMs: nominalMs[calendar], calendar } };
  const windowMs = (m[3] === "" ? 1 : Number(m[3])) * unitMs[m[4]!]!;
  if (windowMs < 1) return { problem: "a window is longer than nothing" };
  if (windowMs > maxWindowMs) return { problem: "a window is at most 366 days long" };
  return { value: { amount, windowMs } };
}
