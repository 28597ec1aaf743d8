import type { Reader } from "./reader.ts";

/** Reads a message within the message. */
export function within<T>(reader: Reader, read: (reader: Reader) => T): T {
  const end = reader.end;
  const stop = reader.delimited();
  reader.end = stop;
  const value = read(reader);
  reader.end = end;
  reader.pos = stop;
  return value;
}
