import type { Reader } from "./reader.ts";

/** A google.protobuf.Timestamp or Duration: both are written as seconds and nanoseconds. */
export class SecondsAndNanos {
  seconds = 0;
  nanos = 0;

  /** Reads one up to the reader's end. */
  read(reader: Reader): this {
    this.seconds = this.nanos = 0;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x08) this.seconds = Number(reader.int64());
      else if (tag === 0x10) this.nanos = reader.int32();
      else reader.skip(tag);
    }
    return this;
  }
}
