import type { JsonValue } from "weir/sdk";
import { MessageWriter } from "./message-writer.ts";

/** Values nested deeper than this are left out: a protobuf decoder refuses what is nested 100 deep. */
const maxDepth = 16;

/** A field that holds a `KeyValue` (opentelemetry/proto/common/v1/common.proto), tag and all. */
export function encodeAttribute(field: number, key: string, value: JsonValue): Uint8Array {
  const writer = new MessageWriter(64);
  writeAttribute(writer, field, key, value);
  return writer.finish();
}

/** The most keys that are remembered: rules name them, and what a caller names is bounded so. */
const maxKeys = 1000;

/** Keys of attributes, each encoded once: the field `key` (1) of a `KeyValue`, tag and all. */
export class AttributeKeys {
  readonly #known = new Map<string, Uint8Array>();

  of(key: string): Uint8Array {
    let encoded = this.#known.get(key);
    if (encoded !== undefined) return encoded;
    const writer = new MessageWriter(64);
    writer.string(1, key);
    encoded = writer.finish();
    if (this.#known.size < maxKeys) this.#known.set(key, encoded);
    return encoded;
  }
}

/** A field that holds a `KeyValue`, of which the key is encoded. */
export function writeKnownAttribute(writer: MessageWriter, field: number, key: Uint8Array, value: JsonValue): void {
  if (typeof value === "string" && writer.shortEntry(field, key, value)) return;
  writer.begin(field);
  writer.raw(key);
  writeValue(writer, 2, value);
  writer.end();
}

/** A field that holds a `KeyValue`: key (1) and value (2). */
export function writeAttribute(writer: MessageWriter, field: number, key: string, value: JsonValue, depth = 0): void {
  writer.begin(field);
  writer.string(1, key);
  writeValue(writer, 2, value, depth);
  writer.end();
}

/**
 * A field that holds an `AnyValue`: a text (1), bool (2), int (3), double (4), array (5) or list of keys and values (6).
 * `null` is one without any. A number is an int when it is a safe integer.
 */
export function writeValue(writer: MessageWriter, field: number, value: JsonValue, depth = 0): void {
  writer.begin(field);
  if (typeof value === "string") writer.string(1, value);
  else if (typeof value === "boolean") writer.integer(2, value ? 1 : 0);
  else if (typeof value === "number") {
    if (Number.isSafeInteger(value)) writer.integer(3, value);
    else writer.double(4, value);
  } else if (value !== null && depth < maxDepth) {
    const isList = Array.isArray(value);
    writer.begin(isList ? 5 : 6);
    if (isList) for (const element of value as readonly JsonValue[]) writeValue(writer, 1, element, depth + 1);
    else for (const [key, element] of Object.entries(value)) writeAttribute(writer, 1, key, element, depth + 1);
    writer.end();
  }
  writer.end();
}

/** A `Resource` (opentelemetry/proto/resource/v1/resource.proto), whole: attributes (1). */
export function encodeResource(attributes: Readonly<Record<string, string | number | boolean>>): Uint8Array {
  const writer = new MessageWriter();
  for (const [key, value] of Object.entries(attributes)) writeAttribute(writer, 1, key, value);
  return writer.finish();
}

/** The `InstrumentationScope` of all that is sent, whole: name (1). */
export function encodeScope(): Uint8Array {
  const writer = new MessageWriter();
  writer.string(1, "weir");
  return writer.finish();
}
