import type { Bag } from "../../../attributes/bag.ts";
import type { Layout } from "../../../attributes/layout.ts";
import type { Client } from "../../client.ts";
import { serviceOfHost } from "../service-name.ts";
import { setVouched } from "../vouched.ts";
import type { EntrySlots } from "./entry-slots.ts";
import type { Entry } from "./entry.ts";
import { StringMapSlots } from "./string-map.ts";

const reporterKind = "context.reporter.kind";
const serviceHost = "destination.service.host";

/**
 * The custom tags of an entry. They come from the proxy's configuration, so one that bears an attribute's name sets that
 * attribute, whatever else was found for it.
 */
export class TagAttributes {
  /** How many tags were left out because the caller may not set their attribute. */
  refused = 0;
  readonly #map = new StringMapSlots();
  readonly #attributes = new Map<string, string>();

  /** Reads the tags of the entry, and puts them into the map of all tags. */
  read(bag: Bag, slots: EntrySlots, entry: Entry, client: Client | undefined): void {
    if (this.#attributes.size > 0) this.#attributes.clear();
    this.#map.open(bag, slots.context.tags);
    const { repeated, repeatedEnd } = entry.common;
    for (let i = 0; i < repeatedEnd; i += 3) {
      if (repeated[i] !== 22) continue;
      const pair = entry.readPair(repeated, i);
      const name = entry.text(pair, 1);
      const value = entry.text(pair, 2);
      this.#map.put(bag, name, value);
      if (!isAttribute(name, slots.layout)) continue;
      if (client !== undefined && !client.maySet(name)) this.refused++;
      else this.#attributes.set(name, value);
    }
  }

  /** Which side the proxy stands at, where a tag says so. */
  get direction(): "inbound" | "outbound" | undefined {
    if (this.#attributes.size === 0) return undefined;
    const kind = this.#attributes.get(reporterKind);
    return kind === "inbound" || kind === "outbound" ? kind : undefined;
  }

  /** Sets the attributes that tags name. From the host of the service follow its name and namespace. */
  fill(bag: Bag, { service: slots, destination }: EntrySlots): void {
    if (this.#attributes.size === 0) return;
    const host = this.#attributes.get(serviceHost);
    if (host !== undefined) {
      const service = serviceOfHost(host);
      if (slots.name >= 0) bag.set(slots.name, service.name);
      if (slots.namespace >= 0) bag.set(slots.namespace, service.namespace);
      if (destination.namespace >= 0 && service.namespace !== undefined) {
        bag.set(destination.namespace, service.namespace);
      }
    }
    for (const [name, text] of this.#attributes) setVouched(bag, name, text, "a custom tag");
  }
}

/** Whether a tag is an attribute by its name: one that some rule reads, or one that others follow from. */
function isAttribute(name: string, layout: Layout): boolean {
  return name === reporterKind || name === serviceHost || layout.find(name) !== undefined;
}
