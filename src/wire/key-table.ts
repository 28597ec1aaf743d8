import { sameBytes, viewOf } from "./mixer/word-hash.ts";

/** How many places of the table there are for each word, at least: the next place is seldom looked at. */
const spread = 16;

const keyTag = 0x0a;
const valueTag = 0x12;

/** Finds which of some known words a part of a buffer is, without making a string of it. */
export class KeyTable {
  readonly #words: readonly DataView[];
  /** By word, side by side: its length, its first four bytes and its last four, as {@link startOf} has them. */
  readonly #ends: Int32Array;
  /** Positions of words by their hash, the next place where one is taken; -1 where none is. */
  readonly #places: Int32Array;

  constructor(words: readonly string[]) {
    this.#words = words.map((word) => viewOf(Buffer.from(word)));
    this.#ends = new Int32Array(words.length * 3);
    this.#places = new Int32Array(spread << (32 - Math.clz32(words.length))).fill(-1);
    const mask = this.#places.length - 1;
    for (const [index, word] of this.#words.entries()) {
      const length = word.byteLength;
      const first = startOf(word, 0, length);
      const last = length > 3 ? word.getInt32(length - 4, true) : first;
      this.#ends.set([length, first, last], index * 3);
      let place = hashOf(length, first, last) & mask;
      while (this.#places[place]! >= 0) place = (place + 1) & mask;
      this.#places[place] = index;
    }
  }

  /** The position of the word that the bytes are, or -1. */
  find(view: DataView, start: number, end: number): number {
    const length = end - start;
    const first = startOf(view, start, length);
    const last = length > 3 ? view.getInt32(end - 4, true) : first;
    const places = this.#places;
    const ends = this.#ends;
    const mask = places.length - 1;
    let place = hashOf(length, first, last) & mask;
    for (let index = places[place]!; index >= 0; index = places[place]!) {
      const at = index * 3;
      if (ends[at] === length && ends[at + 1] === first && ends[at + 2] === last) {
        if (length < 9 || sameBytes(view, start + 4, end - 4, this.#words[index]!, 4)) return index;
      }
      place = (place + 1) & mask;
    }
    return -1;
  }

  /**
   * Steps over entries of a protobuf map of texts, each a field of this tag, whose keys are none of the words. Gives the
   * position of what is another field, or may be such an entry, or is an entry of another form than the usual one: key,
   * then value, nothing else, and no length above 16,383.
   */
  skipOthers(view: DataView, start: number, end: number, tag: number): number {
    const places = this.#places;
    const ends = this.#ends;
    const mask = places.length - 1;
    let pos = start;
    // `| 0`: what is added stays within the message, so that nobody need look whether it overflows.
    while (((pos + 8) | 0) <= end) {
      // Tag, length and what follows: four bytes are read at once, which is cheaper than one after the other.
      const head = view.getInt32(pos, true);
      let key = (pos + 4) | 0;
      let keyLength = head >>> 24;
      let stop = (pos + 2 + ((head >>> 8) & 0x7f)) | 0;
      if ((head & 0xff_80_ff) !== (tag | (keyTag << 16))) {
        // A length of two bytes.
        if ((head & 0xff_80_80_ff) !== (tag | (0x80 << 8) | (keyTag << 24))) break;
        stop += 1 + (((head >>> 16) & 0x7f) << 7);
        keyLength = view.getUint8(key++);
      }
      const keyEnd = (key + keyLength) | 0;
      let value = (keyEnd + 2) | 0;
      if (keyLength < 3 || keyLength > 0x7f || value > stop || stop > end) break;
      // As `startOf` has it: the byte before a key of three bytes is its length.
      const last = view.getInt32((keyEnd - 4) | 0, true);
      const first = keyLength === 3 ? last : view.getInt32(key, true);
      const place = hashOf(keyLength, first, last) & mask;
      const index = places[place]!;
      // Another word may have taken the key's place, and the key the next one.
      if (index >= 0 && (ends[index * 3 + 1] === first || places[(place + 1) & mask]! >= 0)) break;
      let length = view.getUint8((keyEnd + 1) | 0);
      if (length > 0x7f) {
        const high = value < stop ? view.getUint8(value++) : 0x80;
        if (high > 0x7f) break;
        length = (length & 0x7f) | (high << 7);
      }
      if (view.getUint8(keyEnd) !== valueTag || ((value + length) | 0) !== stop) break;
      pos = stop;
    }
    return pos;
  }
}

/** The first four bytes of a word; of a shorter one its length and all its bytes. */
function startOf(view: DataView, start: number, length: number): number {
  if (length > 3) return view.getInt32(start, true);
  let word = length;
  if (length > 0) word |= view.getUint8(start) << 8;
  if (length > 1) word |= view.getUint8(start + 1) << 16;
  if (length > 2) word |= view.getUint8(start + 2) << 24;
  return word;
}

/** A 32-bit hash of a word's length and its ends: known words seldom differ in their middle alone. */
function hashOf(length: number, first: number, last: number): number {
  const hash = Math.imul(first ^ Math.imul(last ^ length, 0x85ebca6b), 0x9e3779b1);
  return hash ^ (hash >>> 15);
}
