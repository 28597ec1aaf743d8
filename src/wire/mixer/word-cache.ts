import type { CacheCounts } from "../../util/cache-counts.ts";
import { hashBytes, sameBytes, viewOf } from "./word-hash.ts";

/** Words above this are decoded each time: they are seldom repeated, and a few of them would fill the cache. */
const maxBytes = 64;

/**
 * Turns bytes into strings and remembers those of late, so that a word which many messages bring is one string: made
 * once, and compared by address. Its size is fixed. Each word has two places where it may be kept; one that comes new
 * takes that of the two which was used less recently, when it comes for the second time: ids and paths that never come
 * again would push out what does, and be made to live long.
 */
export class WordCache implements CacheCounts {
  hits = 0;
  /** Words that are too long to be kept are not counted. */
  misses = 0;
  readonly #mask: number;
  /** For each pair of places, side by side: hash and length of the word in the one, and in the other. */
  readonly #heads: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #texts: string[];
  /** For each pair of places, which one was used last. */
  readonly #recent: Uint8Array;
  /** The buffer that was last read of, and where it begins in its memory: asking it costs as much as a short word. */
  #buffer: Buffer | undefined;
  #offset = 0;
  /** For each pair of places, the hash of the word that last was not there. */
  readonly #met: Int32Array;

  /** `places` is how many words are kept: a power of 2. */
  constructor(places = 2048) {
    this.#mask = places / 2 - 1;
    this.#heads = new Int32Array(places * 2);
    this.#bytes = new Uint8Array(places * maxBytes);
    this.#view = viewOf(this.#bytes);
    this.#texts = new Array<string>(places).fill("");
    this.#recent = new Uint8Array(places / 2);
    this.#met = new Int32Array(places / 2);
  }

  /** The text of a part of a buffer, whose whole memory `view` shows. Bytes that are not UTF-8 become U+FFFD. */
  text(buffer: Buffer, view: DataView, start: number, end: number): string {
    const length = end - start;
    if (length > maxBytes) return buffer.toString("utf8", start, end);
    if (length === 0) return "";
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#offset = buffer.byteOffset;
    }
    const from = this.#offset + start;
    const hash = hashBytes(view, from, from + length);
    const pair = hash & this.#mask;
    const heads = this.#heads;
    const head = pair * 4;
    for (let side = 0; side < 2; side++) {
      if (heads[head + side * 2] !== hash || heads[head + side * 2 + 1] !== length) continue;
      const place = pair * 2 + side;
      if (!sameBytes(view, from, from + length, this.#view, place * maxBytes)) continue;
      this.hits++;
      if (this.#recent[pair] !== side) this.#recent[pair] = side;
      return this.#texts[place]!;
    }
    this.misses++;
    const text = buffer.toString("utf8", start, end);
    if (this.#met[pair] !== hash) {
      this.#met[pair] = hash;
      return text;
    }
    const side = this.#recent[pair]! ^ 1;
    const place = pair * 2 + side;
    heads[head + side * 2] = hash;
    heads[head + side * 2 + 1] = length;
    for (let i = start, k = place * maxBytes; i < end; i++, k++) this.#bytes[k] = buffer[i]!;
    this.#texts[place] = text;
    this.#recent[pair] = side;
    return text;
  }
}
