import type { Reader } from "./reader.ts";

/** Where key and value of a message of two delimited fields lie, such as an entry of a map. Made once and used again. */
export class Pair {
  keyStart = 0;
  keyEnd = 0;
  valueStart = 0;
  valueEnd = 0;

  /**
   * Finds the parts of the message between the reader's position and `stop`, and puts the reader behind it: the key is
   * field 1, the value field 2, or the field of the tag `other`. What is missing is empty.
   */
  read(reader: Reader, stop: number, other = 0x12): this {
    if (!this.#short(reader.buffer, reader.pos, stop, other)) this.#long(reader, stop, other);
    reader.pos = stop;
    return this;
  }

  /** The usual form: key, then value; the length of the key in one byte, that of the value in one or two. */
  #short(buffer: Buffer, start: number, stop: number, other: number): boolean {
    if (start + 4 > stop || buffer[start] !== 0x0a) return false;
    const keyLength = buffer[start + 1]!;
    const keyEnd = start + 2 + keyLength;
    if (keyLength > 0x7f || keyEnd + 2 > stop) return false;
    const tag = buffer[keyEnd];
    if (tag !== 0x12 && tag !== other) return false;
    let valueStart = keyEnd + 2;
    let length = buffer[keyEnd + 1]!;
    if (length > 0x7f) {
      const high = buffer[valueStart++]!;
      if (high > 0x7f) return false;
      length = (length & 0x7f) | (high << 7);
    }
    if (valueStart + length !== stop) return false;
    this.keyStart = start + 2;
    this.keyEnd = keyEnd;
    this.valueStart = valueStart;
    this.valueEnd = stop;
    return true;
  }

  #long(reader: Reader, stop: number, other: number): void {
    const { end } = reader;
    reader.end = stop;
    this.keyStart = this.keyEnd = this.valueStart = this.valueEnd = 0;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x0a) {
        this.keyEnd = reader.delimited();
        this.keyStart = reader.pos;
        reader.pos = this.keyEnd;
      } else if (tag === 0x12 || tag === other) {
        this.valueEnd = reader.delimited();
        this.valueStart = reader.pos;
        reader.pos = this.valueEnd;
      } else reader.skip(tag);
    }
    reader.end = end;
  }
}
