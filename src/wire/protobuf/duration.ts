import { putVarint, type Writer } from "./writer.ts";

/** Tag and length of the duration, and tag and varint of each of its fields. */
const maxBytes = 2 + 6 + 6;

/** Writes a google.protobuf.Duration of some milliseconds, which are finite and not below 0. The field is one up to 15. */
export function writeDuration(writer: Writer, field: number, ms: number): void {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.floor((ms - seconds * 1000) * 1e6);
  if (seconds > 0xffff_ffff) {
    const duration = writer.open(field);
    writer.int64(1, seconds);
    if (nanos > 0) writer.int32(2, nanos);
    writer.close(duration);
    return;
  }
  // All but the longest: by hand, since most answers to limits have some.
  const bytes = writer.room(maxBytes);
  const { end: start } = writer;
  let end = start + 2;
  if (seconds > 0) {
    bytes[end++] = 0x08;
    end = putVarint(bytes, end, seconds);
  }
  if (nanos > 0) {
    bytes[end++] = 0x10;
    end = putVarint(bytes, end, nanos);
  }
  bytes[start] = (field << 3) | 2;
  bytes[start + 1] = end - start - 2;
  writer.end = end;
}
