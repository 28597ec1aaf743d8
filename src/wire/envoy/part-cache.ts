import { hashBytes, sameBytes, viewOf } from "../mixer/word-hash.ts";
import type { Reader } from "../protobuf/reader.ts";

/** Larger parts are read each time. */
const maxBytes = 4096;

interface Place<T> {
  readonly hash: number;
  readonly bytes: DataView;
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
  /** By the first of the two places: the hash of the part that last was not there. */
  readonly #met: Int32Array;
  /** Which of two places that are taken is given up next. */
  #turn = false;

  /** `read` reads the part that fills the reader, and nothing else. `places` is how many are kept: a power of 2. */
  constructor(read: (reader: Reader) => T, places = 1024) {
    this.#read = read;
    this.#mask = places - 1;
    this.#places = new Array<Place<T> | undefined>(places).fill(undefined);
    this.#met = new Int32Array(places);
  }

  /**
   * What the part between two positions of the reader's buffer means. `view` shows the whole memory of the buffer, which
   * begins there at `offset`. The reader is left anywhere.
   */
  of(reader: Reader, view: DataView, offset: number, start: number, end: number): T {
    const from = offset + start;
    const to = offset + end;
    const hash = hashBytes(view, from, to);
    const places = this.#places;
    const first = places[hash & this.#mask];
    if (first?.hash === hash && isPart(first.bytes, view, from, to)) return first.meaning;
    const second = places[(hash >>> 16) & this.#mask];
    if (second?.hash === hash && isPart(second.bytes, view, from, to)) return second.meaning;
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
    this.#places[isHome ? home : other] = {
      hash,
      bytes: viewOf(Uint8Array.from(buffer.subarray(start, end))),
      meaning,
    };
  }
}

function isPart(bytes: DataView, view: DataView, from: number, to: number): boolean {
  return bytes.byteLength === to - from && sameBytes(view, from, to, bytes, 0);
}
