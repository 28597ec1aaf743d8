import { Duration } from "../attributes/duration.ts";
import { Fault } from "../attributes/fault.ts";
import { Timestamp } from "../attributes/timestamp.ts";
import { type Dynamic, Double, Uint, dynamicTypeName } from "./dynamic.ts";
import { accepts } from "./part.ts";
import type { Type } from "./type.ts";
import { types } from "./typing.ts";

/** A well-known message type of protobuf that CEL takes for a plain value. */
interface WellKnown {
  readonly type: Type;
  readonly fields: Readonly<Record<string, Type>>;
  readonly make: (fields: ReadonlyMap<string, Dynamic>) => Dynamic | Fault;
}

function wrapper(type: Type, empty: Dynamic, bits32 = false): WellKnown {
  return {
    type: types.dyn,
    fields: { value: type },
    make: (fields) => {
      const value = fields.get("value") ?? empty;
      return bits32 && !fits32(value) ? new Fault(`range error: ${value} has more than 32 bits`) : value;
    },
  };
}

function fits32(value: Dynamic): boolean {
  if (value instanceof Uint) return value.value <= 0xffff_ffff;
  return typeof value === "number" && Number.isInteger(value) && value === (value | 0);
}

const wellKnown: Readonly<Record<string, WellKnown>> = {
  BoolValue: wrapper(types.bool, false),
  BytesValue: wrapper(types.bytes, new Uint8Array()),
  DoubleValue: wrapper(types.double, new Double(0)),
  FloatValue: {
    type: types.dyn,
    fields: { value: types.double },
    make: (fields) => new Double(Math.fround(((fields.get("value") as Double | undefined) ?? new Double(0)).value)),
  },
  Int32Value: wrapper(types.int, 0, true),
  Int64Value: wrapper(types.int, 0),
  StringValue: wrapper(types.string, ""),
  UInt32Value: wrapper(types.uint, new Uint(0), true),
  UInt64Value: wrapper(types.uint, new Uint(0)),
  Timestamp: {
    type: types.timestamp,
    fields: { seconds: types.int, nanos: types.int },
    make: (fields) =>
      Timestamp.of(Number(fields.get("seconds") ?? 0), Number(fields.get("nanos") ?? 0)) ??
      new Fault("range error: not a timestamp"),
  },
  Duration: {
    type: types.duration,
    fields: { seconds: types.int, nanos: types.int },
    make: (fields) =>
      Duration.of(Number(fields.get("seconds") ?? 0), Number(fields.get("nanos") ?? 0)) ??
      new Fault("range error: not a duration"),
  },
};

const prefix = "google.protobuf.";

function find(name: string): WellKnown | undefined {
  const short = name.startsWith(prefix) ? name.slice(prefix.length) : "";
  return Object.hasOwn(wellKnown, short) ? wellKnown[short] : undefined;
}

/** Whether a full name is that of a wrapper, of Timestamp or of Duration in `google.protobuf`. */
export function isWellKnown(name: string): boolean {
  return find(name) !== undefined;
}

/** The type of a literal of a well-known message. A wrapper's is `dyn`, because it may be compared with null. */
export function wellKnownType(name: string): Type | undefined {
  return find(name)?.type;
}

export function wellKnownField(name: string, field: string): Type | undefined {
  const fields = find(name)?.fields ?? {};
  return Object.hasOwn(fields, field) ? fields[field] : undefined;
}

export function makeWellKnown(name: string, fields: readonly (readonly [string, Dynamic])[]): Dynamic | Fault {
  const known = find(name)!;
  for (const [field, value] of fields)
    if (!accepts(known.fields[field]!, value)) return new Fault(`${name}.${field} takes no ${dynamicTypeName(value)}`);
  return known.make(new Map(fields));
}
