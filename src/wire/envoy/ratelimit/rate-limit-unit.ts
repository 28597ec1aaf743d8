/** Milliseconds of the units of envoy.type.v3.RateLimitUnit, by their numbers. A month counts 30 days, a year 365. */
const milliseconds = [undefined, 1000, 60_000, 3_600_000, 86_400_000, 30 * 86_400_000, 365 * 86_400_000] as const;

/** The length of a unit; `undefined` for a number that is none. */
export function unitMs(unit: number): number | undefined {
  return milliseconds[unit];
}

/** The largest unit that a window is a whole number of, and how many; the unit 0, which is none, for a window of part of a second. */
export function unitsOf(windowMs: number): { readonly unit: number; readonly count: number } {
  for (let unit = milliseconds.length - 1; unit > 0; unit--) {
    const count = windowMs / milliseconds[unit]!;
    if (Number.isInteger(count) && count > 0) return { unit, count };
  }
  return { unit: 0, count: 1 };
}
