import { Duration } from "./duration.ts";
import { parseInt64 } from "./int64.ts";
import { Ip } from "./ip.ts";
import { Timestamp } from "./timestamp.ts";
import type { AttributeType, StringMap, Value } from "./value.ts";

/**
 * Reads a value of a type from text, as the command line has it; `undefined` when the text is not one.
 *
 * - `string`, `email`, `uri`, `dns_name`: the text as it stands.
 * - `int64`: decimal digits with an optional sign, within 64 bits.
 * - `double`: decimal, with an exponent if need be, or `NaN`, `Infinity`, `-Infinity`.
 * - `bool`: `true` or `false`.
 * - `timestamp`: RFC 3339. `duration`: `1.5s`, `1h30m`, `-250ms`.
 * - `ip`: dotted IPv4 or IPv6, or its 4 or 16 bytes as hexadecimal digits.
 * - `bytes`: hexadecimal digits, or `base64:` and base64 of either alphabet.
 * - `string_map`: a JSON object whose values are strings.
 */
export function parseValue(type: AttributeType, text: string): Value | undefined {
  switch (type) {
    case "string":
    case "email":
    case "uri":
    case "dns_name":
      return text;
    case "int64":
      return parseInt64(text);
    case "double":
      return parseDouble(text);
    case "bool":
      return text === "true" ? true : text === "false" ? false : undefined;
    case "timestamp":
      return Timestamp.parse(text);
    case "duration":
      return Duration.parse(text);
    case "ip":
      return Ip.parse(text) ?? (isHexAddress.test(text) ? Ip.fromBytes(Buffer.from(text, "hex")) : undefined);
    case "bytes":
      return parseBytes(text);
    case "string_map":
      try {
        return stringMap(JSON.parse(text));
      } catch {
        return undefined;
      }
  }
}

/**
 * Reads a value of a type from parsed JSON; `undefined` when it is not one. An `int64` is a whole number within plus and minus
 * 2^53 - 1, or a string beyond; a `double` is a number, or a string for what JSON has no number for (`"NaN"`); a `bool`
 * is a JSON boolean; a `string_map` an object of strings. All else is a string, read as {@link parseValue} does.
 */
export function parseJsonValue(type: AttributeType, json: unknown): Value | undefined {
  switch (typeof json) {
    case "string":
      return type === "bool" || type === "string_map" ? undefined : parseValue(type, json);
    case "number":
      if (type === "double") return json;
      // A number that is not safe may have been another one in the text. Adding 0 makes -0 plain 0.
      return type === "int64" && Number.isSafeInteger(json) ? json + 0 : undefined;
    case "boolean":
      return type === "bool" ? json : undefined;
    default:
      return type === "string_map" ? stringMap(json) : undefined;
  }
}

/** The canonical text of a value: {@link parseValue} reads it back as the same value. Maps have their keys sorted. */
export function formatValue(value: Value): string {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
    case "boolean":
      return String(value);
  }
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length).toString("hex");
  if (value instanceof Timestamp || value instanceof Duration || value instanceof Ip) return value.toString();
  const sorted = [...value].sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([key, text]) => `${JSON.stringify(key)}:${JSON.stringify(text)}`).join(",")}}`;
}

const isHexAddress = /^(?:[0-9A-Fa-f]{8}|[0-9A-Fa-f]{32})$/;

function parseDouble(text: string): number | undefined {
  if (text === "NaN") return NaN;
  if (text === "Infinity" || text === "+Infinity") return Infinity;
  if (text === "-Infinity") return -Infinity;
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined;
}

function parseBytes(text: string): Uint8Array | undefined {
  if (!text.startsWith("base64:")) {
    return text.length % 2 === 0 && /^[0-9A-Fa-f]*$/.test(text) ? Uint8Array.from(Buffer.from(text, "hex")) : undefined;
  }
  const digits = text.slice("base64:".length).replace(/={0,2}$/, "");
  if (digits.length % 4 === 1 || !/^(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)$/.test(digits)) return undefined;
  return Uint8Array.from(Buffer.from(digits, "base64"));
}

function stringMap(json: unknown): StringMap | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  const map = new Map<string, string>();
  for (const [key, value] of Object.entries(json)) {
    if (typeof value !== "string") return undefined;
    map.set(key, value);
  }
  return map;
}
