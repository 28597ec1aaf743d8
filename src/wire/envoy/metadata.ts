import { jsonText, type Json, type JsonObject } from "../protobuf/struct.ts";

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
