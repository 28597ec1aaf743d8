import type { Bag, Reads } from "../../attributes/bag.ts";

/** What was read, sorted: `a` present, `-a` absent, `m[k]` and `-m[k]` for the key of a map, `m[*]` for a map as a whole. */
export function readsOf(reads: Reads, bag: Bag): string[] {
  const { slots } = bag.layout;
  const found = new Set<string>();
  for (const { index, name, key, map } of slots) {
    if (((reads.slots[index >>> 5] ?? 0) & (1 << (index & 31))) === 0) continue;
    const present = bag.peek(index) !== undefined;
    if (key !== undefined && map !== undefined) {
      // Of a map that is not there, no key can be: its absence says all.
      found.add(bag.peek(map) === undefined ? `-${name}` : `${present ? "" : "-"}${name}[${key}]`);
    } else if (reads.whole.includes(index)) found.add(present ? `${name}[*]` : `-${name}`);
    else found.add(present ? name : `-${name}`);
  }
  for (const { map, key, present } of reads.dynamic) {
    found.add(`${present ? "" : "-"}${slots[map]?.name ?? ""}[${key}]`);
  }
  for (const map of reads.whole) found.add(`${slots[map]?.name ?? ""}[*]`);
  return [...found].sort();
}
