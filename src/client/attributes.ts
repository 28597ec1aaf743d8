import { Duration } from "../attributes/duration.ts";
import { int64 } from "../attributes/int64.ts";
import { Ip } from "../attributes/ip.ts";
import { parseJsonValue } from "../attributes/text.ts";
import { Timestamp } from "../attributes/timestamp.ts";
import type { AttributeType, StringMap, Value } from "../attributes/value.ts";
import type { Vocabulary } from "../attributes/vocabulary.ts";
import { nearest } from "../util/nearest.ts";
import { WeirError } from "../util/weir-error.ts";
import type { CompressedAttributes } from "../wire/gen/istio/mixer/v1/attributes.ts";

/**
 * A value as a caller writes it. Its type is the attribute's: text such as `10.0.0.1`, `1.5s` or an RFC 3339 time is read as
 * what the attribute holds.
 */
export type AttributeInput = Value | Date | Readonly<Record<string, string>>;

/** The attributes of one request, by name. */
export type Attributes = Readonly<Record<string, AttributeInput>>;

/** Where an attribute travels, by its type: fields that istio.mixer.v1 and weir.v1 have alike. */
export type Compressed = Omit<CompressedAttributes, "words">;

/** Gives a word's index in the dictionaries of a message or stream. */
export type IndexOf = (word: string) => number;

/** Checks attributes against a vocabulary, and puts them into wire form. Throws WEIR_REQUEST_ATTRIBUTE. */
export function compress(attributes: Attributes, vocabulary: Vocabulary, indexOf: IndexOf): Compressed {
  const typed = Object.entries(attributes).map(([name, input]) => {
    const type = vocabulary.get(name)?.type;
    if (type === undefined) throw unknownAttribute(name, vocabulary);
    const value = toValue(type, input);
    if (value === undefined)
      throw new WeirError("WEIR_REQUEST_ATTRIBUTE", `the value of ${name} is not of type ${type}`);
    return { name, type, value };
  });
  const compressed: Compressed = {
    strings: new Map(),
    int64s: new Map(),
    doubles: new Map(),
    bools: new Map(),
    timestamps: new Map(),
    durations: new Map(),
    bytes: new Map(),
    stringMaps: new Map(),
  };
  // Nothing was given an index so far, so a mistake above leaves the dictionary as it was.
  for (const { name, type, value } of typed) put(compressed, indexOf(name), type, value, indexOf);
  return compressed;
}

/** Why a name is no attribute, with the nearest that is one. */
function unknownAttribute(name: string, vocabulary: Vocabulary): WeirError {
  const near = nearest(name, vocabulary.keys());
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return new WeirError("WEIR_REQUEST_ATTRIBUTE", `there is no attribute ${JSON.stringify(name)}${hint}`);
}

function put(into: Compressed, name: number, type: AttributeType, value: Value, indexOf: IndexOf): void {
  switch (type) {
    case "string":
    case "email":
    case "uri":
    case "dns_name":
      into.strings.set(name, indexOf(value as string));
      return;
    case "int64":
      into.int64s.set(name, BigInt(value as number | bigint));
      return;
    case "double":
      into.doubles.set(name, value as number);
      return;
    case "bool":
      into.bools.set(name, value as boolean);
      return;
    case "timestamp":
    case "duration": {
      const { seconds, nanos } = value as Timestamp | Duration;
      into[`${type}s`].set(name, { seconds: BigInt(seconds), nanos });
      return;
    }
    case "ip":
      into.bytes.set(name, Buffer.from((value as Ip).bytes));
      return;
    case "bytes":
      into.bytes.set(name, Buffer.from(value as Uint8Array));
      return;
    case "string_map": {
      const entries = Array.from(value as StringMap, ([key, text]) => [indexOf(key), indexOf(text)] as const);
      into.stringMaps.set(name, { entries: new Map(entries) });
    }
  }
}

function toValue(type: AttributeType, input: AttributeInput): Value | undefined {
  if (typeof input === "bigint") return type === "int64" ? int64(input) : undefined;
  if (typeof input !== "object") return parseJsonValue(type, input);
  if (input instanceof Date) return type === "timestamp" ? Timestamp.fromMs(input.getTime()) : undefined;
  if (input instanceof Uint8Array) return type === "bytes" ? input : type === "ip" ? Ip.fromBytes(input) : undefined;
  if (input instanceof Map) return type === "string_map" ? parseJsonValue(type, Object.fromEntries(input)) : undefined;
  for (const [name, kind] of [
    ["timestamp", Timestamp],
    ["duration", Duration],
    ["ip", Ip],
  ] as const) {
    if (input instanceof kind) return type === name ? input : undefined;
  }
  return parseJsonValue(type, input);
}
