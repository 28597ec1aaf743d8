import type { Bag } from "../../../attributes/bag.ts";
import { setMap } from "../../../attributes/set-map.ts";
import type { Vocabulary } from "../../../attributes/vocabulary.ts";
import type { Observer } from "../../../util/observer.ts";
import type { Call } from "../../call.ts";
import { notPermitted } from "../../permit.ts";
import { setVouched } from "../vouched.ts";
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
      throw notPermitted(client, doorName, observer, "attribute", name);
    }
    if (name !== wholeMap) setVouched(bag, name, text, "a context extension");
  }
  if (map !== undefined) setMap(bag, wholeMap, map);
}
