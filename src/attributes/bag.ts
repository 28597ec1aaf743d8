import { Fault } from "./fault.ts";
import type { Layout } from "./layout.ts";
import type { StringMap, Value } from "./value.ts";

/** Held in a map's slot when the request has the map and no rule reads it whole. */
export const emptyMap: StringMap = new Map();

/** A computed key that was looked up in a map, and whether it was there. */
export interface DynamicRead {
  readonly map: number;
  readonly key: string;
  readonly present: boolean;
}

/** What was read of a bag between two points in time. */
export interface Reads {
  /** One bit a slot, set when the slot was read. */
  readonly slots: Uint32Array;
  /** Reads of map keys that were computed and therefore have no slot. */
  readonly dynamic: readonly DynamicRead[];
  /** Slots of maps that were used as a whole, so that no list of keys tells what the answer depends on. */
  readonly whole: readonly number[];
}

/** The most computed keys remembered for one request; beyond it the map counts as read whole. */
const maxDynamicReads = 64;

/**
 * The attributes of one request, by slot, and a record of which of them were read.
 *
 * A slot holds a value, `undefined` when the attribute is absent, or a {@link Fault} when it came with the wrong type.
 * The slot of a map's key holds that key's value; the map's own slot holds the map, or {@link emptyMap} when the map is
 * present but no rule needs it whole. Doors fill a bag with {@link Bag.set}; expressions read it with {@link Bag.get}.
 */
export class Bag {
  readonly layout: Layout;
  readonly #values: (Value | Fault | undefined)[];
  #read: Uint32Array;
  #dynamic: DynamicRead[] = [];
  #whole: number[] = [];

  constructor(layout: Layout) {
    this.layout = layout;
    this.#values = new Array<Value | Fault | undefined>(layout.size).fill(undefined);
    this.#read = new Uint32Array((layout.size + 31) >>> 5);
  }

  /** Puts a value into a slot, without a trace in what was read. */
  set(slot: number, value: Value | Fault | undefined): void {
    this.#values[slot] = value;
  }

  /** Looks at a slot without a trace in what was read. */
  peek(slot: number): Value | Fault | undefined {
    return this.#values[slot];
  }

  /** Reads a slot and remembers that it was read. */
  get(slot: number): Value | Fault | undefined {
    this.#read[slot >>> 5]! |= 1 << (slot & 31);
    return this.#values[slot];
  }

  /** Reads a computed key of a map that the layout keeps whole. */
  getKey(map: number, key: string): string | Fault | undefined {
    const held = this.#values[map];
    if (held === undefined) {
      this.#read[map >>> 5]! |= 1 << (map & 31);
      return undefined;
    }
    if (held instanceof Fault) return held;
    const value = (held as StringMap).get(key);
    if (this.#dynamic.length < maxDynamicReads) this.#dynamic.push({ map, key, present: value !== undefined });
    else this.#whole.push(map);
    return value;
  }

  /** Reads a map as a whole. */
  getWhole(map: number): StringMap | Fault | undefined {
    this.#read[map >>> 5]! |= 1 << (map & 31);
    const held = this.#values[map];
    if (held !== undefined && !this.#whole.includes(map)) this.#whole.push(map);
    return held as StringMap | Fault | undefined;
  }

  /** What was read so far. The record goes on: use {@link Bag.restoreReads} to go back to a point. */
  reads(): Reads {
    return { slots: this.#read.slice(), dynamic: [...this.#dynamic], whole: [...this.#whole] };
  }

  /** Makes the record what it was when `reads` was taken. */
  restoreReads(reads: Reads): void {
    this.#read = reads.slots.slice();
    this.#dynamic = [...reads.dynamic];
    this.#whole = [...reads.whole];
  }

  /** The live bits of what was read, for a caller that compares and does not keep them. */
  get readBits(): Uint32Array {
    return this.#read;
  }

  /** Whether reads happened that slots do not describe (computed keys, whole maps). */
  get readsBeyondSlots(): boolean {
    return this.#dynamic.length > 0 || this.#whole.length > 0;
  }

  /** Forgets all values and all reads, to be filled again. */
  clear(): void {
    this.#values.fill(undefined);
    this.#read.fill(0);
    this.#dynamic = [];
    this.#whole = [];
  }
}
