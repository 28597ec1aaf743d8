import { Duration } from "../attributes/duration.ts";
import { Fault } from "../attributes/fault.ts";
import { Cidr, Ip } from "../attributes/ip.ts";
import { Timestamp } from "../attributes/timestamp.ts";
import type { Int64, Value } from "../attributes/value.ts";
import type { Type } from "./type.ts";

/** A double where the static type does not say so: in lists, maps and `dyn`. An int there is the bare number. */
export class Double {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  toString(): string {
    return doubleText(this.value);
  }
}

/** An unsigned integer where the static type does not say so. */
export class Uint {
  readonly value: Int64;

  constructor(value: Int64) {
    this.value = value;
  }

  toString(): string {
    return String(this.value);
  }
}

/** A value that may be missing. `undefined`: none. */
export class Optional {
  readonly value: Dynamic | undefined;

  constructor(value: Dynamic | undefined) {
    this.value = value;
  }
}

export const none = new Optional(undefined);

/** A type as a value: `int`, `type(x)`. Equal by name. */
export class TypeValue {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  toString(): string {
    return this.name;
  }
}

/** A message of a type that the environment brought along. Policies have none. */
export interface Message {
  readonly typeName: string;
  /** The field's value, its default when it is not set; a fault when there is no such field. */
  get(field: string): Dynamic | Fault;
  /** Whether the field is set; a fault when there is no such field. */
  has(field: string): boolean | Fault;
  equals(other: Message): boolean;
  isZero(): boolean;
}

/** How keys are held: an int and a uint of the same value are the same key, and a double finds it too. */
type MapKey = string | boolean | Int64;

/** A map made by an expression. Its keys of type uint are noted, so that they come back as what they were. */
export class DynamicMap extends Map<MapKey, Dynamic> {
  readonly uints = new Set<MapKey>();

  /** Adds an entry. A fault when the key is of no key type or there already. */
  add(key: Dynamic, value: Dynamic): Fault | undefined {
    const held = key instanceof Uint ? key.value : key;
    if (typeof held !== "string" && typeof held !== "boolean" && typeof held !== "number" && typeof held !== "bigint")
      return new Fault(`unsupported key type: ${dynamicTypeName(key)}`);
    if (this.has(held)) return new Fault(`repeated key: ${held}`);
    this.set(held, value);
    if (key instanceof Uint) this.uints.add(held);
    return undefined;
  }
}

export type DynamicMapLike = ReadonlyMap<MapKey, Dynamic>;

/**
 * A value whose type is known at run time only. It is what {@link Value} is, except that doubles and uints are wrapped
 * so that they differ from ints. Elements of lists and maps are always held so.
 */
export type Dynamic =
  Value | null | Double | Uint | Optional | TypeValue | Cidr | Message | readonly Dynamic[] | DynamicMapLike;

/** The keys of a map as values. */
export function keysOf(map: DynamicMapLike): Dynamic[] {
  const keys: Dynamic[] = [];
  const uints = map instanceof DynamicMap ? map.uints : undefined;
  for (const key of map.keys())
    keys.push(uints?.has(key) === true && typeof key !== "string" && typeof key !== "boolean" ? new Uint(key) : key);
  return keys;
}

/** What a map holds under a key, `undefined` when nothing; keys that are no map keys are in no map. */
export function lookup(map: DynamicMapLike, key: Dynamic): Dynamic | undefined {
  if (key instanceof Uint) return map.get(key.value);
  if (key instanceof Double) {
    const n = key.value;
    if (!Number.isInteger(n)) return undefined;
    return map.get(Number.isSafeInteger(n) ? n + 0 : BigInt(n));
  }
  return typeof key === "object" ? undefined : map.get(key);
}

/** From how a static type holds a value to {@link Dynamic}. */
export function box(kind: Type["kind"], value: unknown): Dynamic {
  if (kind === "double") return new Double(value as number);
  if (kind === "uint64") return new Uint(value as Int64);
  return value as Dynamic;
}

/** From {@link Dynamic} to how the value's static type holds it. */
export function unbox(value: Dynamic): unknown {
  return value instanceof Double || value instanceof Uint ? value.value : value;
}

/** The type of a value. Lists, maps and optionals hold anything. */
export function typeOf(value: Dynamic): Type {
  const dyn = { kind: "dyn" } as const;
  switch (typeof value) {
    case "string":
      return { kind: "string" };
    case "number":
    case "bigint":
      return { kind: "int64" };
    case "boolean":
      return { kind: "bool" };
  }
  if (value === null) return { kind: "null" };
  if (value instanceof Double) return { kind: "double" };
  if (value instanceof Uint) return { kind: "uint64" };
  if (value instanceof Uint8Array) return { kind: "bytes" };
  if (value instanceof Timestamp) return { kind: "timestamp" };
  if (value instanceof Duration) return { kind: "duration" };
  if (value instanceof Ip) return { kind: "ip" };
  if (value instanceof Cidr) return { kind: "cidr" };
  if (value instanceof Optional) return { kind: "optional", value: dyn };
  if (value instanceof TypeValue) return { kind: "type" };
  if (isList(value)) return { kind: "list", element: dyn };
  if (value instanceof Map) return { kind: "map", key: dyn, value: dyn };
  return { kind: "message", name: (value as Message).typeName };
}

export function isList(value: unknown): value is readonly Dynamic[] {
  return Array.isArray(value);
}

export function isMap(value: unknown): value is DynamicMapLike {
  return value instanceof Map;
}

export function isMessage(value: Dynamic): value is Message {
  return typeOf(value).kind === "message";
}

/** What `type(x)` is called in CEL (cel-spec, langdef.md, "Types"). */
const celTypeNames: Partial<Record<Type["kind"], string>> = {
  int64: "int",
  uint64: "uint",
  null: "null_type",
  timestamp: "google.protobuf.Timestamp",
  duration: "google.protobuf.Duration",
  optional: "optional_type",
  email: "string",
  uri: "string",
  dns_name: "string",
  string_map: "map",
  ip: "net.IP",
  cidr: "net.CIDR",
};

export function dynamicTypeName(value: Dynamic): string {
  return celTypeName(typeOf(value));
}

export function celTypeName(type: Type): string {
  return type.kind === "message" ? type.name : (celTypeNames[type.kind] ?? type.kind);
}

/** The text of a double, in the shortest form that reads back as the same: `1.5`, `1e+100`, `NaN`, `+Inf`. */
export function doubleText(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return Object.is(value, -0) ? "-0" : String(value);
}
