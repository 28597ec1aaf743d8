import { Reader } from "../../protobuf/reader.ts";
import { within } from "../../protobuf/within.ts";

/** The fields that lead from a CheckRequest to the request of HTTP: attributes, request, http. */
const way = [0x0a, 0x22, 0x12] as const;
const pathTag = 0x22;
const headersTag = 0x1a;
const headerMapTag = 0x6a;

/** Which of some headers a CheckRequest, which was read before without a mistake, has. */
export function headersAmong(message: Buffer, names: readonly string[]): Set<string> {
  const there = new Set<string>();
  const key = (reader: Reader): void => {
    while (reader.more) {
      const tag = reader.tag();
      if (tag !== 0x0a) {
        reader.skip(tag);
        continue;
      }
      const name = reader.string();
      if (names.includes(name)) there.add(name);
    }
  };
  const list = (reader: Reader): void => {
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x0a) within(reader, key);
      else reader.skip(tag);
    }
  };
  eachField(message, (reader, tag) => {
    if (tag === headersTag) within(reader, key);
    else if (tag === headerMapTag) within(reader, list);
    else reader.skip(tag);
  });
  return there;
}

/** The path and query of such a CheckRequest; empty when it has none. */
export function pathOf(message: Buffer): string {
  let path = "";
  eachField(message, (reader, tag) => {
    if (tag === pathTag) path = reader.string();
    else reader.skip(tag);
  });
  return path;
}

/** Has every field of the request of HTTP read. */
function eachField(message: Buffer, read: (reader: Reader, tag: number) => void): void {
  const visit = (reader: Reader, depth: number): void => {
    while (reader.more) {
      const tag = reader.tag();
      if (depth === way.length) read(reader, tag);
      else if (tag === way[depth]) within(reader, () => visit(reader, depth + 1));
      else reader.skip(tag);
    }
  };
  visit(new Reader().reset(message), 0);
}
