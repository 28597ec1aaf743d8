import { Duration } from "../attributes/duration.ts";
import { Fault } from "../attributes/fault.ts";
import { Cidr, Ip, compareBytes } from "../attributes/ip.ts";
import { Timestamp } from "../attributes/timestamp.ts";
import {
  Double,
  type Dynamic,
  Optional,
  TypeValue,
  Uint,
  dynamicTypeName,
  isList,
  isMap,
  keysOf,
  lookup,
  isMessage,
} from "./dynamic.ts";
import { type Meter, tooCostly } from "./meter.ts";

/**
 * Whether two values are equal: numbers across types by value, lists and maps by what they hold, values of different
 * types not at all (cel-spec, langdef.md, "Equality"). A fault when comparing costs more than the meter allows.
 */
export function dynamicEquals(a: Dynamic, b: Dynamic, meter: Meter): boolean | Fault {
  if (!meter.spend(1)) return tooCostly;
  if (typeof a === "string" || typeof a === "boolean" || a === null) return a === b;
  const left = numberOf(a);
  if (left !== undefined) {
    const right = numberOf(b);
    // Loosely: a number and a bigint of the same value are equal.
    return right !== undefined && left == right;
  }
  if (isList(a)) {
    if (!isList(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) {
      const same = dynamicEquals(a[i]!, b[i]!, meter);
      if (same !== true) return same;
    }
    return true;
  }
  if (isMap(a)) {
    if (!isMap(b) || a.size !== b.size) return false;
    for (const key of keysOf(a)) {
      const other = lookup(b, key);
      if (other === undefined) return false;
      const same = dynamicEquals(lookup(a, key)!, other, meter);
      if (same !== true) return same;
    }
    return true;
  }
  if (a instanceof Optional) {
    if (!(b instanceof Optional)) return false;
    if (a.value === undefined || b.value === undefined) return a.value === b.value;
    return dynamicEquals(a.value, b.value, meter);
  }
  return scalarEquals(a, b);
}

function scalarEquals(a: Dynamic, b: Dynamic): boolean {
  if (a instanceof Timestamp) return b instanceof Timestamp && a.compare(b) === 0;
  if (a instanceof Duration) return b instanceof Duration && a.compare(b) === 0;
  if (a instanceof Ip) return b instanceof Ip && a.equals(b);
  if (a instanceof Uint8Array) return b instanceof Uint8Array && compareBytes(a, b) === 0;
  if (a instanceof TypeValue) return b instanceof TypeValue && a.name === b.name;
  if (a instanceof Cidr) return b instanceof Cidr && String(a) === String(b);
  return isMessage(a) && isMessage(b) && a.equals(b);
}

/** Below 0, 0 or above 0 as `a` is less than, equal to or more than `b`; NaN when neither (NaN); a fault when they have no order. */
export function dynamicCompare(a: Dynamic, b: Dynamic): number | Fault {
  const left = numberOf(a);
  const right = numberOf(b);
  if (left !== undefined && right !== undefined) return compareNumbers(left, right);
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if (a instanceof Timestamp && b instanceof Timestamp) return a.compare(b);
  if (a instanceof Duration && b instanceof Duration) return a.compare(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b);
  return new Fault(`no such overload: ${dynamicTypeName(a)} < ${dynamicTypeName(b)}`);
}

function numberOf(value: Dynamic): number | bigint | undefined {
  if (typeof value === "number" || typeof value === "bigint") return value;
  return value instanceof Double || value instanceof Uint ? value.value : undefined;
}

/** A bigint is compared with a double as a double, as CEL has it; with an int that is a number nothing is lost by that. */
export function compareNumbers(a: number | bigint, b: number | bigint): number {
  const left = typeof b === "number" ? Number(a) : a;
  const right = typeof a === "number" ? Number(b) : b;
  return left < right ? -1 : left > right ? 1 : left === right ? 0 : NaN;
}

/** The order of strings by code point; JavaScript's own is by UTF-16 unit, which differs above U+D7FF. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}
