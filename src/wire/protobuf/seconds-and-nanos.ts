import type { Reader } from "./reader.ts";

/** A google.protobuf.Timestamp or Duration: both are written as seconds and nanoseconds. */
export class SecondsAndNanos {
  seconds = 0;
  nanos = 0;

  /** Reads one up to the reader's end. */
  read(reader: Reader): this {
    this.seconds = this.nanos = 0;
    this.#readShort(reader);
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x08) this.seconds = Number(reader.int64());
      else if (tag === 0x10) this.nanos = reader.int32();
      else reader.skip(tag);
    }
    return this;
  }

  /** Reads numbers that have 31 bits at most, as all of these days have, up to what is none: no more is done for each than must be. */
  #readShort(reader: Reader): void {
    const { buffer, end } = reader;
    let pos = reader.pos;
    while (pos < end) {
      const tag = buffer[pos]!;
      if (tag !== 0x08 && tag !== 0x10) break;
      let next = pos + 1;
      let value = 0;
      let byte = 0x80;
      for (let shift = 0; byte > 0x7f && shift < 35 && next < end; shift += 7) {
        byte = buffer[next++]!;
        value |= (byte & 0x7f) << shift;
      }
      // Of the fifth byte three bits count; a larger number has more.
      if (byte > 0x7f || (next - pos === 6 && byte > 7)) break;
      if (tag === 0x08) this.seconds = value;
      else this.nanos = value;
      pos = next;
    }
    reader.pos = pos;
  }
}
