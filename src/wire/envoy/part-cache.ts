import { viewOf } from "../mixer/word-hash.ts";
import type { Reader } from "../protobuf/reader.ts";

/** Larger parts are read each time. */
const maxBytes = 4096;

interface Place<T> {
  readonly bytes: DataView;
  readonly length: number;
  readonly meaning: T;
}

/**
 * Remembers what parts of messages mean, by their bytes: of certificates, peers and clusters few come again and again.
 * Its size is fixed. Each part has two places where it may be kept; where both are taken, it takes one of them when it
 * comes for the second time: one that never comes again would push out what does.
 */
export class PartCache<T> {
  readonly #read: (reader: Reader) => T;
  readonly #mask: number;
  readonly #places: (Place<T> | undefined)[];
  /** By place: the hash of the part that is kept there. */
  readonly #hashes: Int32Array;
  /** By the first of the two places: the hash of the part that last was not there. */
  readonly #met: Int32Array;
  /** Which of two places that are taken is given up next. */
  #turn = false;

  /** `read` reads the part that fills the reader, and nothing else. `places` is how many are kept: a power of 2. */
  constructor(read: (reader: Reader) => T, places = 1024) {
    this.#read = read;
    this.#mask = places - 1;
    this.#places = new Array<Place<T> | undefined>(places).fill(undefined);
    this.#hashes = new Int32Array(places);
    this.#met = new Int32Array(places);
  }

  /**
   * What the part between two positions of the reader's buffer means. `view` shows the whole memory of the buffer, which
   * begins there at `offset`. The reader is left anywhere.
   */
  of(reader: Reader, view: DataView, offset: number, start: number, end: number): T {
    const from = offset + start;
    const to = offset + end;
    const hash = hashPart(view, from, to);
    const home = hash & this.#mask;
    if (this.#hashes[home] === hash) {
      const first = this.#places[home];
      if (first !== undefined && isPart(first, view, from, to)) return first.meaning;
    }
    const other = (hash >>> 16) & this.#mask;
    if (this.#hashes[other] === hash) {
      const second = this.#places[other];
      if (second !== undefined && isPart(second, view, from, to)) return second.meaning;
    }
    reader.pos = start;
    reader.end = end;
    const meaning = this.#read(reader);
    this.#keep(hash, reader.buffer, start, end, meaning);
    return meaning;
  }

  #keep(hash: number, buffer: Buffer, start: number, end: number, meaning: T): void {
    if (end - start > maxBytes) return;
    const home = hash & this.#mask;
    const other = (hash >>> 16) & this.#mask;
    const isFull = this.#places[home] !== undefined && this.#places[other] !== undefined;
    if (isFull && this.#met[home] !== hash) {
      this.#met[home] = hash;
      return;
    }
    if (isFull) this.#turn = !this.#turn;
    const isHome = isFull ? this.#turn : this.#places[home] === undefined;
    const place = isHome ? home : other;
    this.#hashes[place] = hash;
    this.#places[place] = {
      bytes: viewOf(Uint8Array.from(buffer.subarray(start, end))),
      length: end - start,
      meaning,
    };
  }
}

/**
 * A 32-bit hash of a part. Sixteen bytes at a step, of which the last goes back to where they are whole: parts are long, and to
 * check the view and ask whether to stop costs three times what the hash of a word does. `| 0` spares a check for overflow.
 */
function hashPart(view: DataView, from: number, to: number): number {
  const length = (to - from) | 0;
  let hash = length;
  if (length < 16) {
    for (let i = from | 0; i < to; i = (i + 1) | 0) hash = mixed(hash, view.getUint8(i));
    return hash ^ (hash >>> 15);
  }
  const last = (to - 16) | 0;
  for (let k = from | 0; k < to; k = (k + 16) | 0) {
    const i = k < last ? k : last;
    hash = mixed(hash, view.getInt32(i, true));
    hash = mixed(hash, view.getInt32((i + 4) | 0, true));
    hash = mixed(hash, view.getInt32((i + 8) | 0, true));
    hash = mixed(hash, view.getInt32((i + 12) | 0, true));
  }
  return hash ^ (hash >>> 15);
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e3779b1);
  return (product << 13) | (product >>> 19);
}

/** Whether the part of a view is the one that is kept; by the steps of {@link hashPart}. */
function isPart({ bytes, length }: Place<unknown>, view: DataView, from: number, to: number): boolean {
  if (length !== to - from) return false;
  if (length < 16) {
    for (let k = 0; k < length; k++) if (view.getUint8(from + k) !== bytes.getUint8(k)) return false;
    return true;
  }
  const last = (length - 16) | 0;
  for (let k = 0; k < length; k = (k + 16) | 0) {
    const own = k < last ? k : last;
    const i = (from + own) | 0;
    if (
      ((view.getInt32(i, true) ^ bytes.getInt32(own, true)) |
        (view.getInt32((i + 4) | 0, true) ^ bytes.getInt32((own + 4) | 0, true)) |
        (view.getInt32((i + 8) | 0, true) ^ bytes.getInt32((own + 8) | 0, true)) |
        (view.getInt32((i + 12) | 0, true) ^ bytes.getInt32((own + 12) | 0, true))) !==
      0
    )
      return false;
  }
  return true;
}
