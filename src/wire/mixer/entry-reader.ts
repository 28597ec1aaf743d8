import { Reader } from "../protobuf/reader.ts";
import type { Rank } from "./attribute-table.ts";

/** By the tag of a field of CompressedAttributes: which typed map it is an entry of, or -1. */
const rankOfTag = new Int8Array(128).fill(-1);
for (const [field, rank] of [0, 2, 3, 4, 5, 6, 7, 1].entries()) rankOfTag[((field + 2) << 3) | 2] = rank;

/** By rank: the tag of an entry's value. */
const valueTags = Uint8Array.of(0x10, 0x12, 0x10, 0x11, 0x10, 0x12, 0x12, 0x12);

const keyTag = 0x08;
const pairTag = 0x0a;

/** Whether a tag of CompressedAttributes begins an entry of one of its typed maps. */
export function isEntry(tag: number): boolean {
  return tag < 128 && rankOfTag[tag]! >= 0;
}

/**
 * Reads entries of protobuf maps whose keys are indices of words. An entry is a message of a key, field 1, and a value,
 * field 2; both may be missing, and then are the default of their type.
 */
export class EntryReader extends Reader {
  /** Of the entry that was begun last: which typed map it is of. */
  rank: Rank = 0;
  /** Its key, the index of a word. */
  key = 0;
  /** The position behind it. */
  stop = 0;
  /** The value of the {@link EntryReader.pair} that was read last, the index of a word. */
  value = 0;

  /**
   * Reads the beginning of the next entry of a typed map, up to its value, when it is of the usual form: a short entry
   * with its key first, in one or two bytes. Steps over those before it whose key is a global word without a slot, as are
   * most entries of most messages. `false` when none of that form is next, and the reader stands behind what was stepped
   * over.
   */
  shortEntry(slotOfGlobal: Int32Array): boolean {
    const buffer = this.buffer;
    const end = this.end;
    const last = (end - 6) | 0;
    let pos = this.pos;
    while (pos <= last && buffer[pos + 2] === keyTag) {
      const tag = buffer[pos]!;
      const length = buffer[pos + 1]!;
      const stop = (pos + 2 + length) | 0;
      if (tag > 127 || length > 127 || stop > end) break;
      const rank = rankOfTag[tag]!;
      if (rank < 0) break;
      let key = buffer[pos + 3]!;
      let value = (pos + 4) | 0;
      if (key > 127) {
        const high = buffer[value]!;
        if (high > 127) break;
        value = (value + 1) | 0;
        key = (key & 127) | (high << 7);
      }
      if (value >= stop || buffer[value] !== valueTags[rank]) break;
      if ((key & 1) === 0 && slotOfGlobal[key >>> 1] === -1) {
        pos = stop;
        continue;
      }
      this.key = (key >>> 1) ^ -(key & 1);
      this.rank = rank as Rank;
      this.stop = stop;
      this.pos = (value + 1) | 0;
      return true;
    }
    this.pos = pos;
    return false;
  }

  /**
   * The same for an entry of any form, whose tag was read. The reader's part ends with the entry. `false` when no value
   * is written.
   */
  longEntry(tag: number): boolean {
    this.rank = rankOfTag[tag] as Rank;
    this.stop = this.end = this.delimited();
    return this.#fields(valueTags[this.rank]!);
  }

  /** Reads an entry of a string map: key and value. `false` when it was another field, which is stepped over. */
  pair(): boolean {
    if (this.#shortPair()) return true;
    const tag = this.tag();
    if (tag !== pairTag) {
      this.skip(tag);
      return false;
    }
    const { end } = this;
    const stop = (this.end = this.delimited());
    this.value = this.#fields(0x10) ? this.sint32() : 0;
    this.end = end;
    this.pos = stop;
    return true;
  }

  /** Reads an entry of a string map whose key and value take one or two bytes each, as most do. */
  #shortPair(): boolean {
    const buffer = this.buffer;
    let pos = this.pos;
    if (pos + 8 > this.end || buffer[pos] !== pairTag || buffer[pos + 2] !== keyTag) return false;
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
    this.key = (key >>> 1) ^ -(key & 1);
    this.value = (value >>> 1) ^ -(value & 1);
    this.pos = pos;
    return true;
  }

  /**
   * Reads the key of a map's entry, which fills the reader's part, into `key` and puts the reader at the value.
   * `false` when no value is written: it is the default of its type (a key likewise).
   */
  #fields(valueTag: number): boolean {
    const start = this.pos;
    if (start < this.end && this.buffer[start] === keyTag) {
      this.pos++;
      this.key = this.sint32();
      if (this.pos < this.end && this.buffer[this.pos] === valueTag) {
        this.pos++;
        return true;
      }
    }
    // Not a key and then a value: field by field.
    this.pos = start;
    this.key = 0;
    let value = -1;
    while (this.more) {
      const tag = this.tag();
      if (tag === keyTag) {
        this.key = this.sint32();
        continue;
      }
      if (tag === valueTag) value = this.pos;
      this.skip(tag);
    }
    if (value >= 0) this.pos = value;
    return value >= 0;
  }
}
