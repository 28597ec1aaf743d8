import { Fault } from "../../attributes/fault.ts";
import type { Duration } from "../../attributes/duration.ts";
import type { Timestamp } from "../../attributes/timestamp.ts";
import { type Overload, bound, method } from "../overload.ts";
import { types } from "../typing.ts";

const { duration, int, string, timestamp } = types;

/** What a clock on the wall shows. */
type Wall = Date;

/** Gives a date whose UTC fields are those of the wall clock in a zone. */
type Zone = (time: Timestamp) => Wall;

const utc: Zone = (time) => new Date(time.seconds * 1000);

/** A zone by its offset (`+11:00`, `-02:30`, `02:00`) or its name in the IANA database (`Europe/Berlin`). */
function zoneOf(name: string): Zone | Fault {
  const offset = /^([+-]?)(\d\d):(\d\d)$/.exec(name);
  if (offset !== null && Number(offset[2]) < 24 && Number(offset[3]) < 60) {
    const seconds = (Number(offset[2]) * 60 + Number(offset[3])) * 60 * (offset[1] === "-" ? -1 : 1);
    return (time) => new Date((time.seconds + seconds) * 1000);
  }
  if (name === "UTC" || name === "") return utc;
  let format: Intl.DateTimeFormat;
  try {
    if (!/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(name)) throw new RangeError(name);
    const numeric = "numeric";
    format = new Intl.DateTimeFormat("en-US-u-ca-iso8601", {
      timeZone: name,
      year: numeric,
      month: numeric,
      day: numeric,
      hour: numeric,
      minute: numeric,
      second: numeric,
      hourCycle: "h23",
      era: "short",
    });
  } catch {
    return new Fault(
      `expected a time zone such as +02:00 or Europe/Berlin, found ${JSON.stringify(name.slice(0, 80))}`,
    );
  }
  return (time) => wallClock(format, time);
}

function wallClock(format: Intl.DateTimeFormat, time: Timestamp): Wall {
  const fields: Record<string, string> = {};
  for (const { type, value } of format.formatToParts(new Date(time.seconds * 1000))) fields[type] = value;
  const year = Number(fields["year"]) * 1;
  const wall = new Date(0);
  wall.setUTCFullYear(
    fields["era"]?.startsWith("B") === true ? 1 - year : year,
    Number(fields["month"]) - 1,
    Number(fields["day"]),
  );
  wall.setUTCHours(Number(fields["hour"]), Number(fields["minute"]), Number(fields["second"]));
  return wall;
}

/** The most zones that are kept ready for zones that are computed. */
const maxZones = 32;

/** An accessor without and with a zone. */
function accessor(name: string, read: (wall: Wall, time: Timestamp) => number): Overload[] {
  return [
    method(name, [timestamp], int, (time) => read(utc(time), time)),
    bound({ name, method: true, params: [timestamp, string], result: int }, (_tools, [, constant]) => {
      if (constant !== undefined) {
        const zone = zoneOf(constant);
        return zone instanceof Fault ? zone : (time) => read(zone(time), time);
      }
      const zones = new Map<string, Zone>();
      return (time, zoneName) => {
        const zone = zones.get(zoneName) ?? zoneOf(zoneName);
        if (zone instanceof Fault) return zone;
        if (zones.size >= maxZones) zones.clear();
        zones.set(zoneName, zone);
        return read(zone(time), time);
      };
    }),
  ];
}

function dayOfYear(wall: Wall): number {
  const start = new Date(0);
  start.setUTCFullYear(wall.getUTCFullYear(), 0, 1);
  return Math.floor((wall.getTime() - start.getTime()) / 86_400_000);
}

function ofDuration(name: string, read: (value: Duration) => number): Overload {
  return method(name, [duration], int, (value) => Math.trunc(read(value)) + 0);
}

/** Parts of timestamps and durations (cel-spec, langdef.md, "Timestamps and Durations"). Months and days count from 0 except `getDate`. */
export const times: readonly Overload[] = [
  ...accessor("getFullYear", (wall) => wall.getUTCFullYear()),
  ...accessor("getMonth", (wall) => wall.getUTCMonth()),
  ...accessor("getDate", (wall) => wall.getUTCDate()),
  ...accessor("getDayOfMonth", (wall) => wall.getUTCDate() - 1),
  ...accessor("getDayOfWeek", (wall) => wall.getUTCDay()),
  ...accessor("getDayOfYear", dayOfYear),
  ...accessor("getHours", (wall) => wall.getUTCHours()),
  ...accessor("getMinutes", (wall) => wall.getUTCMinutes()),
  ...accessor("getSeconds", (wall) => wall.getUTCSeconds()),
  ...accessor("getMilliseconds", (_wall, time) => Math.trunc(time.nanos / 1_000_000)),
  ofDuration("getHours", (value) => value.seconds / 3600),
  ofDuration("getMinutes", (value) => value.seconds / 60),
  ofDuration("getSeconds", (value) => value.seconds),
  ofDuration("getMilliseconds", (value) => value.nanos / 1_000_000),
];
