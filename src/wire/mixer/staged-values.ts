import type { Bag } from "../../attributes/bag.ts";
import type { Fault } from "../../attributes/fault.ts";
import type { Value } from "../../attributes/value.ts";
import type { Rank } from "./attribute-table.ts";

/** The rank of what no typed map brought. */
const unstaged = 255;

/** What an element brings, held back until the whole of it is known to be good. */
export class StagedValues {
  /** By slot; `undefined` for what is not staged. Where an element is laid over others, what is not staged may be anything. */
  #values: (Value | Fault | undefined)[] = [];
  #ranks = new Uint8Array(0);
  /** The slots that are staged, where an element is laid over others: most of those bring little. */
  #touched = new Int32Array(0);
  #count = 0;
  #isChange = false;

  /** Begins an element, for a layout of `size` slots. `isChange`: it is to be laid over what a bag holds. */
  reset(size: number, isChange: boolean): void {
    if (this.#ranks.length !== size) {
      this.#values = new Array<Value | Fault | undefined>(size).fill(undefined);
      this.#ranks = new Uint8Array(size).fill(unstaged);
      this.#touched = new Int32Array(size);
    } else if (isChange && this.#isChange) {
      const ranks = this.#ranks;
      const touched = this.#touched;
      for (let i = 0; i < this.#count; i++) ranks[touched[i]!] = unstaged;
    } else {
      const values = this.#values;
      const ranks = this.#ranks;
      for (let slot = 0; slot < size; slot++) {
        values[slot] = undefined;
        ranks[slot] = unstaged;
      }
    }
    this.#count = 0;
    this.#isChange = isChange;
  }

  isStaged(slot: number): boolean {
    return this.#ranks[slot] !== unstaged;
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
    if (this.#isChange && this.#ranks[slot] === unstaged) this.#touched[this.#count++] = slot;
    this.#ranks[slot] = rank;
    this.#values[slot] = value;
  }

  /** Makes what is staged all that a bag of the layout holds. */
  replace(bag: Bag): void {
    this.#values = bag.refill(this.#values);
  }

  /** Lays what is staged over what a bag of the layout holds. */
  commit(bag: Bag): void {
    bag.setEach(this.#touched, this.#count, this.#values);
  }
}
