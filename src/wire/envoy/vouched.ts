import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import { setNamed } from "../../attributes/set-named.ts";
import { parseValue } from "../../attributes/text.ts";

/**
 * Sets an attribute that a proxy's configuration vouches for, whatever else was found for it; nothing where no rule reads
 * it. A text that is none of the attribute's type is a fault of the attribute. `came` says how it came.
 */
export function setVouched(bag: Bag, name: string, text: string, came: string): void {
  const slot = bag.layout.find(name);
  if (slot === undefined) return;
  const { type } = bag.layout.slots[slot]!;
  setNamed(bag, name, parseValue(type, text) ?? new Fault(`${name} came as ${came} that is no ${type}`));
}
