import type { Bag, Reads } from "../attributes/bag.ts";

/** One attribute, or one key of a string map, that a decision rests on. */
export interface Reference {
  readonly name: string;
  /** For one key of a string map. */
  readonly key?: string;
  /**
   * `absent`: it was not there (of a string map without `key`: the whole map was not). `present`: another request agrees
   * when it has the same value. `whole`: another request agrees when its whole map is equal.
   */
  readonly condition: "absent" | "present" | "whole";
}

/**
 * What was read of a bag, each thing once, in the order of the layout. What was made of another attribute is absent, as
 * the caller sees it.
 */
export function referencesOf(bag: Bag, reads: Reads): Reference[] {
  const { slots } = bag.layout;
  const whole = new Set(reads.whole);
  const absentMaps = new Set<number>();
  const references: Reference[] = [];
  const absentMap = (index: number): void => {
    if (absentMaps.has(index)) return;
    absentMaps.add(index);
    references.push({ name: slots[index]!.name, condition: "absent" });
  };
  for (const { index, name, type, key, map } of slots) {
    if ((reads.slots[index >>> 5]! & (1 << (index & 31))) === 0) continue;
    const present = bag.isGiven(index);
    if (key !== undefined) {
      if (!bag.isGiven(map!)) absentMap(map!);
      else references.push({ name, key, condition: present ? "present" : "absent" });
    } else if (type === "string_map") {
      if (present) whole.add(index);
      else absentMap(index);
    } else references.push({ name, condition: present ? "present" : "absent" });
  }
  for (const { map, key, present } of reads.dynamic) {
    if (!bag.isGiven(map)) absentMap(map);
    else references.push({ name: slots[map]!.name, key, condition: present ? "present" : "absent" });
  }
  for (const map of whole) {
    if (!bag.isGiven(map)) absentMap(map);
    else references.push({ name: slots[map]!.name, condition: "whole" });
  }
  return references;
}

/** `a`, `-b` when absent, `m[k]`, `-m[k]`, and `m[*]` for a map as a whole. */
export function referenceText({ name, key, condition }: Reference): string {
  const what = condition === "whole" ? `${name}[*]` : key === undefined ? name : `${name}[${key}]`;
  return condition === "absent" ? `-${what}` : what;
}
