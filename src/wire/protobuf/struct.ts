import { malformed, type Reader } from "./reader.ts";
import { within } from "./within.ts";
import type { Writer } from "./writer.ts";

/** What a google.protobuf.Value holds. */
export type Json = null | number | string | boolean | readonly Json[] | JsonObject;

export type JsonObject = ReadonlyMap<string, Json>;

/** How deep lists and structs may lie within each other. */
const maxDepth = 32;

/** Reads the google.protobuf.Struct that fills the reader's part. Throws a `WeirError` where it is none or lies too deep. */
export function readStruct(reader: Reader, depth = 0): JsonObject {
  if (depth > maxDepth) throw malformed(`structs lie more than ${maxDepth} deep`, reader.pos);
  const fields = new Map<string, Json>();
  while (reader.more) {
    const tag = reader.tag();
    if (tag !== 0x0a) {
      reader.skip(tag);
      continue;
    }
    const { end } = reader;
    reader.end = reader.delimited();
    let key = "";
    let value: Json = null;
    while (reader.more) {
      const inner = reader.tag();
      if (inner === 0x0a) key = reader.string();
      else if (inner === 0x12) value = within(reader, readValue, depth + 1);
      else reader.skip(inner);
    }
    reader.end = end;
    fields.set(key, value);
  }
  return fields;
}

/** A google.protobuf.Value; of several kinds that are written, the last counts. */
function readValue(reader: Reader, depth: number): Json {
  let value: Json = null;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x08) {
      reader.uint32();
      value = null;
    } else if (tag === 0x11) value = reader.double();
    else if (tag === 0x1a) value = reader.string();
    else if (tag === 0x20) value = reader.bool();
    else if (tag === 0x2a) value = within(reader, readStruct, depth);
    else if (tag === 0x32) value = within(reader, readList, depth);
    else reader.skip(tag);
  }
  return value;
}

function readList(reader: Reader, depth: number): readonly Json[] {
  if (depth > maxDepth) throw malformed(`lists lie more than ${maxDepth} deep`, reader.pos);
  const values: Json[] = [];
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x0a) values.push(within(reader, readValue, depth + 1));
    else reader.skip(tag);
  }
  return values;
}

/** A value as JSON text. */
export function jsonText(value: Json): string {
  return JSON.stringify(value, (_, each: unknown) => (each instanceof Map ? Object.fromEntries(each) : each));
}

/** Writes a text into the Struct that is being written. */
export function writeTextField(writer: Writer, key: string, text: string): void {
  const entry = writer.open(1);
  writer.string(1, key);
  const value = writer.open(2);
  writer.string(3, text);
  writer.close(value);
  writer.close(entry);
}

/** Writes a list of texts into the Struct that is being written. */
export function writeTextsField(writer: Writer, key: string, texts: readonly string[]): void {
  const entry = writer.open(1);
  writer.string(1, key);
  const value = writer.open(2);
  const list = writer.open(6);
  for (const text of texts) {
    const each = writer.open(1);
    writer.string(3, text);
    writer.close(each);
  }
  writer.close(list);
  writer.close(value);
  writer.close(entry);
}
