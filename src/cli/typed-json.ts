import { Duration } from "../attributes/duration.ts";
import { Cidr, Ip } from "../attributes/ip.ts";
import { Timestamp } from "../attributes/timestamp.ts";
import type { AttributeType } from "../attributes/value.ts";
import {
  Double,
  type Dynamic,
  Optional,
  TypeValue,
  Uint,
  isList,
  isMap,
  keysOf,
  lookup,
  typeOf,
} from "../expression/dynamic.ts";
import { durationText, timestampText } from "../expression/library/conversions.ts";
import type { Type } from "../expression/type.ts";

/** What attribute types are called in the JSON of `weir eval`, as Mixer's ValueType has it. */
const typeNames = {
  string: "STRING",
  int64: "INT64",
  double: "DOUBLE",
  bool: "BOOL",
  timestamp: "TIMESTAMP",
  duration: "DURATION",
  ip: "IP_ADDRESS",
  bytes: "BYTES",
  email: "EMAIL_ADDRESS",
  uri: "URI",
  dns_name: "DNS_NAME",
  string_map: "STRING_MAP",
} as const satisfies Record<AttributeType, string>;

/** Types that only results have. */
const resultTypeNames: Partial<Record<Type["kind"], string>> = {
  ...typeNames,
  uint64: "UINT64",
  null: "NULL",
  list: "LIST",
  map: "MAP",
  type: "TYPE",
  optional: "OPTIONAL",
  cidr: "CIDR",
};

const byTypeName = new Map<unknown, AttributeType>(
  Object.entries(typeNames).map(([type, name]) => [name, type as AttributeType]),
);

/** The attribute type of a name such as `IP_ADDRESS`. */
export function attributeTypeOf(name: unknown): AttributeType | undefined {
  return byTypeName.get(name);
}

export interface TypedJson {
  readonly type: string;
  readonly value: unknown;
}

/** The most values that a result may hold, lists in lists counted through. */
const maxValues = 10_000;

/**
 * A result with the name of its type. 64-bit integers are text; doubles are numbers, or text where JSON has no number;
 * times RFC 3339, durations `1.5s`, bytes hexadecimal. `undefined` when it holds more than 10,000 values.
 */
export function typedJson(type: Type, value: Dynamic): TypedJson | undefined {
  const kind = type.kind === "dyn" ? typeOf(value).kind : type.kind;
  const name = resultTypeNames[kind] ?? kind.toUpperCase();
  const isInteger = typeof value === "number" || typeof value === "bigint" || value instanceof Uint;
  if (isInteger) return { type: name, value: String(value) };
  const left = { values: maxValues };
  const json = naturalJson(value, left);
  return left.values < 0 ? undefined : { type: name, value: json };
}

function naturalJson(value: Dynamic, left: { values: number }): unknown {
  if (--left.values < 0) return null;
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Double) return Number.isFinite(value.value) ? value.value : String(value.value);
  if (value instanceof Uint) return typeof value.value === "bigint" ? String(value.value) : value.value;
  if (value instanceof Timestamp) return timestampText(value);
  if (value instanceof Duration) return durationText(value);
  if (value instanceof Ip || value instanceof Cidr || value instanceof TypeValue) return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (value instanceof Optional) return value.value === undefined ? null : naturalJson(value.value, left);
  if (isList(value)) {
    const items: unknown[] = [];
    for (const item of value) {
      if (left.values < 0) break;
      items.push(naturalJson(item, left));
    }
    return items;
  }
  if (!isMap(value)) return String(value);
  const entries: [string, unknown][] = [];
  for (const key of keysOf(value)) {
    if (left.values < 0) break;
    entries.push([String(key), naturalJson(lookup(value, key)!, left)]);
  }
  return Object.fromEntries(entries);
}
