import { Duration } from "../../attributes/duration.ts";
import { Fault } from "../../attributes/fault.ts";
import { Ip } from "../../attributes/ip.ts";
import { Timestamp } from "../../attributes/timestamp.ts";
import type { Int64 } from "../../attributes/value.ts";
import { TypeValue, doubleText, dynamicTypeName } from "../dynamic.ts";
import { fromDouble, inRange, type IntegerKind } from "../integer.ts";
import { tooCostly } from "../meter.ts";
import { type Overload, bound, fn } from "../overload.ts";
import { listOf, mapOf, types } from "../typing.ts";
import { codePointCount } from "./strings.ts";

const { bool, bytes, double, duration, dyn, int, ip, string, timestamp, type, uint } = types;
const list = listOf(dyn);
const map = mapOf(dyn, dyn);

function failed(text: string, wanted: string): Fault {
  return new Fault(`expected ${wanted}, found ${JSON.stringify(text.slice(0, 80))}`);
}

function parseInteger(kind: IntegerKind, text: string): Int64 | Fault {
  if (!/^[+-]?\d{1,40}$/.test(text) || (kind === "uint64" && text.startsWith("-")))
    return failed(text, kind === "int64" ? "the text of an int" : "the text of a uint");
  return inRange(kind, BigInt(text.startsWith("+") ? text.slice(1) : text));
}

const specialDoubles: Readonly<Record<string, number>> = { nan: NaN, inf: Infinity, infinity: Infinity };

function parseDouble(text: string): number | Fault {
  const m = /^([+-]?)(?:(\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(nan|inf|infinity))$/i.exec(text);
  if (m === null || text.length > 400) return failed(text, "the text of a double");
  if (m[3] === undefined) return Number(text);
  return specialDoubles[m[3].toLowerCase()]! * (m[1] === "-" ? -1 : 1);
}

const boolTexts: Readonly<Record<string, boolean>> = {
  "1": true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  "0": false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
};

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodeUtf8(value: Uint8Array): string | Fault {
  try {
    return utf8.decode(value);
  } catch {
    return new Fault("invalid UTF-8 in bytes, cannot convert to string");
  }
}

const checked = { checked: true };

/** Conversions, `type`, `dyn` and `size` (cel-spec, langdef.md, "List of Standard Definitions"). */
export const conversions: readonly Overload[] = [
  fn("bool", [bool], bool, (value) => value),
  fn("bool", [string], bool, (text) =>
    Object.hasOwn(boolTexts, text) ? boolTexts[text]! : failed(text, "the text of a bool"),
  ),
  fn("int", [int], int, (value) => value),
  fn("int", [uint], int, (value) => inRange("int64", BigInt(value))),
  fn("int", [double], int, (value) => fromDouble("int64", value)),
  fn("int", [string], int, (text) => parseInteger("int64", text)),
  fn("int", [timestamp], int, (value) => value.seconds),
  fn("int", [duration], int, (value) => value.seconds),
  fn("uint", [uint], uint, (value) => value),
  fn("uint", [int], uint, (value) => inRange("uint64", BigInt(value))),
  fn("uint", [double], uint, (value) => fromDouble("uint64", value)),
  fn("uint", [string], uint, (text) => parseInteger("uint64", text)),
  fn("double", [double], double, (value) => value),
  fn("double", [int], double, Number),
  fn("double", [uint], double, Number),
  fn("double", [string], double, parseDouble),
  fn("string", [string], string, (value) => value),
  fn("string", [int], string, String),
  fn("string", [uint], string, String),
  fn("string", [double], string, doubleText),
  fn("string", [bool], string, String),
  fn("string", [bytes], string, decodeUtf8),
  fn("string", [timestamp], string, timestampText),
  fn("string", [duration], string, durationText),
  fn("string", [ip], string, String),
  bound(
    { name: "bytes", method: false, params: [string], result: bytes },
    ({ meter }) =>
      (text) =>
        meter.spend(text.length >>> 4) ? Uint8Array.from(Buffer.from(text)) : tooCostly,
  ),
  fn("bytes", [bytes], bytes, (value) => value),
  fn("timestamp", [timestamp], timestamp, (value) => value),
  fn("timestamp", [int], timestamp, (value) => Timestamp.of(Number(value), 0) ?? new Fault("range error: a timestamp")),
  fn(
    "timestamp",
    [string],
    timestamp,
    (text) => Timestamp.parse(text) ?? failed(text, "a timestamp such as 2026-01-31T12:00:00Z"),
    checked,
  ),
  fn("duration", [duration], duration, (value) => value),
  fn(
    "duration",
    [string],
    duration,
    (text) => Duration.parse(text) ?? failed(text, "a duration such as 1h30m or 1.5s"),
    checked,
  ),
  fn("duration", [int], duration, (value) => Duration.of(Number(value), 0) ?? new Fault("range error: a duration")),
  fn("ip", [ip], ip, (value) => value),
  fn("ip", [string], ip, (text) => Ip.parse(text) ?? failed(text, "an IP address"), checked),
  fn("type", [dyn], type, (value) => new TypeValue(dynamicTypeName(value))),
  fn("dyn", [dyn], dyn, (value) => value),
  ...[string, bytes, list, map].flatMap((param) => {
    const size = (value: unknown): number =>
      sizeOf(value as string | Uint8Array | readonly unknown[] | Map<unknown, unknown>);
    return [fn("size", [param], int, size), { ...fn("size", [param], int, size), method: true }];
  }),
];

function sizeOf(value: string | Uint8Array | readonly unknown[] | ReadonlyMap<unknown, unknown>): number {
  if (typeof value === "string") return codePointCount(value);
  return "size" in value ? value.size : value.length;
}

/** RFC 3339 with as many digits as there are: `2009-02-13T23:31:30.5Z`. */
export function timestampText(value: Timestamp): string {
  return String(value).replace(/(\.\d*?)0+Z$/, "$1Z");
}

/** Seconds with as many digits as there are: `1.5s`. */
export function durationText(value: Duration): string {
  return String(value).replace(/(\.\d*?)0+s$/, "$1s");
}
