import { formatValue } from "../attributes/text.ts";
import { Double, Optional, Uint, type Dynamic } from "../expression/dynamic.ts";
import type { JsonValue } from "../sdk/index.ts";

/** How deep a value made by an expression may be nested before the rest is left out. */
const maxDepth = 16;

/**
 * A value as JSON. Integers beyond 2^53 and numbers that JSON has no form for come as text, and so do IPs, durations,
 * timestamps and bytes; string maps are objects. Never throws.
 */
export function jsonValue(value: unknown, depth = 0): JsonValue {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : formatValue(value);
    case "bigint":
      return String(value);
    case "object":
      return value === null || depth > maxDepth ? null : jsonObject(value, depth);
    default:
      return null;
  }
}

function jsonObject(value: object, depth: number): JsonValue {
  if (value instanceof Uint8Array) return formatValue(value);
  if (value instanceof Double || value instanceof Uint) return jsonValue(value.value, depth);
  if (value instanceof Optional) return value.value === undefined ? null : jsonValue(value.value, depth);
  if (Array.isArray(value)) return value.map((element) => jsonValue(element, depth + 1));
  if (value instanceof Map) {
    // Object.fromEntries makes own properties of all keys, `__proto__` too.
    return Object.fromEntries(
      [...(value as Map<unknown, Dynamic>)].map(([k, v]) => [String(k), jsonValue(v, depth + 1)]),
    );
  }
  return String(value);
}
