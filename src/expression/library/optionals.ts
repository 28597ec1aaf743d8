import { Duration } from "../../attributes/duration.ts";
import { Fault } from "../../attributes/fault.ts";
import { Timestamp } from "../../attributes/timestamp.ts";
import { Double, type Dynamic, Optional, Uint, isList, isMap, isMessage, none } from "../dynamic.ts";
import { type Overload, fn, method } from "../overload.ts";
import type { Type } from "../type.ts";
import { assignable, free, join, optionalOf, types } from "../typing.ts";

const { bool, dyn } = types;
const optional = optionalOf(dyn);

function isZero(value: Dynamic): boolean {
  if (value === null || value === false || value === "" || value === 0) return true;
  if (value instanceof Double || value instanceof Uint) return value.value === 0;
  if (value instanceof Uint8Array || isList(value)) return value.length === 0;
  if (isMap(value)) return value.size === 0;
  if (value instanceof Duration) return value.seconds === 0 && value.nanos === 0;
  if (value instanceof Timestamp) return value.seconds === 0 && value.nanos === 0;
  return typeof value === "object" && isMessage(value) && value.isZero();
}

function inner(type: Type): Type {
  return type.kind === "optional" ? type.value : dyn;
}

/** The type of `a.or(b)` and `a.orValue(b)`. */
function either(a: Type, b: Type): Type | undefined {
  return assignable(a, b) || assignable(b, a) ? (join(a, b) ?? dyn) : undefined;
}

/** Optionals (cel-go's optional types, which the specification's tests describe). */
export const optionals: readonly Overload[] = [
  fn("optional.none", [], optional, () => none, { refine: () => optionalOf(free) }),
  fn("optional.of", [dyn], optional, (value) => new Optional(value), { refine: ([value]) => optionalOf(value!) }),
  fn("optional.ofNonZeroValue", [dyn], optional, (value) => (isZero(value) ? none : new Optional(value)), {
    refine: ([value]) => optionalOf(value!),
  }),
  method("hasValue", [optional], bool, (value) => value.value !== undefined),
  method("value", [optional], dyn, (value) => (value.value === undefined ? noValue : value.value), {
    refine: ([value]) => inner(value!),
  }),
  method("or", [optional, optional], optional, (a, b) => (a.value === undefined ? b : a), {
    refine: ([a, b]) => {
      const type = either(inner(a!), inner(b!));
      return type === undefined ? undefined : optionalOf(type);
    },
  }),
  method("orValue", [optional, dyn], dyn, (a, b) => (a.value === undefined ? b : a.value), {
    refine: ([a, b]) => either(inner(a!), b!),
  }),
];

const noValue = new Fault("optional.none() has no value");
