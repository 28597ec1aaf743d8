import type { Reader } from "./reader.ts";

/** What a reader wants of a field: nothing, a varint, a value with a length, or all values with a length that come. */
export const want = { nothing: 0, varint: 1, delimited: 2, repeated: 3 } as const;

export type Want = (typeof want)[keyof typeof want];

/** A bit for each wire type that there is in proto3. */
const knownTypes = 0b100111;

/**
 * Where the fields of a message lie in its bytes, found in one walk that looks into none of them. For messages of which
 * some fields are read, in another order than they come in.
 */
export class FieldIndex {
  /** By field number: where its value begins, behind tag and length; -1 when it did not come. Of several the last. */
  readonly starts: Int32Array;
  /** By field number: where its value ends. Not told of varints. */
  readonly ends: Int32Array;
  /** The values of repeated fields, in order: field number, begin and end, one after the other. */
  readonly repeated: number[] = [];
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
    const starts = this.starts;
    for (let i = 0; i < starts.length; i++) starts[i] = -1;
    if (this.repeated.length > 0) this.repeated.length = 0;
  }

  /** Walks the message between two positions of the reader's buffer. Throws a `WeirError` where it is malformed. */
  read(reader: Reader, start: number, end: number): void {
    this.clear();
    const { buffer } = reader;
    const { starts, ends } = this;
    const wants = this.#wants;
    reader.pos = start;
    reader.end = end;
    while (reader.pos < end) {
      // Tags of one byte and lengths of one, as most are, are read here; anything else by the reader.
      let tag = buffer[reader.pos]!;
      if (tag < 0x80 && tag > 7 && (knownTypes >>> (tag & 7)) & 1) reader.pos++;
      else tag = reader.tag();
      const field = tag >>> 3;
      const type = tag & 7;
      const wanted = field < wants.length ? wants[field]! : want.nothing;
      if (type === 2) {
        const short = reader.pos < end ? buffer[reader.pos]! : 0x80;
        let stop: number;
        if (short < 0x80 && reader.pos + 1 + short <= end) stop = ++reader.pos + short;
        else stop = reader.delimited();
        if (wanted === want.delimited) {
          starts[field] = reader.pos;
          ends[field] = stop;
        } else if (wanted === want.repeated) this.repeated.push(field, reader.pos, stop);
        reader.pos = stop;
      } else {
        if (wanted === want.varint && type === 0) starts[field] = reader.pos;
        reader.skip(tag);
      }
    }
  }
}
