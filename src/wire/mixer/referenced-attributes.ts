import type { Bag, Reads } from "../../attributes/bag.ts";
import type { Writer } from "../protobuf/writer.ts";
import { referencesOf, type Reference } from "../references.ts";
import { globalIndex } from "./dictionary.ts";

const conditionCodes: Readonly<Record<Reference["condition"], number>> = { absent: 1, present: 2, whole: 2 };

/**
 * Whether a client of this protocol can keep an answer that rests on `references`.
 *
 * It cannot when a string map was absent: the protocol names the map then and no key, and a client takes any later
 * request for an equal one, also when it has the map. Nor when a map was used as a whole: no list of keys says what the
 * answer rests on.
 */
function canBeKept(bag: Bag, references: readonly Reference[]): boolean {
  const { layout } = bag;
  return references.every(({ name, key, condition }) => {
    if (condition === "whole") return false;
    return key !== undefined || layout.slots[layout.find(name)!]!.type !== "string_map";
  });
}

/**
 * Writes an istio.mixer.v1.ReferencedAttributes. Words that are among the caller's first `globalWordCount` global ones
 * are given by their index, all others are written out. Gives whether the answer {@link canBeKept}.
 */
export function writeReferences(
  writer: Writer,
  field: number,
  bag: Bag,
  reads: Reads,
  globalWordCount: number,
): boolean {
  const references = referencesOf(bag, reads);
  const words = new Map<string, number>();
  function own(word: string): number {
    let index = words.get(word);
    if (index === undefined) words.set(word, (index = -words.size - 1));
    return index;
  }
  function indexOf(word: string): number {
    const global = globalIndex.get(word);
    return global !== undefined && global < globalWordCount ? global : own(word);
  }
  const matches = references.map(({ name, key, condition }) => ({
    name: indexOf(name),
    condition: conditionCodes[condition],
    // 0 says that there is no key, so the global word 0 cannot be named as one.
    key: key === undefined ? 0 : indexOf(key) || own(key),
  }));
  const start = writer.open(field);
  for (const word of words.keys()) writer.string(1, word);
  for (const { name, condition, key } of matches) {
    const match = writer.open(2);
    writer.sint32(1, name);
    writer.uint32(2, condition);
    if (key !== 0) writer.sint32(4, key);
    writer.close(match);
  }
  writer.close(start);
  return canBeKept(bag, references);
}
