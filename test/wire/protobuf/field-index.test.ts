import test from "ava";
import fc from "fast-check";
import { WeirError } from "../../../src/util/weir-error.ts";
import { FieldIndex, want, type Want } from "../../../src/wire/protobuf/field-index.ts";
import { Reader } from "../../../src/wire/protobuf/reader.ts";
import { SecondsAndNanos } from "../../../src/wire/protobuf/seconds-and-nanos.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

const wants: Readonly<Record<number, Want>> = {
  1: want.delimited,
  2: want.varint,
  3: want.nothing,
  15: want.repeated,
  16: want.delimited,
  17: want.varint,
  33: want.repeated,
};

interface Found {
  /** By field: begin, and end where it has a length. */
  readonly fields: Record<number, readonly number[]>;
  readonly repeated: readonly number[];
}

/** What an index has found, or `undefined` where it said that the message is malformed. */
function indexed(index: FieldIndex, bytes: Uint8Array, from: number, to: number): Found | undefined {
  const reader = new Reader().reset(Buffer.from(bytes));
  try {
    index.read(reader, from, to);
  } catch (error) {
    if (error instanceof WeirError) return undefined;
    throw error;
  }
  const fields: Record<number, readonly number[]> = {};
  for (const [key, wanted] of Object.entries(wants)) {
    const field = Number(key);
    if (!index.has(field)) continue;
    fields[field] = wanted === want.varint ? [index.start(field)] : [index.start(field), index.end(field)];
  }
  return { fields, repeated: index.repeated.slice(0, index.repeatedEnd) };
}

/** The same, read step by step. */
function walked(bytes: Uint8Array, from: number, to: number): Found | undefined {
  const reader = new Reader().reset(Buffer.from(bytes), from, to);
  const found: Found = { fields: {}, repeated: [] };
  const repeated: number[] = [];
  try {
    while (reader.more) {
      const tag = reader.tag();
      const wanted = wants[tag >>> 3] ?? want.nothing;
      const start = reader.pos;
      if ((tag & 7) === 0 && wanted === want.varint) found.fields[tag >>> 3] = [start];
      if ((tag & 7) !== 2) {
        reader.skip(tag);
        continue;
      }
      const end = reader.delimited();
      if (wanted === want.delimited) found.fields[tag >>> 3] = [reader.pos, end];
      if (wanted === want.repeated) repeated.push(tag >>> 3, reader.pos, end);
      reader.pos = end;
    }
  } catch (error) {
    if (error instanceof WeirError) return undefined;
    throw error;
  }
  return { ...found, repeated };
}

/** Bytes that are tags, small lengths and varints of any length more often than chance has it. */
const piece = fc.oneof(
  fc.constantFrom(
    [0x0a],
    [0x10],
    [0x1a],
    [0x7a],
    [0x82, 1],
    [0x88, 1],
    [0x8a, 2],
    [0x0d],
    [0x09],
    [0x8a, 0],
    [0x82, 0],
  ),
  fc.constantFrom([0], [1], [2], [0x80, 1], [0x81, 0], [0x80, 0x80, 0], [0xff, 0xff, 0x7f], [0x80]),
  fc.uint8Array({ maxLength: 12 }).map((bytes) => [...bytes]),
  fc.nat({ max: 11 }).map((length) => [...new Array<number>(length).fill(0x80), 1]),
);
const message = fc.array(piece, { maxLength: 12 }).map((pieces) => Uint8Array.from(pieces.flat()));

test("an index finds what a walk from field to field finds, and refuses what that refuses", (t) => {
  const index = new FieldIndex(wants);
  fc.assert(
    fc.property(message, fc.nat({ max: 6 }), fc.nat({ max: 6 }), (bytes, before, behind) => {
      const from = Math.min(before, bytes.length);
      const to = Math.max(from, bytes.length - behind);
      t.deepEqual(indexed(index, bytes, from, to), walked(bytes, from, to));
    }),
    { numRuns: fuzzRuns(5000) },
  );
});

test("an index finds values whose tag or length has several bytes", (t) => {
  const long = (length: number): number[] => [(length & 0x7f) | 0x80, ((length >>> 7) & 0x7f) | 0x80, length >>> 14];
  const bytes = Uint8Array.from([
    ...[0x82, 0x01, 0xc8, 0x01, ...new Array<number>(200).fill(7)],
    ...[0x0a, ...long(20_000), ...new Array<number>(20_000).fill(7)],
    ...[0x88, 0x81, 0x00, 0x96, 0x01],
  ]);
  const index = new FieldIndex(wants);
  const found = indexed(index, bytes, 0, bytes.length);
  t.deepEqual(found?.fields, { 1: [208, 20_208], 16: [4, 204], 17: [20_211] });
});

test("an index forgets the message before", (t) => {
  const index = new FieldIndex(wants);
  indexed(index, Uint8Array.of(0x0a, 1, 5, 0x7a, 0), 0, 5);
  t.true(index.has(1));
  t.is(index.repeatedEnd, 3);
  indexed(index, Uint8Array.of(0x10, 1), 0, 2);
  t.deepEqual([index.has(1), index.has(2), index.repeatedEnd], [false, true, 0]);
  index.clear();
  t.false(index.has(2));
});

test("seconds and nanoseconds are read as field for field, however many bytes they have", (t) => {
  const number = fc.oneof(
    fc.nat(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }).map(Number),
    fc.nat({ max: 200 }),
  );
  const varint = (value: number): number[] => {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    return [...bytes, Number(rest)];
  };
  const field = fc.tuple(fc.constantFrom(0x08, 0x10, 0x18), number).map(([tag, value]) => [tag, ...varint(value)]);
  const bytes = fc.oneof(
    fc.array(field, { maxLength: 3 }).map((fields) => fields.flat()),
    fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.flat()),
  );
  const read = (buffer: Buffer): unknown => {
    try {
      const { seconds, nanos } = new SecondsAndNanos().read(new Reader().reset(buffer));
      return [seconds, nanos];
    } catch (error) {
      if (error instanceof WeirError) return "malformed";
      throw error;
    }
  };
  const expected = (buffer: Buffer): unknown => {
    const reader = new Reader().reset(buffer);
    let [seconds, nanos] = [0, 0];
    try {
      while (reader.more) {
        const tag = reader.tag();
        if (tag === 0x08) seconds = Number(reader.int64());
        else if (tag === 0x10) nanos = reader.int32();
        else reader.skip(tag);
      }
    } catch (error) {
      if (error instanceof WeirError) return "malformed";
      throw error;
    }
    return [seconds, nanos];
  };
  fc.assert(
    fc.property(bytes, (each) => {
      const buffer = Buffer.from(each);
      t.deepEqual(read(buffer), expected(buffer));
    }),
    { numRuns: fuzzRuns(2000) },
  );
});
