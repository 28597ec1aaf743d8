import { DateTime, IANAZone } from "luxon";

/** The units of the calendar, as `limit: 1000/month` names them. A week begins on Monday (ISO 8601). */
export const calendarUnits = ["minute", "hour", "day", "week", "month", "year"] as const;

export type CalendarUnit = (typeof calendarUnits)[number];

/** What windows of the calendar are: units of it, as the clocks of a time zone show them. */
export interface CalendarPeriod {
  readonly unit: CalendarUnit;
  /** A name of the IANA time zone database, such as `Europe/Berlin`, or `UTC`. */
  readonly zone: string;
}

/** From `startMs` on, up to and without `endMs`, in milliseconds since 1970. */
export interface CalendarWindow {
  readonly startMs: number;
  readonly endMs: number;
  /** When the window after it ends. */
  readonly nextEndMs: number;
}

/** The window that was found last for each period: to look one up in the calendar takes far longer than to count. */
const found = new WeakMap<CalendarPeriod, CalendarWindow>();

/**
 * The window that an instant lies in. Months and years have their real lengths; a day on which clocks are changed has
 * 23 or 25 hours, as it has for the people of that zone. The answer is kept for as long as the period object lives.
 */
export function calendarWindow(period: CalendarPeriod, nowMs: number): CalendarWindow {
  const known = found.get(period);
  if (known !== undefined && nowMs >= known.startMs && nowMs < known.endMs) return known;
  const { unit, zone } = period;
  const start = DateTime.fromMillis(nowMs, { zone }).startOf(unit);
  const after = (units: number): number => start.plus({ [unit]: units }).toMillis();
  // Where clocks are set back by less than an hour, the hour that they show begins more than an hour ago.
  let units = 0;
  while (after(units + 1) <= nowMs) units++;
  const window = { startMs: after(units), endMs: after(units + 1), nextEndMs: after(units + 2) };
  found.set(period, window);
  return window;
}

/** Whether there is a time zone of that name. */
export function isTimeZone(name: string): boolean {
  return IANAZone.isValidZone(name);
}
