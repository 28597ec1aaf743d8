import type { Reader } from "./reader.ts";

/** What a reader wants of a field: nothing, a varint, a value with a length, or all values with a length that come. */
export const want = { nothing: 0, varint: 1, delimited: 2, repeated: 3 } as const;

export type Want = (typeof want)[keyof typeof want];

/** A bit for each wire type that there is in proto3. */
const knownTypes = 0b100111;

/**
 * Where the fields of a message lie in its bytes, found in one walk that looks into none of them. For messages of which
 * some fields are read, in another order than they come in. Made once and used for message after message.
 */
export class FieldIndex {
  /** By field number: where its value begins, behind tag and length; -1 when it did not come. Of several the last. */
  readonly starts: Int32Array;
  /** By field number: where its value ends. Not told of varints. */
  readonly ends: Int32Array;
  /** The values of repeated fields, in order: field number, begin and end, one after the other. */
  readonly repeated: number[] = [];
  /** How many numbers of {@link FieldIndex.repeated} count. */
  repeatedEnd = 0;
  readonly #wants: Uint8Array;

  constructor(wants: Readonly<Record<number, Want>>) {
    const size = Math.max(0, ...Object.keys(wants).map(Number)) + 1;
    this.starts = new Int32Array(size).fill(-1);
    this.ends = new Int32Array(size);
    this.#wants = new Uint8Array(size);
    for (const [field, wanted] of Object.entries(wants)) this.#wants[Number(field)] = wanted;
  }

  has(field: number): boolean {
    return this.starts[field]! >= 0;
  }

  /** Forgets what was found. */
  clear(): void {
    const { starts } = this;
    for (let i = 0; i < starts.length; i++) starts[i] = -1;
    this.repeatedEnd = 0;
  }

  /** Walks the message between two positions of the reader's buffer. Throws a `WeirError` where it is malformed. */
  read(reader: Reader, start: number, end: number): void {
    this.clear();
    const { buffer } = reader;
    const { starts, ends, repeated } = this;
    const wants = this.#wants;
    reader.end = end;
    let pos = start;
    while (pos < end) {
      // A tag of one byte and a length of one, as most are, are read here; all else by the reader.
      let tag = buffer[pos]!;
      if (tag < 0x80 && tag > 7 && ((knownTypes >>> (tag & 7)) & 1) === 1) pos++;
      else {
        reader.pos = pos;
        tag = reader.tag();
        pos = reader.pos;
      }
      const field = tag >>> 3;
      const wanted = field < wants.length ? wants[field]! : want.nothing;
      if ((tag & 7) !== 2) {
        if (wanted === want.varint && (tag & 7) === 0) starts[field] = pos;
        reader.pos = pos;
        reader.skip(tag);
        pos = reader.pos;
        continue;
      }
      const length = pos < end ? buffer[pos]! : 0x80;
      let stop = pos + 1 + length;
      if (length < 0x80 && stop <= end) pos++;
      else {
        reader.pos = pos;
        stop = reader.delimited();
        pos = reader.pos;
      }
      if (wanted === want.delimited) {
        starts[field] = pos;
        ends[field] = stop;
      } else if (wanted === want.repeated) {
        const at = this.repeatedEnd;
        repeated[at] = field;
        repeated[at + 1] = pos;
        repeated[at + 2] = stop;
        this.repeatedEnd = at + 3;
      }
      pos = stop;
    }
    reader.pos = pos;
  }
}
