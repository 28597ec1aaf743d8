import type { Bag } from "./bag.ts";
import { Fault } from "./fault.ts";
import { setMap } from "./set-map.ts";
import type { Value } from "./value.ts";

/** Puts a value, or a fault, into every slot that the layout has for an attribute, those of a map's keys too. */
export function setNamed(bag: Bag, name: string, value: Value | Fault): void {
  if (value instanceof Map) {
    setMap(bag, name, value);
    return;
  }
  const { layout } = bag;
  const slot = layout.find(name);
  if (slot === undefined) return;
  bag.set(slot, value);
  if (value instanceof Fault) for (const key of layout.keysOf(name)?.values() ?? []) bag.set(key, value);
}
