import { emptyMap, type Bag } from "../../attributes/bag.ts";
import { Duration } from "../../attributes/duration.ts";
import { Fault } from "../../attributes/fault.ts";
import type { Layout } from "../../attributes/layout.ts";
import { Timestamp } from "../../attributes/timestamp.ts";
import type { Value } from "../../attributes/value.ts";
import { malformed, Reader } from "../protobuf/reader.ts";
import { AddressCache } from "./address-cache.ts";
import { AttributeTable, type MapTable, type Rank } from "./attribute-table.ts";
import { globalWords } from "./dictionary.ts";
import { StagedValues } from "./staged-values.ts";
import { WordCache } from "./word-cache.ts";
import { Words, wordTag } from "./words.ts";

const globalCount = globalWords.length;

/** By the tag of a field of CompressedAttributes: which typed map it is an entry of, or -1. */
const rankOfTag = new Int8Array(128).fill(-1);
for (const [field, rank] of [0, 2, 3, 4, 5, 6, 7, 1].entries()) rankOfTag[((field + 2) << 3) | 2] = rank;

/** By rank: the tag of an entry's value. */
const valueTags = [0x10, 0x12, 0x10, 0x11, 0x10, 0x12, 0x12, 0x12] as const;

const keyTag = 0x08;
const mapEntryTag = 0x0a;

/**
 * Reads the attributes that a layout has slots for out of the bytes of an istio.mixer.v1.CompressedAttributes, in one
 * walk, and steps over the others. An element that is malformed throws a `WeirError` and leaves the bag as it was.
 *
 * What no slot asks for is not looked at: wrong bytes inside a value that is stepped over go unnoticed. The order in
 * which fields are written does not matter.
 */
export class AttributeDecoder {
  /** How many values were left out because an index pointed to no word, since the decoder was made. */
  dropped = 0;
  readonly #cache = new WordCache();
  readonly #addresses = new AddressCache();
  readonly #tables = new WeakMap<Layout, AttributeTable>();
  readonly #reader = new Reader();
  readonly #staged = new StagedValues();
  readonly #own: Words;
  #table: AttributeTable | undefined;
  #words: Words;
  #isChange = false;
  /** Of the entry that is being read: which typed map it is of, its key, and where it ends. */
  #rank: Rank = 0;
  #key = 0;
  #stop = 0;
  /** The value of an entry of a string map: the index of a word. */
  #number = 0;

  constructor() {
    this.#own = this.createWords();
    this.#words = this.#own;
  }

  /** An empty list of words, for elements that share one. */
  createWords(): Words {
    return new Words(this.#cache);
  }

  /**
   * Empties the bag and fills it from the element in `buffer` between `start` and `end`. `shared` are its words when it
   * brings none of its own.
   *
   * A value whose index points to no word is absent, and so is a string map as a whole with such a key or value. Of an
   * attribute in several typed maps, the first in the order of {@link ranks} counts.
   */
  fill(bag: Bag, buffer: Buffer, start: number, end: number, shared?: Words): void {
    this.#isChange = false;
    this.#stage(bag.layout, buffer, start, end, shared);
    bag.clear();
    this.#staged.commit(bag);
  }

  /**
   * Lays an element over what the bag holds. Here an index that points to no word, and an attribute in two typed maps,
   * make the element malformed: laid over others, half of an element would say something that nobody meant.
   */
  change(bag: Bag, buffer: Buffer, start: number, end: number, shared?: Words): void {
    this.#isChange = true;
    this.#stage(bag.layout, buffer, start, end, shared);
    this.#staged.commit(bag);
  }

  #stage(layout: Layout, buffer: Buffer, start: number, end: number, shared: Words | undefined): void {
    const table = this.#tableOf(layout);
    const reader = this.#reader.reset(buffer, start, end);
    const own = this.#own;
    own.reset(buffer);
    // Every known encoder writes the words first. Where one does not, they are gathered in a walk of their own.
    reader.pos = own.addRun(start, end);
    while (reader.more && buffer[reader.pos] === wordTag) {
      reader.pos++;
      this.#addWord(reader);
      reader.pos = own.addRun(reader.pos, end);
    }
    this.#words = own.count > 0 || shared === undefined ? own : shared;
    this.#words.bind(table);
    this.#staged.reset(layout.size);
    if (this.#attributes(table, reader, false)) return;

    own.reset(buffer);
    reader.reset(buffer, start, end);
    while (reader.more) {
      const tag = reader.tag();
      if (tag === wordTag) this.#addWord(reader);
      else reader.skip(tag);
    }
    own.bind(table);
    this.#words = own;
    this.#staged.reset(layout.size);
    this.#attributes(table, reader.reset(buffer, start, end), true);
  }

  #tableOf(layout: Layout): AttributeTable {
    if (this.#table?.layout === layout) return this.#table;
    let table = this.#tables.get(layout);
    if (table === undefined) this.#tables.set(layout, (table = new AttributeTable(layout)));
    return (this.#table = table);
  }

  #addWord(reader: Reader): void {
    const stop = reader.delimited();
    this.#own.addBytes(reader.pos, stop);
    reader.pos = stop;
  }

  /** Reads the typed maps. `false` when it came upon a word and the words were not gathered before. */
  #attributes(table: AttributeTable, reader: Reader, gathered: boolean): boolean {
    const end = reader.end;
    while (reader.pos < end) {
      let hasValue = this.#shortEntry(reader);
      if (!hasValue) {
        const tag = reader.tag();
        if (tag > 127 || rankOfTag[tag]! < 0) {
          if (tag === wordTag && !gathered) return false;
          reader.skip(tag);
          continue;
        }
        this.#rank = rankOfTag[tag] as Rank;
        this.#stop = reader.end = reader.delimited();
        hasValue = this.#entry(reader, valueTags[this.#rank]);
      }
      const rank = this.#rank;
      const stop = this.#stop;
      const slot = this.#attributeSlot(table);
      if (slot >= 0 && this.#isFirstChoice(table, slot, rank)) {
        reader.end = stop;
        if (rank !== table.rankOfSlot[slot]) this.#putFault(table, slot, rank);
        else if (rank === 1) this.#map(table.maps[slot]!, reader, hasValue);
        else this.#staged.put(slot, rank, this.#value(table, slot, rank, reader, hasValue));
      }
      reader.end = end;
      reader.pos = stop;
    }
    return true;
  }

  /**
   * Reads the beginning of an entry of a typed map, up to its value, when it is of the usual form: a short entry with
   * its key first, in one or two bytes. Else `false`, and the reader stays where it is.
   */
  #shortEntry(reader: Reader): boolean {
    const buffer = reader.buffer;
    let pos = reader.pos;
    if (pos + 6 > reader.end) return false;
    const tag = buffer[pos]!;
    const length = buffer[pos + 1]!;
    const stop = pos + 2 + length;
    if (tag > 127 || length > 127 || stop > reader.end || buffer[pos + 2] !== keyTag) return false;
    const rank = rankOfTag[tag]!;
    if (rank < 0) return false;
    let key = buffer[pos + 3]!;
    pos += 4;
    if (key > 127) {
      const high = buffer[pos++]!;
      if (high > 127) return false;
      key = (key & 127) | (high << 7);
    }
    if (pos >= stop || buffer[pos] !== valueTags[rank]) return false;
    this.#key = (key >>> 1) ^ -(key & 1);
    this.#rank = rank as Rank;
    this.#stop = stop;
    reader.pos = pos + 1;
    return true;
  }

  /**
   * Reads the key of a map's entry, which fills the reader's part, into `#key` and puts the reader at the value.
   * `false` when no value is written: it is the default of its type (a key likewise).
   */
  #entry(reader: Reader, valueTag: number): boolean {
    const start = reader.pos;
    if (start < reader.end && reader.buffer[start] === keyTag) {
      reader.pos++;
      this.#key = reader.sint32();
      if (reader.pos < reader.end && reader.buffer[reader.pos] === valueTag) {
        reader.pos++;
        return true;
      }
    }
    // Not a key and then a value: field by field.
    reader.pos = start;
    this.#key = 0;
    let value = -1;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === keyTag) {
        this.#key = reader.sint32();
        continue;
      }
      if (tag === valueTag) value = reader.pos;
      reader.skip(tag);
    }
    if (value >= 0) reader.pos = value;
    return value >= 0;
  }

  /** The slot of the attribute that `#key` names, or -1. */
  #attributeSlot(table: AttributeTable): number {
    const key = this.#key;
    const words = this.#words;
    if (key >= 0) {
      if (key >= globalCount) return this.#nowhere();
      return words.repeats && words.isRepeated(key) ? -1 : table.slotOfGlobal[key]!;
    }
    if (-key > words.count) return this.#nowhere();
    const symbol = words.symbol(key);
    return symbol < 0 ? -1 : table.slotOfSymbol[symbol]!;
  }

  #nowhere(): -1 {
    if (this.#isChange) throw malformed(`index ${this.#key} points to no word`, this.#reader.pos);
    return -1;
  }

  /** Whether this is the typed map that an attribute is taken from. The same map may bring it again: the last counts. */
  #isFirstChoice(table: AttributeTable, slot: number, rank: Rank): boolean {
    if (!this.#staged.isStaged(slot)) return true;
    const before = this.#staged.rank(slot);
    if (before === rank) return true;
    if (this.#isChange) throw malformed(`${table.layout.slots[slot]!.name} comes with two types`, this.#reader.pos);
    return rank < before;
  }

  #putFault(table: AttributeTable, slot: number, rank: Rank): void {
    const fault = table.wrongType(slot, rank);
    this.#staged.put(slot, rank, fault);
    const map = table.maps[slot];
    if (map !== undefined) for (const key of map.keySlots) this.#staged.put(key, rank, fault);
  }

  #value(
    table: AttributeTable,
    slot: number,
    rank: Rank,
    reader: Reader,
    hasValue: boolean,
  ): Value | Fault | undefined {
    switch (rank) {
      case 0: {
        const text = this.#words.text(hasValue ? reader.sint32() : 0);
        if (text === undefined) this.#drop();
        return text;
      }
      case 2:
        return hasValue ? reader.int64() : 0;
      case 3:
        return hasValue ? reader.double() : 0;
      case 4:
        return hasValue && reader.bool();
    }
    const { name, type } = table.layout.slots[slot]!;
    const stop = hasValue ? reader.delimited() : reader.pos;
    if (rank === 7) {
      if (type === "bytes") return Uint8Array.from(reader.buffer.subarray(reader.pos, stop));
      const ip = this.#addresses.address(reader.buffer, this.#own.view, reader.pos, stop);
      return ip ?? new Fault(`${name} came as ${stop - reader.pos} bytes; an address has 4 or 16`);
    }
    // Timestamp and Duration are written alike: seconds, then nanoseconds.
    reader.end = stop;
    let seconds = 0;
    let nanos = 0;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x08) seconds = Number(reader.int64());
      else if (tag === 0x10) nanos = reader.int32();
      else reader.skip(tag);
    }
    const value = rank === 5 ? Timestamp.of(seconds, nanos) : Duration.of(seconds, nanos);
    return value ?? new Fault(`${name} came as ${seconds} s and ${nanos} ns, which is no ${type}`);
  }

  /** Reads a string map: the keys that have slots, and all of it where some rule needs it whole. */
  #map(map: MapTable, reader: Reader, hasValue: boolean): void {
    const words = this.#words;
    const staged = this.#staged;
    if (this.#isChange || staged.isStaged(map.slot)) for (const slot of map.keySlots) staged.put(slot, 1, undefined);
    const whole = map.whole ? new Map<string, string>() : undefined;
    staged.put(map.slot, 1, whole ?? emptyMap);
    if (!hasValue) return;
    const end = (reader.end = reader.delimited());
    while (reader.pos < end) {
      if (!this.#shortPair(reader, end)) {
        const tag = reader.tag();
        if (tag !== mapEntryTag) {
          reader.skip(tag);
          continue;
        }
        const stop = reader.delimited();
        reader.end = stop;
        this.#number = this.#entry(reader, 0x10) ? reader.sint32() : 0;
        reader.end = end;
        reader.pos = stop;
      }
      const key = this.#key;
      const value = this.#number;
      if (!words.has(key) || !words.has(value)) {
        this.#drop();
        for (const slot of map.keySlots) staged.put(slot, 1, undefined);
        staged.put(map.slot, 1, undefined);
        return;
      }
      if (key >= 0 && words.repeats && words.isRepeated(key)) continue;
      const symbol = key >= 0 ? -1 : words.symbol(key);
      const slot = key >= 0 ? map.slotOfGlobal[key]! : symbol < 0 ? -1 : map.slotOfSymbol[symbol]!;
      if (slot >= 0) staged.put(slot, 1, words.text(value));
      whole?.set(words.text(key)!, words.text(value)!);
    }
  }

  /** Reads an entry of a string map whose key and value take one or two bytes each, as most do. */
  #shortPair(reader: Reader, end: number): boolean {
    const buffer = reader.buffer;
    let pos = reader.pos;
    if (pos + 8 > end || buffer[pos] !== mapEntryTag || buffer[pos + 2] !== keyTag) return false;
    const stop = pos + 2 + buffer[pos + 1]!;
    let key = buffer[pos + 3]!;
    pos += 4;
    if (key > 0x7f) {
      const high = buffer[pos++]!;
      if (high > 0x7f) return false;
      key = (key & 0x7f) | (high << 7);
    }
    if (buffer[pos++] !== 0x10) return false;
    let value = buffer[pos++]!;
    if (value > 0x7f) {
      const high = buffer[pos++]!;
      if (high > 0x7f) return false;
      value = (value & 0x7f) | (high << 7);
    }
    if (pos !== stop) return false;
    this.#key = (key >>> 1) ^ -(key & 1);
    this.#number = (value >>> 1) ^ -(value & 1);
    reader.pos = pos;
    return true;
  }

  /** An index that points to no word was met where a value is. */
  #drop(): void {
    if (this.#isChange) throw malformed("the index of a value points to no word", this.#reader.pos);
    this.dropped++;
  }
}
