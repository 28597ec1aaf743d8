import type { Bag } from "../../../attributes/bag.ts";
import type { Layout } from "../../../attributes/layout.ts";
import { setMap } from "../../../attributes/set-map.ts";
import { parseValue } from "../../../attributes/text.ts";
import type { Value } from "../../../attributes/value.ts";
import type { Vocabulary } from "../../../attributes/vocabulary.ts";
import type { Observer } from "../../../util/observer.ts";
import type { Call } from "../../call.ts";
import { notPermitted } from "../../permit.ts";
import { Pair } from "../../protobuf/pair.ts";
import type { Reader } from "../../protobuf/reader.ts";
import { setVouched } from "../vouched.ts";
import { doorName } from "./name.ts";

const wholeMap = "context.extensions";

/** A context extension, and what it sets in bags of one layout. */
export interface Extension {
  readonly name: string;
  readonly text: string;
  /** The slot that it fills; -1 where it fills none, or several. */
  readonly slot: number;
  readonly value: Value | undefined;
  /** Whether it fills several slots, or is a fault. */
  readonly isInvolved: boolean;
}

/** Reads the entry of `context_extensions` that fills the reader's part, for bags of a layout. */
export function readExtension(layout: Layout, reader: Reader): Extension {
  const { buffer } = reader;
  const { keyStart, keyEnd, valueStart, valueEnd } = new Pair().read(reader, reader.end);
  const name = buffer.toString("utf8", keyStart, keyEnd);
  return extensionOf(layout, name, buffer.toString("utf8", valueStart, valueEnd));
}

export function extensionOf(layout: Layout, name: string, text: string): Extension {
  const slot = name === wholeMap ? undefined : layout.find(name);
  if (slot === undefined) return { name, text, slot: -1, value: undefined, isInvolved: false };
  const value = parseValue(layout.slots[slot]!.type, text);
  if (value === undefined || value instanceof Map) return { name, text, slot: -1, value: undefined, isInvolved: true };
  return { name, text, slot, value, isInvolved: false };
}

/**
 * Puts the first `count` context extensions into a bag, of whose layout they are. They come from the proxy's
 * configuration and not from the caller of the request, so one that bears an attribute's name sets that attribute,
 * whatever else was found for it; a text that is none of the attribute's type is a fault of the attribute.
 *
 * @throws WeirError WEIR_NOT_PERMITTED for an attribute that the client may not set.
 */
export function setExtensions(
  bag: Bag,
  extensions: readonly Extension[],
  count: number,
  vocabulary: Vocabulary,
  client: Call["client"],
  observer: Observer,
): void {
  const { layout } = bag;
  const map = layout.find(wholeMap) === undefined ? undefined : new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const { name, text, slot, value, isInvolved } = extensions[i]!;
    map?.set(name, text);
    if (client !== undefined && vocabulary.has(name) && !client.maySet(name)) {
      throw notPermitted(client, doorName, observer, "attribute", name);
    }
    if (slot >= 0) bag.set(slot, value);
    else if (isInvolved) setVouched(bag, name, text, "a context extension");
  }
  if (map !== undefined) setMap(bag, wholeMap, map);
}
