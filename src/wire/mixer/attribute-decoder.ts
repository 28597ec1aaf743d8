import { emptyMap, type Bag } from "../../attributes/bag.ts";
import { Duration } from "../../attributes/duration.ts";
import { Fault } from "../../attributes/fault.ts";
import type { Layout } from "../../attributes/layout.ts";
import { Timestamp } from "../../attributes/timestamp.ts";
import type { Value } from "../../attributes/value.ts";
import { malformed } from "../protobuf/reader.ts";
import { AddressCache } from "./address-cache.ts";
import { AttributeTable, type MapTable, type Rank } from "./attribute-table.ts";
import { globalWords } from "./dictionary.ts";
import { EntryReader, isEntry } from "./entry-reader.ts";
import { StagedValues } from "./staged-values.ts";
import { WordCache } from "./word-cache.ts";
import { Words, wordTag } from "./words.ts";
import { SecondsAndNanos } from "../protobuf/seconds-and-nanos.ts";

const globalCount = globalWords.length;

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
  readonly words = new WordCache();
  readonly #addresses = new AddressCache();
  readonly #tables = new WeakMap<Layout, AttributeTable>();
  readonly #reader = new EntryReader();
  readonly #time = new SecondsAndNanos();
  readonly #staged = new StagedValues();
  readonly #own: Words;
  #table: AttributeTable | undefined;
  #words: Words;
  #isChange = false;
  /** The number of the text that the element has in the slot of {@link AttributeTable.numbered}; -1 where it has none. */
  #number = -1;
  /** The index of the text of {@link AttributeTable.sourceSlot}, where an element has it. */
  #sourceWord = 0;

  constructor() {
    this.#own = this.createWords();
    this.#words = this.#own;
  }

  /** An empty list of words, for elements that share one. */
  createWords(): Words {
    return new Words(this.words);
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
    this.#settleSource(bag);
    this.#staged.replace(bag);
    if (this.#number >= 0) bag.setNumbered(this.#number);
  }

  /**
   * Lays an element over what the bag holds. Here an index that points to no word, and an attribute in two typed maps,
   * make the element malformed: laid over others, half of an element would say something that nobody meant.
   */
  change(bag: Bag, buffer: Buffer, start: number, end: number, shared?: Words): void {
    this.#isChange = true;
    this.#stage(bag.layout, buffer, start, end, shared);
    this.#settleSource(bag);
    this.#staged.commit(bag);
    if (this.#number >= 0) bag.setNumbered(this.#number);
  }

  #stage(layout: Layout, buffer: Buffer, start: number, end: number, shared: Words | undefined): void {
    const table = this.#tableOf(layout);
    const reader = this.#reader.reset(buffer, start, end);
    const own = this.#own;
    own.reset(buffer, table);
    // Every known encoder writes the words first. Where one does not, they are gathered in a walk of their own.
    reader.pos = own.addRun(start, end);
    while (reader.more && buffer[reader.pos] === wordTag) {
      reader.pos++;
      this.#addWord(reader);
      reader.pos = own.addRun(reader.pos, end);
    }
    this.#words = own.count > 0 || shared === undefined ? own : shared;
    this.#words.bind(table);
    this.#staged.reset(layout.size, this.#isChange);
    this.#number = -1;
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
    this.#staged.reset(layout.size, this.#isChange);
    this.#number = -1;
    this.#attributes(table, reader.reset(buffer, start, end), true);
  }

  #tableOf(layout: Layout): AttributeTable {
    if (this.#table?.layout === layout) return this.#table;
    let table = this.#tables.get(layout);
    if (table === undefined) this.#tables.set(layout, (table = new AttributeTable(layout)));
    return (this.#table = table);
  }

  #addWord(reader: EntryReader): void {
    const stop = reader.delimited();
    this.#own.addBytes(reader.pos, stop);
    reader.pos = stop;
  }

  /** Reads the typed maps. `false` when it came upon a word and the words were not gathered before. */
  #attributes(table: AttributeTable, reader: EntryReader, gathered: boolean): boolean {
    const end = reader.end;
    const { slotOfGlobal } = table;
    for (;;) {
      let hasValue = reader.shortEntry(slotOfGlobal);
      if (!hasValue) {
        if (reader.pos >= end) return true;
        const tag = reader.tag();
        if (!isEntry(tag)) {
          if (tag === wordTag && !gathered) return false;
          reader.skip(tag);
          continue;
        }
        hasValue = reader.longEntry(tag);
      }
      const { rank, stop } = reader;
      const slot = this.#attributeSlot(table, reader.key);
      if (slot >= 0 && this.#isFirstChoice(table, slot, rank)) {
        reader.end = stop;
        if (rank !== table.rankOfSlot[slot]) this.#putFault(table, slot, rank);
        else if (rank === 1) this.#map(table.maps[slot]!, reader, hasValue);
        else if (slot === table.sourceSlot) {
          this.#sourceWord = hasValue ? reader.sint32() : 0;
          this.#staged.put(slot, rank, undefined);
        } else this.#staged.put(slot, rank, this.#value(table, slot, rank, reader, hasValue));
      }
      reader.end = end;
      reader.pos = stop;
    }
  }

  /**
   * Makes a text of what other attributes can be made of, where one of those was not brought. Proxies bring
   * `request.path` beside `request.url_path`, and hardly two requests have the same.
   */
  #settleSource(bag: Bag): void {
    const { sourceSlot, madeOfSource } = this.#table!;
    const staged = this.#staged;
    if (sourceSlot < 0 || !staged.isStaged(sourceSlot) || staged.value(sourceSlot) !== undefined) return;
    for (const slot of madeOfSource) {
      const isBrought = staged.isStaged(slot) ? staged.value(slot) !== undefined : this.#isChange && bag.isGiven(slot);
      if (isBrought) continue;
      const text = this.#words.text(this.#sourceWord);
      if (text === undefined) this.#drop();
      else staged.put(sourceSlot, 0, text);
      return;
    }
  }

  /** The slot of the attribute that an index names, or -1. */
  #attributeSlot(table: AttributeTable, key: number): number {
    const words = this.#words;
    if (key >= 0) {
      if (key >= globalCount) return this.#nowhere(key);
      return words.repeats && words.isRepeated(key) ? -1 : table.slotOfGlobal[key]!;
    }
    if (-key > words.count) return this.#nowhere(key);
    const symbol = words.symbol(key);
    return symbol < 0 ? -1 : table.slotOfSymbol[symbol]!;
  }

  #nowhere(key: number): -1 {
    if (this.#isChange) throw malformed(`index ${key} points to no word`, this.#reader.pos);
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
    reader: EntryReader,
    hasValue: boolean,
  ): Value | Fault | undefined {
    switch (rank) {
      case 0: {
        const index = hasValue ? reader.sint32() : 0;
        if (slot === table.numbered?.slot) {
          this.#number = this.#words.numberIn(table.numbered, index);
          if (this.#number >= 0) return undefined;
        }
        const text = this.#words.text(index);
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
    reader.end = stop;
    const { seconds, nanos } = this.#time.read(reader);
    const value = rank === 5 ? Timestamp.of(seconds, nanos) : Duration.of(seconds, nanos);
    return value ?? new Fault(`${name} came as ${seconds} s and ${nanos} ns, which is no ${type}`);
  }

  /** Reads a string map: the keys that have slots, and all of it where some rule needs it whole. */
  #map(map: MapTable, reader: EntryReader, hasValue: boolean): void {
    const words = this.#words;
    const staged = this.#staged;
    if (this.#isChange || staged.isStaged(map.slot)) for (const slot of map.keySlots) staged.put(slot, 1, undefined);
    const whole = map.whole ? new Map<string, string>() : undefined;
    staged.put(map.slot, 1, whole ?? emptyMap);
    if (!hasValue) return;
    const end = (reader.end = reader.delimited());
    while (reader.pos < end) {
      if (!reader.pair()) continue;
      const { key, value } = reader;
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

  /** An index that points to no word was met where a value is. */
  #drop(): void {
    if (this.#isChange) throw malformed("the index of a value points to no word", this.#reader.pos);
    this.dropped++;
  }
}
