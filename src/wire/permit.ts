import type { Bag } from "../attributes/bag.ts";
import type { Layout } from "../attributes/layout.ts";
import type { Observer } from "../util/observer.ts";
import { WeirError } from "../util/weir-error.ts";
import type { Client } from "./client.ts";

/** The slots of a layout that a client may not fill; worked out once for each two. */
const foreignSlots = new WeakMap<Layout, WeakMap<Client, readonly number[]>>();

/**
 * Refuses a bag that holds an attribute which its sender may not set, whether by its value or by one of another type.
 * The whole call is refused rather than the attribute left out: a `deny` whose `match` reads an attribute that is absent
 * does not apply, so leaving one out could open a door. An attribute that no rule reads has no slot and is not seen.
 *
 * @throws WeirError WEIR_NOT_PERMITTED
 */
export function refuseForeignAttributes(bag: Bag, client: Client | undefined, door: string, observer: Observer): void {
  if (client === undefined) return;
  for (const slot of foreignTo(client, bag.layout)) {
    if (bag.peek(slot) !== undefined)
      throw notPermitted(client, door, observer, "attribute", bag.layout.slots[slot]!.name);
  }
}

/**
 * The refusal of what a client says and may not, counted and logged. It is told what it sent, and nothing of what others
 * may.
 */
export function notPermitted(
  client: Client,
  door: string,
  observer: Observer,
  what: "attribute" | "domain",
  value: string,
): WeirError {
  const shown = value.slice(0, 100);
  observer.callerRefused(door, what);
  client.refused(door, what, shown);
  return new WeirError("WEIR_NOT_PERMITTED", `this client may not speak for the ${what} ${shown}`);
}

function foreignTo(client: Client, layout: Layout): readonly number[] {
  let byClient = foreignSlots.get(layout);
  if (byClient === undefined) foreignSlots.set(layout, (byClient = new WeakMap()));
  let slots = byClient.get(client);
  if (slots === undefined) {
    slots = layout.slots.filter(({ name }) => !client.maySet(name)).map(({ index }) => index);
    byClient.set(client, slots);
  }
  return slots;
}
