import { Reader } from "../../protobuf/reader.ts";
import { within } from "../../protobuf/within.ts";

/** The fields that lead from a CheckRequest to its headers: attributes, request, http; then `headers` or `header_map`. */
const way = [0x0a, 0x22, 0x12] as const;
const headersTag = 0x1a;
const headerMapTag = 0x6a;

/** Which of some headers a CheckRequest, which was read before without a mistake, has. */
export function headersAmong(message: Buffer, names: readonly string[]): Set<string> {
  const there = new Set<string>();
  const reader = new Reader().reset(message);
  const visit = (depth: number): void => {
    while (reader.more) {
      const tag = reader.tag();
      if (depth < way.length && tag === way[depth]) within(reader, () => visit(depth + 1));
      else if (depth === way.length && tag === headersTag) within(reader, key);
      else if (depth === way.length && tag === headerMapTag) within(reader, list);
      else reader.skip(tag);
    }
  };
  const list = (): void => {
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x0a) within(reader, key);
      else reader.skip(tag);
    }
  };
  const key = (): void => {
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
  visit(0);
  return there;
}
