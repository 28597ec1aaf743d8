import type { Bag } from "../../attributes/bag.ts";
import type { Fault } from "../../attributes/fault.ts";
import type { Value } from "../../attributes/value.ts";
import type { Rank } from "./attribute-table.ts";

/** What an element brings, held back until the whole of it is known to be good. */
export class StagedValues {
  #values: (Value | Fault | undefined)[] = [];
  #ranks = new Uint8Array(0);
  /** For each slot the number of the element that staged it last. */
  #stamps = new Float64Array(0);
  #touched = new Int32Array(0);
  #count = 0;
  #element = 0;

  /** Begins an element, for a layout of `size` slots. */
  reset(size: number): void {
    this.#element++;
    this.#count = 0;
    if (this.#stamps.length >= size) return;
    this.#values = new Array<Value | Fault | undefined>(size).fill(undefined);
    this.#ranks = new Uint8Array(size);
    this.#stamps = new Float64Array(size);
    this.#touched = new Int32Array(size);
  }

  isStaged(slot: number): boolean {
    return this.#stamps[slot] === this.#element;
  }

  /** The typed map that brought a staged slot. */
  rank(slot: number): number {
    return this.#ranks[slot]!;
  }

  /** The value of a staged slot. */
  value(slot: number): Value | Fault | undefined {
    return this.#values[slot];
  }

  put(slot: number, rank: Rank, value: Value | Fault | undefined): void {
    if (this.#stamps[slot] !== this.#element) {
      this.#stamps[slot] = this.#element;
      this.#touched[this.#count++] = slot;
    }
    this.#ranks[slot] = rank;
    this.#values[slot] = value;
  }

  commit(bag: Bag): void {
    for (let i = 0; i < this.#count; i++) {
      const slot = this.#touched[i]!;
      bag.set(slot, this.#values[slot]);
    }
  }
}
