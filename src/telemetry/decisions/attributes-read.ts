import type { Bag, Reads } from "../../attributes/bag.ts";
import type { Slot } from "../../attributes/layout.ts";
import { Fault } from "../../attributes/fault.ts";
import type { JsonValue } from "../../sdk/index.ts";
import { isSecretName, maskedQuery, maskedText } from "../../util/secret-name.ts";
import { jsonValue } from "../json.ts";

/** The most entries of a map that is shown whole, and the most characters of a text. */
const maxEntries = 50;
const maxText = 256;

/**
 * The attributes that a decision rests on, by name, as JSON: keys of maps under their map, `null` for what was looked for
 * and is not there, `{"fault": ...}` for a value of the wrong type. Values whose name, or whose key's name, is that of a
 * secret are masked, and so are such parameters in the query of a text.
 *
 * @param reveal names of attributes and keys, in lower case, that are shown whatever they are called
 */
export function attributesRead(bag: Bag, reads: Reads, reveal: ReadonlySet<string>): { [name: string]: JsonValue } {
  const found: { [name: string]: JsonValue } = {};
  for (const slot of bag.layout.slots) {
    if (((reads.slots[slot.index >>> 5] ?? 0) & (1 << (slot.index & 31))) === 0) continue;
    if (slot.type === "string_map" && !reads.whole.includes(slot.index)) continue;
    put(found, slot, slot.key, shown(bag.peek(slot.index), slot.key ?? slot.name, reveal));
  }
  for (const { map, key } of reads.dynamic) {
    const slot = bag.layout.slots[map]!;
    const held = bag.peek(map);
    put(found, slot, key, shown(held instanceof Map ? (held.get(key) as string | undefined) : held, key, reveal));
  }
  return found;
}

function put(found: { [name: string]: JsonValue }, { name }: Slot, key: string | undefined, value: JsonValue): void {
  if (key === undefined) {
    found[name] = value;
    return;
  }
  const map = found[name];
  const entries = typeof map === "object" && map !== null ? map : Object.create(null);
  Object.defineProperty(entries, cut(key), { value, enumerable: true, configurable: true, writable: true });
  found[name] = entries as JsonValue;
}

function shown(value: unknown, name: string, reveal: ReadonlySet<string>): JsonValue {
  if (value === undefined) return null;
  if (value instanceof Fault) return { fault: cut(value.message) };
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<string, string>)];
    const parts = entries.slice(0, maxEntries).map(([key, text]) => [cut(key), shown(text, key, reveal)] as const);
    if (entries.length > maxEntries) parts.push(["...", `${entries.length - maxEntries} more`]);
    return Object.fromEntries(parts);
  }
  if (isSecretName(name) && !reveal.has(name.toLowerCase())) return maskedText;
  const json = jsonValue(value);
  return typeof json === "string" ? maskedQuery(cut(json), reveal) : json;
}

function cut(text: string): string {
  return text.length > maxText ? `${text.slice(0, maxText)}...` : text;
}
