import { Fault } from "../../attributes/fault.ts";
import type { Layout, Slot } from "../../attributes/layout.ts";
import type { AttributeType } from "../../attributes/value.ts";
import { globalIndex, globalWords } from "./dictionary.ts";
import { NumberedWords } from "./numbered-words.ts";
import { hashBytes, sameBytes, viewOf } from "./word-hash.ts";

/**
 * The typed maps of a CompressedAttributes, in the order in which an attribute that several of them bring is looked up:
 * the first has it.
 */
const ranks = ["string", "string_map", "int64", "double", "bool", "timestamp", "duration", "bytes"] as const;

/** How many shapes of words are told apart: a power of 2. */
export const shapeCount = 4096;

export type Rank = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;

const rankOfType: Readonly<Record<AttributeType, Rank>> = {
  string: 0,
  email: 0,
  uri: 0,
  dns_name: 0,
  string_map: 1,
  int64: 2,
  double: 3,
  bool: 4,
  timestamp: 5,
  duration: 6,
  ip: 7,
  bytes: 7,
};

/** Where the keys of one string map are held. */
export interface MapTable {
  readonly slot: number;
  readonly whole: boolean;
  /** The slots of all its keys. */
  readonly keySlots: readonly number[];
  /** The slot of the key that a symbol is, or -1. */
  readonly slotOfSymbol: Int32Array;
  /** The slot of the key that a global word is, or -1. */
  readonly slotOfGlobal: Int32Array;
}

/**
 * A layout, prepared for decoding. Every word that means something to the layout (the name of an attribute, the key of
 * a map), and every global word, is a *symbol*, a small integer, so that decoding compares numbers. The symbol of a
 * global word is its index.
 */
export class AttributeTable {
  readonly layout: Layout;
  /** The slot of the attribute that a global word names, or -1. */
  readonly slotOfGlobal = new Int32Array(globalWords.length).fill(-1);
  /** The slot of the attribute that a symbol names, or -1. */
  readonly slotOfSymbol: Int32Array;
  /** The typed map that each slot's attribute belongs in. */
  readonly rankOfSlot: Uint8Array;
  readonly maps: readonly (MapTable | undefined)[];
  /** The slot of an attribute that is of use only where one of {@link AttributeTable.madeOfSource} is not brought; or -1. */
  readonly sourceSlot: number;
  /** The attributes that can be made of that one. */
  readonly madeOfSource: readonly number[];
  /** The texts that the layout numbers; `undefined` where it numbers none. */
  readonly numbered: NumberedWords | undefined;
  readonly #symbols = new Map<string, number>();
  readonly #symbolBytes: DataView[] = [];
  /** Whether some symbol has a {@link shape}: most words of a message are told to be none by this alone. */
  readonly shapes = new Uint8Array(shapeCount);
  readonly #buckets: Int32Array;
  readonly #next: Int32Array;
  readonly #faults = new Map<number, Fault>();

  constructor(layout: Layout) {
    this.layout = layout;
    for (const word of globalWords) this.#addSymbol(word);
    for (const slot of layout.slots) this.#addSymbol(slot.key ?? slot.name);
    const size = this.#symbolBytes.length;
    this.#buckets = new Int32Array(1 << (33 - Math.clz32(size + 1))).fill(-1);
    this.#next = new Int32Array(size);
    this.slotOfSymbol = new Int32Array(size).fill(-1);
    for (const symbol of this.#symbols.values()) {
      const bytes = this.#symbolBytes[symbol]!;
      const bucket = hashBytes(bytes, 0, bytes.byteLength) & (this.#buckets.length - 1);
      this.#next[symbol] = this.#buckets[bucket]!;
      this.#buckets[bucket] = symbol;
      if (bytes.byteLength > 0) this.shapes[shape(bytes, 0, bytes.byteLength)] = 1;
    }
    this.numbered = layout.numbered && new NumberedWords(layout.numbered);
    this.rankOfSlot = Uint8Array.from(layout.slots, (slot) => rankOfType[slot.type]);
    const maps = new Array<MapTable | undefined>(layout.size).fill(undefined);
    for (const slot of layout.slots) {
      if (slot.key !== undefined) continue;
      this.slotOfSymbol[this.#symbols.get(slot.name)!] = slot.index;
      const global = globalIndex.get(slot.name);
      if (global !== undefined) this.slotOfGlobal[global] = slot.index;
      if (slot.type === "string_map") maps[slot.index] = this.#mapTable(slot);
    }
    this.maps = maps;
    this.sourceSlot = layout.derivations.find(({ from }) => layout.isUnread(from))?.from ?? -1;
    this.madeOfSource = layout.derivations.filter(({ from }) => from === this.sourceSlot).map(({ slot }) => slot);
  }

  /** The symbol that these bytes are, or -1. */
  symbolOfBytes(view: DataView, start: number, end: number): number {
    if (start === end) return this.symbolOfText("");
    if (this.shapes[shape(view, start, end)] === 0) return -1;
    const bucket = hashBytes(view, start, end) & (this.#buckets.length - 1);
    for (let symbol = this.#buckets[bucket]!; symbol >= 0; symbol = this.#next[symbol]!) {
      const bytes = this.#symbolBytes[symbol]!;
      if (bytes.byteLength === end - start && sameBytes(view, start, end, bytes, 0)) return symbol;
    }
    return -1;
  }

  /** The symbol that this text is, or -1. */
  symbolOfText(text: string): number {
    return this.#symbols.get(text) ?? -1;
  }

  /** The fault of an attribute that came in another typed map than its own. */
  wrongType(slot: number, rank: Rank): Fault {
    const id = slot * ranks.length + rank;
    let fault = this.#faults.get(id);
    if (fault === undefined) {
      const { name, type } = this.layout.slots[slot]!;
      fault = new Fault(`${name} should be of type ${type} and came as ${ranks[rank]}`);
      this.#faults.set(id, fault);
    }
    return fault;
  }

  #addSymbol(word: string): void {
    if (this.#symbols.has(word)) return;
    this.#symbols.set(word, this.#symbolBytes.length);
    this.#symbolBytes.push(viewOf(Buffer.from(word)));
  }

  #mapTable(map: Slot): MapTable {
    const slotOfSymbol = new Int32Array(this.#symbolBytes.length).fill(-1);
    const slotOfGlobal = new Int32Array(globalWords.length).fill(-1);
    const keys = this.layout.keysOf(map.name) ?? new Map<string, number>();
    for (const [key, slot] of keys) {
      slotOfSymbol[this.#symbols.get(key)!] = slot;
      const global = globalIndex.get(key);
      if (global !== undefined) slotOfGlobal[global] = slot;
    }
    return {
      slot: map.index,
      whole: this.layout.isWhole(map.index),
      keySlots: [...keys.values()],
      slotOfSymbol,
      slotOfGlobal,
    };
  }
}

/** A number below {@link shapeCount} from a word's length, its first byte and its last two. */
function shape(view: DataView, start: number, end: number): number {
  const length = end - start;
  const last = view.getUint8(end - 1) + (length > 1 ? view.getUint8(end - 2) * 8 : 0);
  return (length * 37 + view.getUint8(start) * 5 + last * 3) & (shapeCount - 1);
}
