import { Fault } from "./fault.ts";
import type { Layout, NumberedTexts } from "./layout.ts";
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

const none: readonly never[] = [];
const notNumbered: NumberedTexts = { slot: -1, texts: none };

/**
 * The attributes of one request, by slot, and a record of which of them were read.
 *
 * A slot holds a value, `undefined` when the attribute is absent, or a {@link Fault} when it came with the wrong type.
 * The slot of a map's key holds that key's value; the map's own slot holds the map, or {@link emptyMap} when the map is
 * present but no rule needs it whole. Doors fill a bag with {@link Bag.set}; expressions read it with {@link Bag.get}.
 */
export class Bag {
  readonly layout: Layout;
  /** The slot of the layout's numbered texts, and these; -1 where it has none. */
  readonly #numberedSlot: number;
  readonly #texts: readonly string[];
  /** The number of the text in that slot; -1 where it is not known. */
  #number = -1;
  /** That slot while its text is known by number alone, so that nobody has looked at the text itself; else -1. */
  #pending = -1;
  #values: (Value | Fault | undefined)[];
  readonly #read: Uint32Array;
  readonly #dynamic: DynamicRead[] = [];
  readonly #whole: number[] = [];
  /** The slots of attributes that were not brought, and what they hold was made of another one; of most requests none. */
  readonly #derived: number[] = [];
  /**
   * By slot, the turn in which it was last set; behind them the turn at hand, and that in which all were set. Doubles: a
   * bag may see more than 2^31 turns.
   */
  readonly #turns: Float64Array;
  /** What {@link Bag.reads} answered last. A bag is filled again and again, and most requests read what the last one read. */
  #lastReads: Reads | undefined;

  constructor(layout: Layout) {
    this.layout = layout;
    const { slot, texts } = layout.numbered ?? notNumbered;
    this.#numberedSlot = slot;
    this.#texts = texts;
    this.#values = new Array<Value | Fault | undefined>(layout.size).fill(undefined);
    this.#read = new Uint32Array((layout.size + 31) >>> 5);
    this.#turns = new Float64Array(layout.size + 2);
  }

  /** Puts a value into a slot, without a trace in what was read. */
  set(slot: number, value: Value | Fault | undefined): void {
    this.#values[slot] = value;
    this.#turns[slot] = this.#turns[this.#turns.length - 2]!;
    if (slot === this.#numberedSlot) this.#number = this.#pending = -1;
    if (this.#derived.length > 0) this.#forgetDerived(slot);
  }

  /** Does for the first `count` slots of a list what {@link Bag.set} does for one; `values` has one a slot of the layout. */
  setEach(slots: Int32Array, count: number, values: readonly (Value | Fault | undefined)[]): void {
    const own = this.#values;
    const turns = this.#turns;
    const turn = turns[turns.length - 2]!;
    const numbered = this.#numberedSlot;
    for (let i = 0; i < count; i++) {
      const slot = slots[i]!;
      own[slot] = values[slot];
      turns[slot] = turn;
      if (slot === numbered) this.#number = this.#pending = -1;
    }
    if (this.#derived.length > 0) for (let i = 0; i < count; i++) this.#forgetDerived(slots[i]!);
  }

  /** Puts one of the layout's {@link Layout.numbered} texts into its slot, by its number. */
  setNumbered(number: number): void {
    this.set(this.#numberedSlot, undefined);
    this.#number = number;
    this.#pending = this.#numberedSlot;
  }

  /** Ends a turn and answers its number, for who wants to know later what was set since: above 0, and ever larger. */
  endTurn(): number {
    const turns = this.#turns;
    const at = turns.length - 2;
    return turns[at]!++ + 1;
  }

  /** Whether all slots may hold something else than they did when a turn ended. */
  isRefilledSince(turn: number): boolean {
    return this.#turns[this.#turns.length - 1]! >= turn;
  }

  /** Whether a slot of a bag that was not refilled may hold something else than it did when a turn ended. */
  isSetSince(slot: number, turn: number): boolean {
    return this.#turns[slot]! >= turn;
  }

  /** Reads the number of the text in a slot; -1 where it has none, or that is not known. */
  getNumber(slot: number): number {
    this.#markRead(slot);
    return slot === this.#numberedSlot ? this.#number : -1;
  }

  /** Says that an attribute's value, or that it has none, follows from another attribute and was not brought itself. */
  markDerived(slot: number): void {
    if (!this.#derived.includes(slot)) this.#derived.push(slot);
  }

  /** Whether an attribute, by the slot of itself and not of a key, is there because the request brought it. */
  isGiven(slot: number): boolean {
    return this.peek(slot) !== undefined && (this.#derived.length === 0 || !this.#derived.includes(slot));
  }

  /** Looks at a slot without a trace in what was read. */
  peek(slot: number): Value | Fault | undefined {
    const value = this.#values[slot];
    return value === undefined && slot === this.#pending ? this.#layText() : value;
  }

  /** Reads a slot and remembers that it was read. */
  get(slot: number): Value | Fault | undefined {
    this.#read[slot >>> 5]! |= 1 << (slot & 31);
    const value = this.#values[slot];
    return value === undefined && slot === this.#pending ? this.#layText() : value;
  }

  /** Reads a computed key of a map that the layout keeps whole. */
  getKey(map: number, key: string): string | Fault | undefined {
    const held = this.#values[map];
    if (held === undefined || held instanceof Fault) {
      this.#markRead(map);
      return held;
    }
    const value = (held as StringMap).get(key);
    if (!this.#dynamic.some((read) => read.map === map && read.key === key)) {
      if (this.#dynamic.length < maxDynamicReads) this.#dynamic.push({ map, key, present: value !== undefined });
      else this.#markWhole(map);
    }
    return value;
  }

  /** Reads a map as a whole. */
  getWhole(map: number): StringMap | Fault | undefined {
    this.#markRead(map);
    const held = this.#values[map];
    if (held !== undefined) this.#markWhole(map);
    return held as StringMap | Fault | undefined;
  }

  /**
   * What was read so far, as a value that does not change. Who read what was made of another attribute has read that one
   * too. The record goes on: use {@link Bag.restoreReads} to go back to a point.
   */
  reads(): Reads {
    if (this.#derived.length > 0) this.#markSources();
    const dynamic = this.#dynamic.length === 0 ? none : [...this.#dynamic];
    const whole = this.#whole.length === 0 ? none : [...this.#whole];
    const last = this.#lastReads;
    if (dynamic === none && whole === none && last !== undefined && sameBits(last.slots, this.#read)) return last;
    const reads = { slots: this.#read.slice(), dynamic, whole };
    this.#lastReads = dynamic === none && whole === none ? reads : undefined;
    return reads;
  }

  /** Makes the record what it was when `reads` was taken. */
  restoreReads(reads: Reads): void {
    this.#read.set(reads.slots);
    this.#dynamic.splice(0, this.#dynamic.length, ...reads.dynamic);
    this.#whole.splice(0, this.#whole.length, ...reads.whole);
  }

  /** The live bits of what was read, for a caller that compares and does not keep them. */
  get readBits(): Uint32Array {
    return this.#read;
  }

  /** Whether reads happened that slots do not describe (computed keys, whole maps). */
  get readsBeyondSlots(): boolean {
    return this.#dynamic.length > 0 || this.#whole.length > 0;
  }

  /**
   * Forgets all reads and holds these values from now on, of which there is one a slot. Gives back the list that it held,
   * to be filled with the next ones: values are laid once, and lists live long.
   */
  refill(values: (Value | Fault | undefined)[]): (Value | Fault | undefined)[] {
    const before = this.#values;
    this.#values = values;
    this.#setAll();
    this.#number = this.#pending = -1;
    this.#clearDerived();
    this.clearReads();
    return before;
  }

  /** Sets a bit for each slot that {@link Bag.isGiven}, in a list with one bit a slot. */
  markGiven(bits: Uint32Array): void {
    const values = this.#values;
    let word = 0;
    let marked = 0;
    for (let slot = 0; slot < values.length; slot++) {
      if (values[slot] !== undefined) marked |= 1 << (slot & 31);
      if ((slot & 31) === 31) {
        bits[word++] = marked;
        marked = 0;
      }
    }
    if (word < bits.length) bits[word] = marked;
    if (this.#pending >= 0) bits[this.#pending >>> 5]! |= 1 << (this.#pending & 31);
    for (const slot of this.#derived) bits[slot >>> 5]! &= ~(1 << (slot & 31));
  }

  /** Forgets all values and all reads, to be filled again. */
  clear(): void {
    // A loop, since `fill` costs more than a bag of usual size.
    const values = this.#values;
    for (let i = 0; i < values.length; i++) values[i] = undefined;
    this.#setAll();
    this.#number = this.#pending = -1;
    this.#clearDerived();
    this.clearReads();
  }

  /** Forgets all reads and keeps the values. */
  clearReads(): void {
    const read = this.#read;
    for (let i = 0; i < read.length; i++) read[i] = 0;
    if (this.#dynamic.length > 0) this.#dynamic.length = 0;
    if (this.#whole.length > 0) this.#whole.length = 0;
  }

  #setAll(): void {
    const turns = this.#turns;
    turns[turns.length - 1] = turns[turns.length - 2]!;
  }

  #layText(): string {
    const text = this.#texts[this.#number]!;
    this.#values[this.#pending] = text;
    this.#pending = -1;
    return text;
  }

  #markSources(): void {
    for (const { slot, from } of this.layout.derivations) {
      if (this.isGiven(slot) || !this.#wasRead(slot)) continue;
      this.#markRead(from);
      if (this.layout.isWhole(from) && this.#values[from] !== undefined) this.#markWhole(from);
    }
  }

  /** One by one: a list whose length is set gives its room back, and few are derived. */
  #clearDerived(): void {
    const derived = this.#derived;
    while (derived.length > 0) derived.pop();
  }

  #forgetDerived(slot: number): void {
    const at = this.#derived.indexOf(slot);
    if (at >= 0) this.#derived.splice(at, 1);
  }

  /** Whether an attribute was read, or any key of it. */
  #wasRead(slot: number): boolean {
    if (this.#hasBit(slot) || this.#whole.includes(slot) || this.#dynamic.some(({ map }) => map === slot)) return true;
    const keys = this.layout.keysOf(this.layout.slots[slot]!.name);
    if (keys !== undefined) for (const key of keys.values()) if (this.#hasBit(key)) return true;
    return false;
  }

  #hasBit(slot: number): boolean {
    return (this.#read[slot >>> 5]! & (1 << (slot & 31))) !== 0;
  }

  #markRead(slot: number): void {
    this.#read[slot >>> 5]! |= 1 << (slot & 31);
  }

  #markWhole(map: number): void {
    if (!this.#whole.includes(map)) this.#whole.push(map);
  }
}

function sameBits(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
