import { Fault } from "../attributes/fault.ts";
import type { Int64 } from "../attributes/value.ts";

/** The 64-bit types: `int64` from -2^63, `uint64` from 0. */
export type IntegerKind = "int64" | "uint64";

const least = { int64: -0x8000_0000_0000_0000n, uint64: 0n };
const most = { int64: 0x7fff_ffff_ffff_ffffn, uint64: 0xffff_ffff_ffff_ffffn };

/** A bigint as {@link Int64}: a number where that is safe. The range is the caller's business. */
export function normalize(value: bigint): Int64 {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

/** A whole number in the range of `kind`, or a fault. */
export function inRange(kind: IntegerKind, value: bigint): Int64 | Fault {
  if (value < least[kind] || value > most[kind]) return new Fault(`${kindName[kind]} overflow`);
  return normalize(value);
}

/** A double cut to a whole number of `kind`, or a fault when it is out of range (or no number). */
export function fromDouble(kind: IntegerKind, value: number): Int64 | Fault {
  const whole = Math.trunc(value);
  // Both ends of the range are out: near them a double does not tell which integer was meant (cel-spec, conversions).
  const low = kind === "int64" ? -(2 ** 63) : -1;
  const high = kind === "int64" ? 2 ** 63 : 2 ** 64;
  if (!(whole > low && whole < high)) return new Fault(`${kindName[kind]} overflow: ${value} is out of range`);
  return Number.isSafeInteger(whole) ? whole + 0 : normalize(BigInt(whole));
}

const kindName = { int64: "int", uint64: "uint" };

type Operation = (a: Int64, b: Int64) => Int64 | Fault;

function operation(
  kind: IntegerKind,
  quick: (a: number, b: number) => number,
  exact: (a: bigint, b: bigint) => bigint,
): Operation {
  return (a, b) => {
    if (typeof a === "number" && typeof b === "number") {
      const result = quick(a, b);
      // Adding 0 turns -0, which no integer is, into 0.
      if (Number.isSafeInteger(result) && (result >= 0 || kind === "int64")) return result + 0;
    }
    return inRange(kind, exact(BigInt(a), BigInt(b)));
  };
}

function division(
  kind: IntegerKind,
  name: string,
  quick: (a: number, b: number) => number,
  exact: (a: bigint, b: bigint) => bigint,
): Operation {
  const divide = operation(kind, quick, exact);
  return (a, b) => (b === 0 ? new Fault(`${name} by zero`) : divide(a, b));
}

function arithmetic(kind: IntegerKind) {
  return {
    add: operation(
      kind,
      (a, b) => a + b,
      (a, b) => a + b,
    ),
    subtract: operation(
      kind,
      (a, b) => a - b,
      (a, b) => a - b,
    ),
    multiply: operation(
      kind,
      (a, b) => a * b,
      (a, b) => a * b,
    ),
    divide: division(
      kind,
      "division",
      (a, b) => Math.trunc(a / b),
      (a, b) => a / b,
    ),
    modulo: division(
      kind,
      "modulus",
      (a, b) => a % b,
      (a, b) => a % b,
    ),
  };
}

/** Checked 64-bit arithmetic; a result out of range is a fault. */
export const int64 = arithmetic("int64");
export const uint64 = arithmetic("uint64");

export function negate(value: Int64): Int64 | Fault {
  return typeof value === "number" ? 0 - value : inRange("int64", -value);
}
