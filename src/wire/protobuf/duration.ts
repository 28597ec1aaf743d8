import type { Writer } from "./writer.ts";

/** Writes a google.protobuf.Duration of some milliseconds, which are finite and not below 0. */
export function writeDuration(writer: Writer, field: number, ms: number): void {
  const duration = writer.open(field);
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.floor((ms - seconds * 1000) * 1e6);
  if (seconds > 0) writer.int64(1, seconds);
  if (nanos > 0) writer.int32(2, nanos);
  writer.close(duration);
}
