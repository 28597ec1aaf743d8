import test from "ava";
import fc from "fast-check";
import { calendarUnits, calendarWindow, isTimeZone, type CalendarUnit } from "weir/sdk";
import { fuzzRuns } from "../fuzz-runs.ts";

const cases: readonly (readonly [at: string, unit: CalendarUnit, zone: string, start: string, end: string])[] = [
  ["2026-11-21T12:34:56Z", "minute", "UTC", "2026-11-21T12:34:00Z", "2026-11-21T12:35:00Z"],
  ["2026-11-21T12:34:56Z", "hour", "Asia/Kolkata", "2026-11-21T12:30:00Z", "2026-11-21T13:30:00Z"],
  ["2026-11-21T23:30:00Z", "day", "Europe/Berlin", "2026-11-21T23:00:00Z", "2026-11-22T23:00:00Z"],
  ["2026-11-22T12:00:00Z", "week", "UTC", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"],
  ["2028-02-29T12:00:00Z", "month", "UTC", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"],
  ["2026-12-31T23:59:59Z", "year", "Pacific/Auckland", "2026-12-31T11:00:00Z", "2027-12-31T11:00:00Z"],
  // The day on which clocks go forward has 23 hours, the one on which they go back 25.
  ["2026-03-29T12:00:00Z", "day", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"],
  ["2026-10-25T12:00:00Z", "day", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"],
  // An hour that clocks show twice is two windows.
  ["2026-10-25T00:30:00Z", "hour", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"],
  ["2026-10-25T01:30:00Z", "hour", "Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"],
  // Clocks that go back by half an hour.
  ["2026-04-04T15:15:00Z", "hour", "Australia/Lord_Howe", "2026-04-04T15:00:00Z", "2026-04-04T16:00:00Z"],
];

for (const [at, unit, zone, start, end] of cases) {
  test(`the ${unit} of ${at} in ${zone} begins at ${start}`, (t) => {
    const { startMs, endMs } = calendarWindow({ unit, zone }, Date.parse(at));
    t.deepEqual([new Date(startMs).toISOString(), new Date(endMs).toISOString()], [iso(start), iso(end)]);
  });
}

const iso = (text: string): string => new Date(text).toISOString();

test("windows follow each other, hold the instants that they are asked for, and are the same however one comes to them", (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom(...calendarUnits),
      fc.constantFrom("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"),
      fc.integer({ min: Date.UTC(2000), max: Date.UTC(2040) }),
      (unit, zone, at) => {
        const period = { unit, zone };
        const window = calendarWindow(period, at);
        t.true(window.startMs <= at && at < window.endMs && window.endMs < window.nextEndMs);
        const fresh = (ms: number) => calendarWindow({ unit, zone }, ms);
        t.deepEqual(fresh(window.endMs - 1), window);
        t.is(fresh(window.endMs).startMs, window.endMs);
        t.is(fresh(window.endMs).endMs, window.nextEndMs);
      },
    ),
    { numRuns: fuzzRuns(500) },
  );
});

test("knows the names of time zones", (t) => {
  for (const name of ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"]) t.true(isTimeZone(name), name);
  for (const name of ["", "local", "Europe/Berlim", "Mars"]) t.false(isTimeZone(name), name);
});
