import { emptyMap, type Bag } from "./bag.ts";
import type { StringMap } from "./value.ts";

/** Puts a string map into the slots that the layout has for it, whole and by its keys; does nothing where it has none. */
export function setMap(bag: Bag, name: string, map: StringMap): void {
  const { layout } = bag;
  const slot = layout.find(name);
  if (slot === undefined) return;
  bag.set(slot, layout.isWhole(slot) ? map : emptyMap);
  const keys = layout.keysOf(name);
  if (keys !== undefined) for (const [key, keySlot] of keys) bag.set(keySlot, map.get(key));
}
