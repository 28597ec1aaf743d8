import { malformed, type Reader } from "../protobuf/reader.ts";

/** A google.protobuf.Value. */
export type StructValue = string | number | boolean | null | readonly StructValue[] | Struct;
export type Struct = ReadonlyMap<string, StructValue>;

/** Deeper structures are refused: nobody writes them, and each level takes a place on the stack. */
const maxDepth = 16;

/** Reads a google.protobuf.Struct, which fills the reader's part. Throws a `WeirError` where it is none or nests too deep. */
export function readStruct(reader: Reader, depth = 0): Struct {
  if (depth > maxDepth) throw malformed(`a structure nests deeper than ${maxDepth}`, reader.pos);
  const fields = new Map<string, StructValue>();
  while (reader.more) {
    const tag = reader.tag();
    if (tag !== 0x0a) {
      reader.skip(tag);
      continue;
    }
    let key = "";
    let value: StructValue = null;
    inside(reader, () => {
      while (reader.more) {
        const tag = reader.tag();
        if (tag === 0x0a) key = reader.string();
        else if (tag === 0x12) value = inside(reader, () => readValue(reader, depth + 1));
        else reader.skip(tag);
      }
    });
    fields.set(key, value);
  }
  return fields;
}

function readValue(reader: Reader, depth: number): StructValue {
  let value: StructValue = null;
  while (reader.more) {
    const tag = reader.tag();
    switch (tag) {
      case 0x11:
        value = reader.double();
        break;
      case 0x1a:
        value = reader.string();
        break;
      case 0x20:
        value = reader.bool();
        break;
      case 0x2a:
        value = inside(reader, () => readStruct(reader, depth));
        break;
      case 0x32:
        value = inside(reader, () => readList(reader, depth));
        break;
      default:
        reader.skip(tag);
    }
  }
  return value;
}

function readList(reader: Reader, depth: number): StructValue[] {
  if (depth > maxDepth) throw malformed(`a structure nests deeper than ${maxDepth}`, reader.pos);
  const values: StructValue[] = [];
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x0a) values.push(inside(reader, () => readValue(reader, depth + 1)));
    else reader.skip(tag);
  }
  return values;
}

/** Reads the message that begins with its length, and puts the reader behind it. */
export function inside<T>(reader: Reader, read: () => T): T {
  const { end } = reader;
  const stop = reader.delimited();
  reader.end = stop;
  const value = read();
  reader.end = end;
  reader.pos = stop;
  return value;
}
