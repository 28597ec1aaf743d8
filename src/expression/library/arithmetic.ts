import { Duration } from "../../attributes/duration.ts";
import { Fault } from "../../attributes/fault.ts";
import { Timestamp } from "../../attributes/timestamp.ts";
import { int64, negate, uint64 } from "../integer.ts";
import { tooCostly } from "../meter.ts";
import { type Overload, bound, fn } from "../overload.ts";
import { join, listOf, types } from "../typing.ts";

const { bytes, double, duration, dyn, int, string, timestamp, uint } = types;
const list = listOf(dyn);

/** Nanoseconds since 1970. Negative before. */
function instant(time: Timestamp): bigint {
  return BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanos);
}

function timestampAt(nanos: bigint): Timestamp | Fault {
  const seconds = nanos / 1_000_000_000n - (nanos % 1_000_000_000n < 0n ? 1n : 0n);
  return (
    Timestamp.of(Number(seconds), Number(nanos - seconds * 1_000_000_000n)) ??
    new Fault("range error: a timestamp beyond the years 1 to 9999")
  );
}

/** CEL holds durations in 64 bits of nanoseconds when they come of arithmetic: about 292 years. */
function durationOf(nanos: bigint): Duration | Fault {
  const fits = nanos >= -0x8000_0000_0000_0000n && nanos <= 0x7fff_ffff_ffff_ffffn;
  return (fits ? Duration.fromNanos(nanos) : undefined) ?? new Fault("range error: a duration out of range");
}

/** Concatenation makes text, so its length counts as steps. */
const concatenations: readonly Overload[] = [
  bound(
    { name: "+", method: false, params: [string, string], result: string },
    ({ meter }) =>
      (a, b) =>
        meter.spend((a.length + b.length) >>> 4) ? a + b : tooCostly,
  ),
  bound(
    { name: "+", method: false, params: [bytes, bytes], result: bytes },
    ({ meter }) =>
      (a, b) =>
        meter.spend((a.length + b.length) >>> 4) ? Uint8Array.from(Buffer.concat([a, b])) : tooCostly,
  ),
  bound(
    { name: "+", method: false, params: [list, list], result: list, refine: ([a, b]) => join(a!, b!) },
    ({ meter }) =>
      (a, b) =>
        meter.spend((a.length + b.length) >>> 2) ? [...a, ...b] : tooCostly,
  ),
];

/** `+ - * / %` and unary `-` (cel-spec, langdef.md, "Numeric Values", "Timestamps and Durations"). */
export const arithmetic: readonly Overload[] = [
  fn("+", [int, int], int, int64.add),
  fn("+", [uint, uint], uint, uint64.add),
  fn("+", [double, double], double, (a, b) => a + b),
  ...concatenations,
  fn("+", [timestamp, duration], timestamp, (a, b) => timestampAt(instant(a) + b.toNanos())),
  fn("+", [duration, timestamp], timestamp, (a, b) => timestampAt(instant(b) + a.toNanos())),
  fn("+", [duration, duration], duration, (a, b) => durationOf(a.toNanos() + b.toNanos())),
  fn("-", [int, int], int, int64.subtract),
  fn("-", [uint, uint], uint, uint64.subtract),
  fn("-", [double, double], double, (a, b) => a - b),
  fn("-", [timestamp, timestamp], duration, (a, b) => durationOf(instant(a) - instant(b))),
  fn("-", [timestamp, duration], timestamp, (a, b) => timestampAt(instant(a) - b.toNanos())),
  fn("-", [duration, duration], duration, (a, b) => durationOf(a.toNanos() - b.toNanos())),
  fn("-", [int], int, negate),
  fn("-", [double], double, (a) => -a),
  fn("*", [int, int], int, int64.multiply),
  fn("*", [uint, uint], uint, uint64.multiply),
  fn("*", [double, double], double, (a, b) => a * b),
  fn("/", [int, int], int, int64.divide),
  fn("/", [uint, uint], uint, uint64.divide),
  fn("/", [double, double], double, (a, b) => a / b),
  fn("%", [int, int], int, int64.modulo),
  fn("%", [uint, uint], uint, uint64.modulo),
];
