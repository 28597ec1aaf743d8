import { Bag, emptyMap } from "../../src/attributes/bag.ts";
import { Fault } from "../../src/attributes/fault.ts";
import type { Layout } from "../../src/attributes/layout.ts";
import { parseJsonValue } from "../../src/attributes/text.ts";
import type { StringMap } from "../../src/attributes/value.ts";
import type { Vocabulary } from "../../src/attributes/vocabulary.ts";

/** Attributes as the HTTP door has them; a {@link Fault} stands for a value of the wrong type on the wire. */
export type Attributes = Readonly<Record<string, unknown>>;

/** A bag of the attributes that the layout has places for. */
export function bagOf(
  { layout, vocabulary }: { readonly layout: Layout; readonly vocabulary: Vocabulary },
  attributes: Attributes,
): Bag {
  const bag = new Bag(layout);
  for (const [name, json] of Object.entries(attributes)) {
    const slot = layout.find(name);
    if (slot === undefined) continue;
    if (json instanceof Fault) {
      bag.set(slot, json);
      continue;
    }
    const { type } = vocabulary.get(name)!;
    const value = parseJsonValue(type, json);
    if (value === undefined) throw new TypeError(`${name}: ${JSON.stringify(json)} is no ${type}`);
    if (type !== "string_map") {
      bag.set(slot, value);
      continue;
    }
    bag.set(slot, layout.isWhole(slot) ? value : emptyMap);
    for (const [key, at] of layout.keysOf(name) ?? []) bag.set(at, (value as StringMap).get(key));
  }
  return bag;
}

/** A bag of the attributes that report rules have places for. */
export function recordOf(
  { reportLayout: layout, vocabulary }: { readonly reportLayout: Layout; readonly vocabulary: Vocabulary },
  attributes: Attributes,
): Bag {
  return bagOf({ layout, vocabulary }, attributes);
}
