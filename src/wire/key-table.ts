import { sameBytes, viewOf } from "./mixer/word-hash.ts";

/** How many places of the table there are for each word, at least: the next place is seldom looked at. */
const spread = 16;

const keyTag = 0x0a;
const valueTag = 0x12;

/** Finds which of some known words a part of a buffer is, without making a string of it. */
export class KeyTable {
  readonly #words: readonly DataView[];
  readonly #lengths: Int32Array;
  /** By word: its hash. */
  readonly #hashes: Int32Array;
  /** Positions of words by their hash, the next place where one is taken; -1 where none is. */
  readonly #places: Int32Array;

  constructor(words: readonly string[]) {
    this.#words = words.map((word) => viewOf(Buffer.from(word)));
    this.#lengths = Int32Array.from(this.#words, (word) => word.byteLength);
    this.#hashes = Int32Array.from(this.#words, (word) => endsHash(word, 0, word.byteLength));
    this.#places = new Int32Array(spread << (32 - Math.clz32(words.length))).fill(-1);
    const mask = this.#places.length - 1;
    for (const [index, hash] of this.#hashes.entries()) {
      let place = hash & mask;
      while (this.#places[place]! >= 0) place = (place + 1) & mask;
      this.#places[place] = index;
    }
  }

  /** The position of the word that the bytes are, or -1. */
  find(view: DataView, start: number, end: number): number {
    const hash = endsHash(view, start, end);
    const places = this.#places;
    const mask = places.length - 1;
    let place = hash & mask;
    for (let index = places[place]!; index >= 0; index = places[place]!) {
      const isLike = this.#hashes[index] === hash && this.#lengths[index] === end - start;
      if (isLike && sameBytes(view, start, end, this.#words[index]!, 0)) return index;
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
    const mask = places.length - 1;
    let pos = start;
    while (pos + 8 <= end) {
      // Tag, length and what follows: four bytes are read at once, which is cheaper than one after the other.
      const head = view.getInt32(pos, true);
      let key = pos + 4;
      let keyLength = head >>> 24;
      let stop = pos + 2 + ((head >>> 8) & 0x7f);
      if ((head & 0xff_80_ff) !== (tag | (keyTag << 16))) {
        // A length of two bytes.
        if ((head & 0xff_80_80_ff) !== (tag | (0x80 << 8) | (keyTag << 24))) break;
        stop += 1 + (((head >>> 16) & 0x7f) << 7);
        keyLength = view.getUint8(key++);
      }
      const keyEnd = key + keyLength;
      if (keyLength < 3 || keyLength > 0x7f || keyEnd + 2 > stop || stop > end) break;
      // As `endsHash` has it: the byte before a key of three bytes is its length.
      const last = view.getInt32(keyEnd - 4, true);
      const first = keyLength === 3 ? last : view.getInt32(key, true);
      if (places[mixed(keyLength, first, last) & mask]! >= 0) break;
      let value = keyEnd + 2;
      let length = view.getUint8(keyEnd + 1);
      if (length > 0x7f) {
        const high = value < stop ? view.getUint8(value++) : 0x80;
        if (high > 0x7f) break;
        length = (length & 0x7f) | (high << 7);
      }
      if (view.getUint8(keyEnd) !== valueTag || value + length !== stop) break;
      pos = stop;
    }
    return pos;
  }
}

/** A 32-bit hash of a word's length and its first and last four bytes: known words seldom differ in their middle alone. */
function endsHash(view: DataView, start: number, end: number): number {
  const length = end - start;
  if (length > 3) return mixed(length, view.getInt32(start, true), view.getInt32(end - 4, true));
  let word = length;
  for (let i = 0; i < length; i++) word |= view.getUint8(start + i) << (8 * (i + 1));
  return mixed(length, word, word);
}

function mixed(length: number, first: number, last: number): number {
  const hash = Math.imul(first ^ Math.imul(last ^ length, 0x85ebca6b), 0x9e3779b1);
  return hash ^ (hash >>> 15);
}
