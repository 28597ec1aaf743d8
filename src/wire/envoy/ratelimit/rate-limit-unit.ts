const day = 86_400_000;

/** Milliseconds of the units of envoy.type.v3.RateLimitUnit, by their numbers. A month counts 30 days, a year 365. */
const milliseconds = [undefined, 1000, 60_000, 3_600_000, day, 30 * day, 365 * day] as const;

/**
 * The units of RateLimitResponse.RateLimit, the largest first: number and milliseconds. They have the week, which
 * releases of Envoy that know nothing of several units would show as a day.
 */
const answered = [
  [6, 365 * day],
  [5, 30 * day],
  [7, 7 * day],
  [4, day],
  [3, 3_600_000],
  [2, 60_000],
  [1, 1000],
] as const;

/** The length of a unit; `undefined` for a number that is none. */
export function unitMs(unit: number): number | undefined {
  return milliseconds[unit];
}

/** The largest unit that a window is a whole number of, and how many; the unit 0, which is none, for a window of part of a second. */
export function unitsOf(windowMs: number): { readonly unit: number; readonly count: number } {
  for (const [unit, ms] of answered) {
    const count = windowMs / ms;
    if (Number.isInteger(count) && count > 0) return { unit, count };
  }
  return { unit: 0, count: 1 };
}
