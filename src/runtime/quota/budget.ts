import type { Budget, CalendarUnit, Limit } from "../../sdk/index.ts";

/** The part of a window's amount that may be taken at once; the rest comes evenly over the window. */
const windowBurst = 0.1;

const hour = 3_600_000;

/** The longest that a window of the calendar can be: a clock that is set back makes its day longer by an hour. */
const longestMs: Readonly<Record<CalendarUnit, number>> = {
  minute: 60_000,
  hour: 2 * hour,
  day: 25 * hour,
  week: (7 * 24 + 1) * hour,
  month: (31 * 24 + 1) * hour,
  year: (366 * 24 + 1) * hour,
};

/**
 * A limit as rate and burst, which is what a proxy can keep to by itself: in a stretch of time no more than
 * `burst + rate * length` units pass. Of a limit that counts by windows they are chosen so that no window gets more than
 * its amount. `undefined` for a limit that is none over time.
 */
export function budgetOf({ algorithm, amount, windowMs, burst, calendar }: Limit): Budget | undefined {
  switch (algorithm) {
    case "token-bucket":
      return { rate: (amount * 1000) / windowMs, burst };
    case "fixed-window":
    case "sliding-window":
      return windowed(amount, windowMs);
    case "calendar":
      return windowed(amount, calendar === undefined ? windowMs : longestMs[calendar.unit]);
    default:
      return undefined;
  }
}

/** A window has its beginning and not its end, and units are whole: less than one more than the amount is the amount. */
function windowed(amount: number, windowMs: number): Budget {
  const burst = Math.max(1, Math.floor(amount * windowBurst));
  return { rate: ((amount + 1 - burst) * 1000) / windowMs, burst };
}
