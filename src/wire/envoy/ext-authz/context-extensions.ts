import type { Bag } from "../../../attributes/bag.ts";
import { Fault } from "../../../attributes/fault.ts";
import { setMap } from "../../../attributes/set-map.ts";
import { parseValue } from "../../../attributes/text.ts";
import type { Vocabulary } from "../../../attributes/vocabulary.ts";
import type { Observer } from "../../../util/observer.ts";
import type { Call } from "../../call.ts";
import { notPermitted } from "../../permit.ts";
import { doorName } from "./name.ts";

const wholeMap = "context.extensions";

/**
 * Puts context extensions, key and value in turn, into a bag. They come from the proxy's configuration and not from the
 * caller of the request, so one that bears an attribute's name sets that attribute, whatever else was found for it; a
 * text that is none of the attribute's type is a fault of the attribute.
 *
 * @throws WeirError WEIR_NOT_PERMITTED for an attribute that the client may not set.
 */
export function setExtensions(
  bag: Bag,
  extensions: readonly string[],
  vocabulary: Vocabulary,
  client: Call["client"],
  observer: Observer,
): void {
  const { layout } = bag;
  const map = layout.find(wholeMap) === undefined ? undefined : new Map<string, string>();
  for (let i = 0; i < extensions.length; i += 2) {
    const name = extensions[i]!;
    const text = extensions[i + 1]!;
    map?.set(name, text);
    if (client !== undefined && vocabulary.has(name) && !client.maySet(name)) {
      throw notPermitted(doorName, observer, "attribute", name);
    }
    const slot = name === wholeMap ? undefined : layout.find(name);
    if (slot === undefined) continue;
    const { type } = layout.slots[slot]!;
    const value = parseValue(type, text);
    if (value instanceof Map) setMap(bag, name, value);
    else if (value !== undefined) bag.set(slot, value);
    else setFault(bag, name, slot, new Fault(`${name} came as a context extension that is no ${type}`));
  }
  if (map !== undefined) setMap(bag, wholeMap, map);
}

function setFault(bag: Bag, name: string, slot: number, fault: Fault): void {
  bag.set(slot, fault);
  for (const key of bag.layout.keysOf(name)?.values() ?? []) bag.set(key, fault);
}
