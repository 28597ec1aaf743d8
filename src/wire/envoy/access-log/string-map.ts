import { emptyMap, type Bag } from "../../../attributes/bag.ts";
import type { MapSlots } from "./entry-slots.ts";

/** A string map that is being put into a bag, key by key. Nothing is kept of one that no rule reads. */
export class StringMapSlots {
  #slots: MapSlots | undefined;
  #whole: Map<string, string> | undefined;

  /** Begins a map, which is there from now on, empty. */
  open(bag: Bag, slots: MapSlots | undefined): this {
    this.#slots = slots;
    this.#whole = slots?.isWhole === true ? new Map() : undefined;
    if (slots !== undefined) bag.set(slots.slot, this.#whole ?? emptyMap);
    return this;
  }

  /** Whether a key's value is asked for. */
  takes(key: string): boolean {
    return this.#slots !== undefined && (this.#whole !== undefined || this.#slots.keys.has(key));
  }

  put(bag: Bag, key: string, value: string): void {
    const slot = this.#slots?.keys.get(key);
    if (slot !== undefined) bag.set(slot, value);
    this.#whole?.set(key, value);
  }
}
