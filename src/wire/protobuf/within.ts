import type { Reader } from "./reader.ts";

/** Reads the message that comes next. `depth` is for messages within messages of their own kind. */
export function within<T>(reader: Reader, read: (reader: Reader, depth: number) => T, depth = 0): T {
  const { end } = reader;
  const stop = reader.delimited();
  reader.end = stop;
  const value = read(reader, depth);
  reader.end = end;
  reader.pos = stop;
  return value;
}
