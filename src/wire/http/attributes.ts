import type { Bag } from "../../attributes/bag.ts";
import { setMap } from "../../attributes/set-map.ts";
import { parseJsonValue } from "../../attributes/text.ts";
import type { Value } from "../../attributes/value.ts";
import type { Vocabulary } from "../../attributes/vocabulary.ts";
import { nearest } from "../../util/nearest.ts";
import { WeirError } from "../../util/weir-error.ts";
import { isObject } from "./json.ts";

/**
 * Fills a bag from JSON attributes: `{"request.path": "/x", "source.ip": "10.0.0.1"}`. A value is of its attribute's type,
 * or says its type: `{"type": "int64", "value": "5"}`. Throws WEIR_REQUEST_ATTRIBUTE for a name that is no attribute and
 * for a value of another type, whether a rule reads it or not.
 */
export function fillBag(bag: Bag, vocabulary: Vocabulary, json: unknown): void {
  if (!isObject(json)) {
    throw new WeirError("WEIR_REQUEST_MALFORMED", "attributes are an object of names and values");
  }
  for (const [name, given] of Object.entries(json)) {
    const value = attributeValue(name, given, vocabulary);
    const slot = bag.layout.find(name);
    if (slot === undefined) continue;
    if (value instanceof Map) setMap(bag, name, value);
    else bag.set(slot, value);
  }
}

function attributeValue(name: string, given: unknown, vocabulary: Vocabulary): Value {
  const attribute = vocabulary.get(name);
  if (attribute === undefined) {
    const near = nearest(name, vocabulary.keys());
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    throw new WeirError("WEIR_REQUEST_ATTRIBUTE", `there is no attribute ${shown(name)}${hint}`);
  }
  const { type } = attribute;
  let json = given;
  if (isTyped(given) && (type !== "string_map" || isObject(given.value))) {
    if (given.type !== type) {
      throw new WeirError(
        "WEIR_REQUEST_ATTRIBUTE",
        `${name} is of type ${type}, and was given as ${shown(given.type)}`,
      );
    }
    json = given.value;
  }
  const value = parseJsonValue(type, json);
  if (value === undefined) {
    const isInexact = type === "int64" && Number.isInteger(json) && !Number.isSafeInteger(json);
    const why = isInexact ? "a number beyond 2^53 comes as digits in a string" : `${shown(json)} is not`;
    throw new WeirError("WEIR_REQUEST_ATTRIBUTE", `${name} is of type ${type}, and ${why}`);
  }
  return value;
}

/** Whether a value says its type. A string map may have these two keys itself; then they are strings both. */
function isTyped(given: unknown): given is { readonly type: string; readonly value: unknown } {
  return isObject(given) && typeof given["type"] === "string" && "value" in given && Object.keys(given).length === 2;
}

/** A caller's value as a message shows it: JSON, cut. */
function shown(json: unknown): string {
  const text = JSON.stringify(json);
  return text.length <= 60 ? text : `${text.slice(0, 60)}...`;
}
