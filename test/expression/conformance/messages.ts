import {
  type DescField,
  type DescMessage,
  type Message as Protobuf,
  type Registry,
  ScalarType,
  create,
  equals,
  getExtension,
  hasExtension,
  isMessage as isProtobuf,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import {
  AnySchema,
  DurationSchema,
  ListValueSchema,
  StructSchema,
  TimestampSchema,
  ValueSchema,
  anyUnpack,
  type Value as JsonValue,
  type ListValue,
  type Struct,
  anyPack,
} from "@bufbuild/protobuf/wkt";
import { Duration } from "../../../src/attributes/duration.ts";
import { Fault } from "../../../src/attributes/fault.ts";
import { Timestamp } from "../../../src/attributes/timestamp.ts";
import type { MessageTypes } from "../../../src/expression/compilation.ts";
import {
  Double,
  type Dynamic,
  type DynamicMapLike,
  DynamicMap,
  Uint,
  dynamicTypeName,
  isList,
  isMap,
  keysOf,
  lookup,
  type Message,
} from "../../../src/expression/dynamic.ts";
import { normalize } from "../../../src/expression/integer.ts";
import type { Type } from "../../../src/expression/type.ts";
import { listOf, mapOf, types } from "../../../src/expression/typing.ts";
import { isWellKnown, makeWellKnown } from "../../../src/expression/well-known.ts";

const wrapped = /^google\.protobuf\.(?:Bool|Bytes|Double|Float|Int32|Int64|String|UInt32|UInt64)Value$/;

/** A protobuf message as the engine sees it. */
class ProtobufMessage implements Message {
  readonly #types: ProtobufTypes;
  readonly reflected: ReflectMessage;

  constructor(known: ProtobufTypes, reflected: ReflectMessage) {
    this.#types = known;
    this.reflected = reflected;
  }

  get typeName(): string {
    return this.reflected.desc.typeName;
  }

  get(name: string): Dynamic | Fault {
    const extension = this.#types.extension(this.typeName, name);
    if (extension !== undefined) {
      const value: unknown = getExtension(this.reflected.message, extension);
      return this.#types.extensionValue(extension, value);
    }
    const field = fieldOf(this.reflected.desc, name);
    if (field === undefined) return new Fault(`no such field: ${name}`);
    return this.#types.fieldValue(this.reflected, field);
  }

  has(name: string): boolean | Fault {
    const extension = this.#types.extension(this.typeName, name);
    if (extension !== undefined) return hasExtension(this.reflected.message, extension);
    const field = fieldOf(this.reflected.desc, name);
    return field === undefined ? new Fault(`no such field: ${name}`) : this.reflected.isSet(field);
  }

  equals(other: Message): boolean {
    if (!(other instanceof ProtobufMessage) || other.typeName !== this.typeName) return false;
    const { registry } = this.#types;
    const options = { registry, unpackAny: true, extensions: true, unknown: true };
    return equals(this.reflected.desc, this.reflected.message, other.reflected.message, options);
  }

  isZero(): boolean {
    return this.reflected.fields.every((field) => !this.reflected.isSet(field));
  }
}

function fieldOf(desc: DescMessage, name: string): DescField | undefined {
  return desc.fields.find((field) => field.name === name);
}

/** The message types of a registry, for {@link MessageTypes}. */
export class ProtobufTypes implements MessageTypes {
  readonly registry: Registry;

  constructor(registry: Registry) {
    this.registry = registry;
  }

  has(name: string): boolean {
    return this.registry.getMessage(name) !== undefined;
  }

  enumValue(name: string): number | undefined {
    const dot = name.lastIndexOf(".");
    const found = this.registry.getEnum(name.slice(0, dot));
    return found?.values.find((value) => value.name === name.slice(dot + 1))?.number;
  }

  extension(name: string, extension: string) {
    const found = extension.includes(".") ? this.registry.getExtension(extension) : undefined;
    return found?.extendee.typeName === name ? found : undefined;
  }

  extensionValue(extension: NonNullable<ReturnType<Registry["getExtension"]>>, value: unknown): Dynamic | Fault {
    if (extension.fieldKind === "list")
      return (value as unknown[]).map((item) => this.#scalarOrMessage(extension, item) as Dynamic);
    return this.#scalarOrMessage(extension, value);
  }

  #scalarOrMessage(extension: NonNullable<ReturnType<Registry["getExtension"]>>, value: unknown): Dynamic | Fault {
    if (isProtobuf(value)) return this.fromProtobuf(value);
    return extension.scalar === undefined ? (value as number) : fromScalar(extension.scalar, value);
  }

  fieldType(name: string, field: string): Type | undefined {
    if (this.extension(name, field) !== undefined) return types.dyn;
    const desc = this.registry.getMessage(name);
    const found = desc === undefined ? undefined : fieldOf(desc, field);
    if (found === undefined) return undefined;
    if (found.fieldKind === "list") return listOf(singleType(found.scalar, found.message));
    if (found.fieldKind === "map") return mapOf(scalarType(found.mapKey), singleType(found.scalar, found.message));
    return singleType(found.scalar, found.message);
  }

  literalType(name: string): Type {
    return messageType(name);
  }

  create(name: string, fields: readonly (readonly [string, Dynamic])[]): Dynamic | Fault {
    const message = reflect(this.registry.getMessage(name)!);
    try {
      for (const [field, value] of fields) this.#set(message, fieldOf(message.desc, field)!, value);
    } catch (error) {
      return new Fault(String(error));
    }
    return this.fromReflected(message);
  }

  fromProtobuf(message: Protobuf): Dynamic | Fault {
    const desc = this.registry.getMessage(message.$typeName);
    return desc === undefined
      ? new Fault(`unknown type ${message.$typeName}`)
      : this.fromReflected(reflect(desc, message));
  }

  /** A message as CEL has it: well-known types are plain values. */
  fromReflected(reflected: ReflectMessage): Dynamic | Fault {
    const { desc, message } = reflected;
    const name = desc.typeName;
    if (isWellKnown(name)) {
      const given = reflected.fields.map((field): [string, Dynamic] => [
        field.name,
        field.fieldKind === "scalar" ? fromScalar(field.scalar, reflected.get(field)) : null,
      ]);
      return makeWellKnown(name, given);
    }
    if (isProtobuf(message, AnySchema)) {
      if (message.typeUrl === "") return new Fault("conversion error: an empty google.protobuf.Any");
      const inner = anyUnpack(message, this.registry);
      return inner === undefined ? new Fault(`unknown type ${message.typeUrl}`) : this.fromProtobuf(inner);
    }
    if (isProtobuf(message, ValueSchema)) return fromJsonValue(message);
    if (isProtobuf(message, StructSchema)) return fromStruct(message);
    if (isProtobuf(message, ListValueSchema)) return message.values.map(fromJsonValue);
    return new ProtobufMessage(this, reflected);
  }

  fieldValue(reflected: ReflectMessage, field: DescField): Dynamic | Fault {
    switch (field.fieldKind) {
      case "scalar":
        return fromScalar(field.scalar, reflected.get(field));
      case "enum":
        return reflected.get(field) as number;
      case "message": {
        const nullable = wrapped.test(field.message.typeName) || field.message.typeName === "google.protobuf.Any";
        if (nullable && !reflected.isSet(field)) return null;
        return this.fromReflected(reflected.get(field) as ReflectMessage);
      }
      case "list":
        return [...(reflected.get(field) as Iterable<unknown>)].map((item) => this.#element(field.scalar, item));
      case "map": {
        const map = new DynamicMap();
        for (const [key, value] of reflected.get(field) as Iterable<[unknown, unknown]>)
          map.add(fromScalar(field.mapKey, key), this.#element(field.scalar, value));
        return map;
      }
    }
  }

  #element(scalar: ScalarType | undefined, value: unknown): Dynamic {
    if (scalar !== undefined) return fromScalar(scalar, value);
    return typeof value === "number" ? value : (this.fromReflected(value as ReflectMessage) as Dynamic);
  }

  #set(message: ReflectMessage, field: DescField, value: Dynamic): void {
    switch (field.fieldKind) {
      case "scalar":
        message.set(field, toScalar(field.scalar, value));
        return;
      case "enum":
        if (typeof value !== "number" || value !== (value | 0))
          throw new RangeError(`range error: enum ${String(value)}`);
        message.set(field, value);
        return;
      case "message": {
        const inner = this.#toMessage(field.message, value);
        if (inner !== undefined) message.set(field, inner);
        return;
      }
      case "list": {
        if (!isList(value)) throw new TypeError("expected a list");
        const list = message.get(field) as { add(item: unknown): void };
        for (const item of value) list.add(this.#toElement(field.scalar, field.message, item));
        return;
      }
      case "map": {
        if (!isMap(value)) throw new TypeError("expected a map");
        const map = message.get(field) as { set(key: unknown, item: unknown): void };
        for (const key of keysOf(value))
          map.set(toScalar(field.mapKey, key), this.#toElement(field.scalar, field.message, lookup(value, key)!));
      }
    }
  }

  #toElement(scalar: ScalarType | undefined, message: DescMessage | undefined, value: Dynamic): unknown {
    if (scalar !== undefined) return toScalar(scalar, value);
    if (message === undefined) return value;
    const made = this.#toMessage(message, value);
    if (made === undefined) throw new TypeError(`null is no ${message.typeName}`);
    return made;
  }

  /** A field's message from a value; `undefined` leaves the field unset. */
  #toMessage(desc: DescMessage, value: Dynamic): ReflectMessage | undefined {
    const name = desc.typeName;
    if (name === "google.protobuf.Any") return reflect(desc, anyPackOf(this.registry, value));
    if (name === "google.protobuf.Value") return reflect(desc, toJsonValue(value));
    if (value === null) {
      if (name === "google.protobuf.Struct" || name === "google.protobuf.ListValue")
        throw new TypeError("unsupported field type");
      return undefined;
    }
    if (name === "google.protobuf.Struct") return reflect(desc, toStruct(value));
    if (name === "google.protobuf.ListValue") return reflect(desc, toListValue(value));
    if (wrapped.test(name)) {
      const made = reflect(desc);
      const field = fieldOf(desc, "value")!;
      if (field.fieldKind === "scalar") made.set(field, toScalar(field.scalar, value));
      return made;
    }
    if (value instanceof Timestamp && name === "google.protobuf.Timestamp")
      return reflect(desc, create(TimestampSchema, { seconds: BigInt(value.seconds), nanos: value.nanos }));
    if (value instanceof Duration && name === "google.protobuf.Duration")
      return reflect(desc, create(DurationSchema, { seconds: BigInt(value.seconds), nanos: value.nanos }));
    if (value instanceof ProtobufMessage && value.typeName === name) return value.reflected;
    throw new TypeError(`expected ${name}, found ${dynamicTypeName(value)}`);
  }
}

function anyPackOf(registry: Registry, value: Dynamic): Protobuf {
  const pack = (name: string, init: Record<string, unknown>): Protobuf => {
    const desc = registry.getMessage(`google.protobuf.${name}`)!;
    return anyPack(desc, create(desc, init));
  };
  if (value instanceof ProtobufMessage) return anyPack(value.reflected.desc, value.reflected.message);
  if (value instanceof Timestamp) return pack("Timestamp", { seconds: BigInt(value.seconds), nanos: value.nanos });
  if (value instanceof Duration) return pack("Duration", { seconds: BigInt(value.seconds), nanos: value.nanos });
  if (typeof value === "boolean") return pack("BoolValue", { value });
  if (typeof value === "string") return pack("StringValue", { value });
  if (typeof value === "number" || typeof value === "bigint") return pack("Int64Value", { value: BigInt(value) });
  if (value instanceof Uint) return pack("UInt64Value", { value: BigInt(value.value) });
  if (value instanceof Double) return pack("DoubleValue", { value: value.value });
  if (value instanceof Uint8Array) return pack("BytesValue", { value });
  if (isList(value)) return anyPack(ListValueSchema, toListValue(value));
  if (isMap(value)) return anyPack(StructSchema, toStruct(value));
  if (value === null) return anyPack(ValueSchema, toJsonValue(null));
  throw new TypeError(`no google.protobuf.Any from ${dynamicTypeName(value)}`);
}

function toJsonValue(value: Dynamic): JsonValue {
  const kind = (of: JsonValue["kind"]): JsonValue => create(ValueSchema, { kind: of });
  if (value === null) return kind({ case: "nullValue", value: 0 });
  if (typeof value === "boolean") return kind({ case: "boolValue", value });
  if (typeof value === "string") return kind({ case: "stringValue", value });
  if (value instanceof Double) return kind({ case: "numberValue", value: value.value });
  if (typeof value === "number" || typeof value === "bigint" || value instanceof Uint) {
    const number = value instanceof Uint ? value.value : value;
    // JSON holds integers beyond 2^53 as text (protobuf's JSON mapping).
    return typeof number === "number"
      ? kind({ case: "numberValue", value: number })
      : kind({ case: "stringValue", value: String(number) });
  }
  if (value instanceof Timestamp || value instanceof Duration)
    return kind({ case: "stringValue", value: String(value).replace(/(\.\d*?)0+([sZ])$/, "$1$2") });
  if (value instanceof Uint8Array) return kind({ case: "stringValue", value: Buffer.from(value).toString("base64") });
  if (isList(value)) return kind({ case: "listValue", value: toListValue(value) });
  if (isMap(value)) return kind({ case: "structValue", value: toStruct(value) });
  if (value instanceof ProtobufMessage) {
    const name = value.typeName;
    if (name === "google.protobuf.Empty") return kind({ case: "structValue", value: create(StructSchema) });
    if (name === "google.protobuf.FieldMask") {
      const { paths } = value.reflected.message as unknown as { paths: string[] };
      return kind({ case: "stringValue", value: paths.join(",") });
    }
  }
  throw new TypeError(`no google.protobuf.Value from ${dynamicTypeName(value)}`);
}

function toStruct(value: Dynamic): Struct {
  if (!isMap(value)) throw new TypeError("expected a map");
  const fields: Record<string, JsonValue> = {};
  for (const key of keysOf(value)) {
    if (typeof key !== "string") throw new TypeError("bad key type");
    fields[key] = toJsonValue(lookup(value, key)!);
  }
  return create(StructSchema, { fields: fields as never });
}

function toListValue(value: Dynamic): ListValue {
  if (!isList(value)) throw new TypeError("expected a list");
  return create(ListValueSchema, { values: value.map(toJsonValue) });
}

function fromJsonValue(value: JsonValue): Dynamic {
  switch (value.kind.case) {
    case "boolValue":
    case "stringValue":
      return value.kind.value;
    case "numberValue":
      return new Double(value.kind.value);
    case "listValue":
      return value.kind.value.values.map(fromJsonValue);
    case "structValue":
      return fromStruct(value.kind.value);
    default:
      return null;
  }
}

function fromStruct(value: Struct): DynamicMapLike {
  const fields = value.fields as unknown as Record<string, JsonValue>;
  return new Map(Object.entries(fields).map(([key, item]) => [key, fromJsonValue(item)]));
}

function scalarType(scalar: ScalarType): Type {
  switch (scalar) {
    case ScalarType.BOOL:
      return types.bool;
    case ScalarType.STRING:
      return types.string;
    case ScalarType.BYTES:
      return types.bytes;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return types.double;
    case ScalarType.UINT32:
    case ScalarType.UINT64:
    case ScalarType.FIXED32:
    case ScalarType.FIXED64:
      return types.uint;
    default:
      return types.int;
  }
}

function singleType(scalar: ScalarType | undefined, message: DescMessage | undefined): Type {
  if (scalar !== undefined) return scalarType(scalar);
  return message === undefined ? types.int : messageType(message.typeName);
}

function messageType(name: string): Type {
  if (wrapped.test(name)) return types.dyn;
  switch (name) {
    case "google.protobuf.Any":
    case "google.protobuf.Value":
      return types.dyn;
    case "google.protobuf.Struct":
      return mapOf(types.string, types.dyn);
    case "google.protobuf.ListValue":
      return listOf(types.dyn);
    case "google.protobuf.Timestamp":
      return types.timestamp;
    case "google.protobuf.Duration":
      return types.duration;
    default:
      return { kind: "message", name };
  }
}

function fromScalar(scalar: ScalarType, value: unknown): Dynamic {
  const held = typeof value === "bigint" ? normalize(value) : value;
  switch (scalarType(scalar).kind) {
    case "uint64":
      return new Uint(held as number | bigint);
    case "double":
      return new Double(held as number);
    default:
      return held as Dynamic;
  }
}

const wide: readonly ScalarType[] = [
  ScalarType.INT64,
  ScalarType.SINT64,
  ScalarType.SFIXED64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
];

function toScalar(scalar: ScalarType, value: Dynamic): unknown {
  const { kind } = scalarType(scalar);
  const plain = value instanceof Double || value instanceof Uint ? value.value : value;
  const found = value instanceof Double ? "double" : value instanceof Uint ? "uint64" : undefined;
  if ((kind === "uint64" || kind === "double") !== (found !== undefined) || (found !== undefined && found !== kind))
    throw new TypeError(`unsupported field type: expected ${kind}, found ${dynamicTypeName(value)}`);
  if (scalar === ScalarType.FLOAT) return Math.fround(plain as number);
  return wide.includes(scalar) ? BigInt(plain as number | bigint) : plain;
}
