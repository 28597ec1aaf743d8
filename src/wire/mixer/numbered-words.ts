import type { NumberedTexts } from "../../attributes/layout.ts";
import { hashBytes, sameBytes, viewOf } from "./word-hash.ts";

/** Longer texts are told by other means. */
const maxBytes = 256;

/** Of each text: its number, how many bytes it has, and these. */
const headBytes = 8;

/** Tells a layout's numbered texts by their bytes. Of each there is little, side by side: all are looked up in turn. */
export class NumberedWords {
  readonly slot: number;
  /** Two numbers a place, for twice as many places as texts: a hash, and where its text stands, or -1. */
  readonly #places: Int32Array;
  readonly #texts: DataView;

  constructor({ slot, texts }: NumberedTexts) {
    this.slot = slot;
    const all = texts.map((text) => Buffer.from(text));
    // A text that is no Unicode has no bytes of its own.
    const isKept = (bytes: Buffer, number: number): boolean =>
      bytes.length <= maxBytes && bytes.toString() === texts[number];
    const sizes = all.map((bytes, number) => (isKept(bytes, number) ? headBytes + ((bytes.length + 3) & ~3) : 0));
    this.#texts = viewOf(new Uint8Array(sizes.reduce((sum, size) => sum + size, 0)));
    this.#places = new Int32Array(4 << (32 - Math.clz32(texts.length))).fill(-1);
    let at = 0;
    for (const [number, bytes] of all.entries()) {
      if (sizes[number] === 0) continue;
      this.#texts.setInt32(at, number, true);
      this.#texts.setInt32(at + 4, bytes.length, true);
      for (const [i, byte] of bytes.entries()) this.#texts.setUint8(at + headBytes + i, byte);
      this.#add(hashBytes(viewOf(bytes), 0, bytes.length), at);
      at += sizes[number]!;
    }
  }

  /** The number of the text that these bytes are, or -1. */
  find(view: DataView, start: number, end: number): number {
    const hash = hashBytes(view, start, end);
    const places = this.#places;
    const mask = places.length - 2;
    for (let place = (hash << 1) & mask; ; place = (place + 2) & mask) {
      const at = places[place + 1]!;
      if (at < 0) return -1;
      if (places[place] !== hash || this.#texts.getInt32(at + 4, true) !== end - start) continue;
      if (sameBytes(view, start, end, this.#texts, at + headBytes)) return this.#texts.getInt32(at, true);
    }
  }

  #add(hash: number, at: number): void {
    const places = this.#places;
    const mask = places.length - 2;
    let place = (hash << 1) & mask;
    while (places[place + 1]! >= 0) place = (place + 2) & mask;
    places[place] = hash;
    places[place + 1] = at;
  }
}
