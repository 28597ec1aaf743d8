import { Bag, emptyMap } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { Layout } from "../../attributes/layout.ts";
import { parseJsonValue } from "../../attributes/text.ts";
import type { AttributeType, StringMap, Value } from "../../attributes/value.ts";
import type { Vocabulary } from "../../attributes/vocabulary.ts";
import type { Reading } from "../../policy/shape/shape.ts";
import type { Node } from "../../policy/yaml/node.ts";
import type { JsonValue } from "../../sdk/index.ts";
import { nearest } from "../../util/nearest.ts";
import type { Given, GivenAttribute, TestFile } from "./test-file.ts";

/** The attributes of one request. */
export type Attributes = ReadonlyMap<string, Value | Fault>;

/**
 * Puts together what several parts of a test give, later ones over earlier ones: a value replaces a value, the entries of
 * a map are added to those of a map, `null` takes an attribute or an entry away.
 */
export function mergeGiven(test: TestFile, vocabulary: Vocabulary, parts: readonly Given[]): Attributes {
  const merged = new Map<string, Value | Fault>();
  const add = (given: Given): void => {
    for (const { value } of given.use) {
      const fixture = test.fixtures.get(value);
      if (fixture !== undefined) add(fixture);
    }
    for (const attribute of given.attributes) addAttribute(merged, attribute, vocabulary);
    for (const { value } of given.wrongType) merged.set(value, new Fault(`${value} came with another type`));
  };
  for (const part of parts) add(part);
  return merged;
}

function addAttribute(
  merged: Map<string, Value | Fault>,
  { name, value: { value: json } }: GivenAttribute,
  vocabulary: Vocabulary,
): void {
  const type = vocabulary.get(name)?.type;
  if (type === undefined) return;
  if (json === null) {
    merged.delete(name);
  } else if (type === "string_map" && typeof json === "object" && !Array.isArray(json)) {
    const held = merged.get(name);
    const map = new Map(held instanceof Map ? (held as StringMap) : []);
    for (const [key, text] of Object.entries(json)) {
      if (typeof text === "string") map.set(key, text);
      else map.delete(key);
    }
    merged.set(name, map);
  } else {
    const value = parseJsonValue(type, json);
    if (value !== undefined) merged.set(name, value);
  }
}

/** Tells of attributes that the vocabulary does not have and of values that are not of their type. */
export function checkGiven(given: Given, vocabulary: Vocabulary, reading: Reading): void {
  const unknown = (name: string, node: Node): void => {
    const near = nearest(name, vocabulary.keys());
    const hint = near === undefined ? undefined : `did you mean "${near}"?`;
    reading.tell(node, { code: "WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE", message: `there is no attribute "${name}"`, hint });
  };
  for (const { value, node } of given.wrongType) if (!vocabulary.has(value)) unknown(value, node);
  for (const { name, key, value } of given.attributes) {
    const type = vocabulary.get(name)?.type;
    if (type === undefined) unknown(name, key);
    else if (value.value !== null && !isValue(type, value.value)) {
      const quoted =
        typeof value.value === "number" || typeof value.value === "boolean" ? `write "${value.value}"` : undefined;
      reading.mismatch(value.node, `a value of the type ${type}`, "WEIR_REQUEST_ATTRIBUTE", quoted);
    }
  }
}

function isValue(type: AttributeType, json: JsonValue): boolean {
  if (type === "string_map" && typeof json === "object" && json !== null && !Array.isArray(json)) {
    return Object.values(json).every((text) => typeof text === "string" || text === null);
  }
  return parseJsonValue(type, json) !== undefined;
}

/** Puts attributes where the rules of a layout look for them. What no rule reads is left out. */
export function fillBag(layout: Layout, attributes: Attributes): Bag {
  const bag = new Bag(layout);
  for (const [name, value] of attributes) {
    const slot = layout.find(name);
    if (slot === undefined) continue;
    const keys = layout.keysOf(name);
    if (value instanceof Map) {
      bag.set(slot, layout.isWhole(slot) ? (value as StringMap) : emptyMap);
      for (const [key, at] of keys ?? []) bag.set(at, (value as StringMap).get(key));
    } else {
      bag.set(slot, value);
      if (value instanceof Fault) for (const at of keys?.values() ?? []) bag.set(at, value);
    }
  }
  return bag;
}

/** The same values without a trace of reads. */
export function copyBag(bag: Bag): Bag {
  const copy = new Bag(bag.layout);
  for (const { index } of bag.layout.slots) copy.set(index, bag.peek(index));
  return copy;
}
