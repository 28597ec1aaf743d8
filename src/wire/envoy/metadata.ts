import type { Reader } from "../protobuf/reader.ts";
import { jsonText, readStruct, type Json, type JsonObject } from "../protobuf/struct.ts";
import { within } from "../protobuf/within.ts";

/** Reads the `filter_metadata` of the config.core.v3.Metadata that fills the reader's part: fields by filter. */
export function readFilters(reader: Reader): ReadonlyMap<string, JsonObject> {
  const filters = new Map<string, JsonObject>();
  while (reader.more) {
    const tag = reader.tag();
    if (tag !== 0x0a) {
      reader.skip(tag);
      continue;
    }
    let name = "";
    let fields: JsonObject = new Map();
    within(reader, () => {
      while (reader.more) {
        const inner = reader.tag();
        if (inner === 0x0a) name = reader.string();
        else if (inner === 0x12) fields = within(reader, readStruct);
        else reader.skip(inner);
      }
    });
    filters.set(name, fields);
  }
  return filters;
}

/**
 * Envoy's metadata as a string map: the key of a value is the name of the filter that set it and the way to the value as
 * a JSON pointer (RFC 6901), `envoy.filters.http.header_to_metadata/tenant/plan`; a `/` or `~` within a name is `~1` or
 * `~0`, so that no two values have one key. Text stands as it is, numbers, booleans and lists as JSON; null is left out.
 */
export function flattened(filters: ReadonlyMap<string, JsonObject>): Map<string, string> {
  const texts = new Map<string, string>();
  for (const [filter, fields] of filters) addFields(texts, escaped(filter), fields);
  return texts;
}

function addFields(texts: Map<string, string>, way: string, fields: JsonObject): void {
  for (const [name, value] of fields) {
    const key = `${way}/${escaped(name)}`;
    if (isStruct(value)) addFields(texts, key, value);
    else if (value !== null) texts.set(key, textOf(value));
  }
}

export function isStruct(value: Json): value is JsonObject {
  return value instanceof Map;
}

/** A value as the text of a map's entry. */
export function textOf(value: Json): string {
  return typeof value === "string" ? value : jsonText(value);
}

function escaped(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}
