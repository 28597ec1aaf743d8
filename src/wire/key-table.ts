import { hashBytes, sameBytes, viewOf } from "./mixer/word-hash.ts";

/** Finds which of some known words a part of a buffer is, without making a string of it. */
export class KeyTable {
  readonly #words: readonly DataView[];
  /** A bit for each shape that some word has: most other words are told to be none by this alone. */
  readonly #shapes = new Uint8Array(4096);
  /** Positions of words by their hash, each place as often as need be stepped on; -1 where none is. */
  readonly #places: Int32Array;

  constructor(words: readonly string[]) {
    this.#words = words.map((word) => viewOf(Buffer.from(word)));
    this.#places = new Int32Array(2 << (32 - Math.clz32(words.length + 1))).fill(-1);
    for (const [index, word] of this.#words.entries()) {
      const length = word.byteLength;
      this.#shapes[shape(word, 0, length)] = 1;
      let place = this.#place(word, 0, length);
      while (this.#places[place]! >= 0) place = (place + 1) & (this.#places.length - 1);
      this.#places[place] = index;
    }
  }

  /** The position of the word that the bytes are, or -1. */
  find(view: DataView, start: number, end: number): number {
    if (this.#shapes[shape(view, start, end)] === 0) return -1;
    let place = this.#place(view, start, end);
    for (let index = this.#places[place]!; index >= 0; index = this.#places[place]!) {
      const word = this.#words[index]!;
      if (word.byteLength === end - start && sameBytes(view, start, end, word, 0)) return index;
      place = (place + 1) & (this.#places.length - 1);
    }
    return -1;
  }

  #place(view: DataView, start: number, end: number): number {
    return hashBytes(view, start, end) & (this.#places.length - 1);
  }
}

/** A number of 12 bits from a word's length, its first byte and its last two. */
function shape(view: DataView, start: number, end: number): number {
  const length = end - start;
  if (length === 0) return 0;
  const last = view.getUint8(end - 1) + (length > 1 ? view.getUint8(end - 2) * 8 : 0);
  return (length * 37 + view.getUint8(start) * 5 + last * 3) & 4095;
}
