import type { Reader } from "./reader.ts";

/** What a reader wants of a field: nothing, a varint, a value with a length, or all values with a length that come. */
export const want = { nothing: 0, varint: 1, delimited: 2, repeated: 3 } as const;

export type Want = (typeof want)[keyof typeof want];

/** The same as numbers of this file, which the machine code of the walk holds; those of an object it looks up each time. */
const { varint, delimited, repeated: each } = want;

/** What is kept of a field, four numbers one after the other: what is wanted, in which message it came last, begin, end. */
const fieldShift = 2;
const round = 1;
const start = 2;
const end = 3;

/** The last number of a message; then it begins anew. */
const lastRound = 0x7fff_ffff;

/**
 * Where the fields of a message lie in its bytes, found in one walk that looks into none of them. For messages of which
 * some fields are read, in another order than they come in. Made once and used for message after message.
 */
export class FieldIndex {
  /** The values of repeated fields, in order: field number, begin and end, one after the other. */
  readonly repeated: number[] = [];
  /** How many numbers of {@link FieldIndex.repeated} count. */
  repeatedEnd = 0;
  /** By field number. One array, since each array that is looked into costs as much as the rest of a look. */
  readonly #places: Int32Array;
  /** The number of the message at hand: a field that came in an earlier one bears that one's, so that nothing is to be wiped. */
  #round = 1;

  constructor(wants: Readonly<Record<number, Want>>) {
    const size = Math.max(0, ...Object.keys(wants).map(Number)) + 1;
    this.#places = new Int32Array(size << fieldShift);
    for (const [field, wanted] of Object.entries(wants)) this.#places[Number(field) << fieldShift] = wanted;
  }

  has(field: number): boolean {
    return this.#places[(field << fieldShift) + round] === this.#round;
  }

  /** Where the value of a field that came begins, behind tag and length; of several the last. */
  start(field: number): number {
    return this.#places[(field << fieldShift) + start]!;
  }

  /** Where the value of a field that came ends. Not told of varints. */
  end(field: number): number {
    return this.#places[(field << fieldShift) + end]!;
  }

  /** Forgets what was found. */
  clear(): void {
    if (this.#round === lastRound) {
      for (let at = 0; at < this.#places.length; at += 1 << fieldShift) this.#places[at + round] = 0;
      this.#round = 0;
    }
    this.#round++;
    this.repeatedEnd = 0;
  }

  /** Walks the message between two positions of the reader's buffer. Throws a `WeirError` where it is malformed. */
  read(reader: Reader, from: number, to: number): void {
    this.clear();
    const { buffer } = reader;
    const places = this.#places;
    const message = this.#round;
    reader.end = to;
    // `| 0` tells the compiler that no step overflows.
    const last = to | 0;
    let pos = from | 0;
    while (pos < last) {
      // Tags and lengths of one byte and of two, and varints, are read here; all else, and what is wrong, by the reader.
      let next = (pos + 1) | 0;
      let tag = buffer[pos]!;
      if (tag > 0x7f && next < last) {
        tag = (tag & 0x7f) | (buffer[next]! << 7);
        next = (next + 1) | 0;
      }
      if (tag > 7 && tag < 0x4000 && next < last) {
        const at = (tag >>> 3) << fieldShift;
        if ((tag & 7) === 2) {
          let length = buffer[next]!;
          next = (next + 1) | 0;
          if (length > 0x7f && next < last) {
            length = (length & 0x7f) | (buffer[next]! << 7);
            next = (next + 1) | 0;
          }
          const stop = (next + length) | 0;
          if (length < 0x4000 && stop <= last) {
            if (at < places.length) {
              const wanted = places[at]!;
              if (wanted === delimited) {
                places[at + round] = message;
                places[at + start] = next;
                places[at + end] = stop;
              } else if (wanted === each) this.#repeat(tag >>> 3, next, stop);
            }
            pos = stop;
            continue;
          }
        } else if ((tag & 7) === 0) {
          let stop = next;
          while (stop < last && buffer[stop]! > 0x7f) stop = (stop + 1) | 0;
          if (stop < last && stop - next < 10) {
            if (at < places.length && places[at] === varint) {
              places[at + round] = message;
              places[at + start] = next;
            }
            pos = (stop + 1) | 0;
            continue;
          }
        }
      }
      reader.pos = pos;
      this.#readField(reader);
      pos = reader.pos | 0;
    }
    reader.pos = pos;
  }

  /** Reads one field at the reader's position, of whatever form. */
  #readField(reader: Reader): void {
    const tag = reader.tag();
    const at = (tag >>> 3) << fieldShift;
    const places = this.#places;
    const wanted = at < places.length ? places[at]! : want.nothing;
    if ((tag & 7) !== 2) {
      if (wanted === varint && (tag & 7) === 0) {
        places[at + round] = this.#round;
        places[at + start] = reader.pos;
      }
      reader.skip(tag);
      return;
    }
    const stop = reader.delimited();
    if (wanted === delimited) {
      places[at + round] = this.#round;
      places[at + start] = reader.pos;
      places[at + end] = stop;
    } else if (wanted === each) this.#repeat(tag >>> 3, reader.pos, stop);
    reader.pos = stop;
  }

  #repeat(field: number, from: number, to: number): void {
    const at = this.repeatedEnd;
    const { repeated } = this;
    repeated[at] = field;
    repeated[at + 1] = from;
    repeated[at + 2] = to;
    this.repeatedEnd = at + 3;
  }
}
