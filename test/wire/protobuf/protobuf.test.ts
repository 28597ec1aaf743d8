import assert from "node:assert/strict";
import test from "ava";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { int64 } from "../../../src/attributes/int64.ts";
import { WeirError } from "../../../src/util/weir-error.ts";
import { asBuffer, Reader } from "../../../src/wire/protobuf/reader.ts";
import { Writer } from "../../../src/wire/protobuf/writer.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

const malformed: [what: string, bytes: number[], read: (reader: Reader) => void][] = [
  ["a varint without end", [0x80], (r) => r.uint32()],
  ["an empty varint", [], (r) => r.int64()],
  ["a varint of 11 bytes", [...new Array<number>(10).fill(0xff), 1], (r) => r.uint32()],
  ["a 64-bit varint of 11 bytes", [...new Array<number>(10).fill(0xff), 1], (r) => r.int64()],
  ["the field 0", [0x02], (r) => r.tag()],
  ["the beginning of a group", [0x0b], (r) => r.tag()],
  ["the end of a group", [0x0c], (r) => r.tag()],
  ["the wire type 6", [0x0e], (r) => r.tag()],
  ["the wire type 7", [0x0f], (r) => r.tag()],
  ["a length beyond the end", [5, 1, 2], (r) => r.delimited()],
  ["a length beyond 4 GiB", [0xff, 0xff, 0xff, 0xff, 0xff, 0x01], (r) => r.delimited()],
  ["a length without end", [0x80], (r) => r.delimited()],
  ["no length", [], (r) => r.delimited()],
  ["half a double", [1, 2, 3, 4], (r) => r.double()],
  ["a skipped fixed64 that is cut", [1, 2], (r) => r.skip(0x09)],
  ["a skipped fixed32 that is cut", [1, 2], (r) => r.skip(0x0d)],
  ["a skipped text that is cut", [3, 1], (r) => r.skip(0x0a)],
];
for (const [what, bytes, read] of malformed) {
  test(`malformed: ${what}`, (t) => {
    const error = t.throws(() => read(new Reader().reset(Buffer.from(bytes))), { instanceOf: WeirError });
    t.is(error?.code, "WEIR_REQUEST_MALFORMED");
  });
}

test("a reader keeps within its part of the buffer", (t) => {
  const reader = new Reader().reset(Buffer.of(1, 0x80, 1, 5), 1, 2);
  t.throws(() => reader.uint32(), { instanceOf: WeirError });
  t.throws(() => new Reader().reset(Buffer.of(2, 1, 1), 0, 2).delimited(), { instanceOf: WeirError });
  t.is(new Reader().reset(Buffer.of(9, 7, 9), 1, 2).uint32(), 7);
});

test("bytes are read over the same memory", (t) => {
  const bytes = new Uint8Array(10).subarray(2, 5);
  const buffer = asBuffer(bytes);
  bytes[0] = 42;
  t.is(buffer[0], 42);
  t.is(buffer.length, 3);
  t.is(asBuffer(buffer), buffer);
});

test("text that is not UTF-8 is read with U+FFFD in its place", (t) => {
  t.is(new Reader().reset(Buffer.of(3, 0x61, 0xff, 0x62)).string(), "a\ufffdb");
});

const anInt64 = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -300n, max: 300n }));
const anInt32 = fc.oneof(fc.integer(), fc.integer({ min: -300, max: 300 }));

const scalars = fc.record({
  uint32: fc.oneof(fc.nat(0xffff_ffff), fc.nat(300)),
  int32: anInt32,
  sint32: anInt32,
  int64: anInt64,
  double: fc.double(),
  bool: fc.boolean(),
  string: fc.string({ unit: "grapheme" }),
  bytes: fc.uint8Array({ maxLength: 300 }),
});

test("scalars are read as another library writes them", (t) => {
  const reader = new Reader();
  fc.assert(
    fc.property(scalars, (sent) => {
      const bytes = new BinaryWriter()
        .uint32(sent.uint32)
        .int32(sent.int32)
        .sint32(sent.sint32)
        .int64(sent.int64)
        .double(sent.double)
        .bool(sent.bool)
        .string(sent.string)
        .bytes(sent.bytes)
        .finish();
      reader.reset(asBuffer(bytes));
      assert.equal(reader.uint32(), sent.uint32);
      assert.equal(reader.int32(), sent.int32);
      assert.equal(reader.sint32(), sent.sint32);
      assert.equal(reader.int64(), int64(sent.int64));
      assert.deepEqual(reader.double(), sent.double);
      assert.equal(reader.bool(), sent.bool);
      assert.equal(reader.string(), sent.string);
      const stop = reader.delimited();
      assert.deepEqual([...bytes.subarray(reader.pos, stop)], [...sent.bytes]);
      reader.pos = stop;
      assert.equal(reader.more, false);
    }),
    { numRuns: fuzzRuns(100) },
  );
  t.pass();
});

test("scalars are written so that another library reads them", (t) => {
  const writer = new Writer();
  fc.assert(
    fc.property(scalars, fc.integer({ min: 1, max: 2 ** 29 - 1 }), (sent, field) => {
      writer.reset();
      writer.uint32(field, sent.uint32);
      writer.int32(field, sent.int32);
      writer.sint32(field, sent.sint32);
      writer.int64(field, int64(sent.int64)!);
      writer.double(field, sent.double);
      writer.bool(field, sent.bool);
      writer.string(field, sent.string);
      writer.bytes(field, sent.bytes);
      const reader = new BinaryReader(writer.finish());
      const tag = (type: number) => assert.deepEqual(reader.tag(), [field, type]);
      tag(0);
      assert.equal(reader.uint32(), sent.uint32);
      tag(0);
      assert.equal(reader.int32(), sent.int32);
      tag(0);
      assert.equal(reader.sint32(), sent.sint32);
      tag(0);
      assert.equal(BigInt(reader.int64()), sent.int64);
      tag(1);
      assert.deepEqual(reader.double(), sent.double);
      tag(0);
      assert.equal(reader.bool(), sent.bool);
      tag(2);
      assert.equal(reader.string(), sent.string);
      tag(2);
      assert.deepEqual([...reader.bytes()], [...sent.bytes]);
      assert.equal(reader.pos, reader.len);
    }),
    { numRuns: fuzzRuns(100) },
  );
  t.pass();
});

for (const length of [0, 1, 127, 128, 16_383, 16_384, 100_000, 3_000_000]) {
  test(`a message within a message of ${length} bytes has its length before it`, (t) => {
    const writer = new Writer();
    const outer = writer.open(1);
    const inner = writer.open(2);
    writer.bytes(3, new Uint8Array(length).fill(7));
    writer.close(inner);
    writer.uint32(4, 5);
    writer.close(outer);
    const reader = new BinaryReader(writer.finish());
    t.deepEqual(reader.tag(), [1, 2]);
    t.is(reader.uint32(), reader.len - reader.pos);
    t.deepEqual(reader.tag(), [2, 2]);
    const innerLength = reader.uint32();
    const innerStart = reader.pos;
    t.deepEqual(reader.tag(), [3, 2]);
    const content = reader.bytes();
    t.true(content.length === length && content.every((byte) => byte === 7));
    t.is(reader.pos - innerStart, innerLength);
    t.deepEqual([reader.tag(), reader.uint32()], [[4, 0], 5]);
  });
}

test("a writer begins anew, also after a message that was given up", (t) => {
  const writer = new Writer();
  writer.reset();
  writer.open(1);
  writer.bytes(2, new Uint8Array(200_000));
  writer.reset();
  writer.uint32(1, 1);
  const first = writer.finish();
  writer.reset();
  writer.uint32(1, 2);
  t.deepEqual([...first], [8, 1]);
  t.deepEqual([...writer.finish()], [8, 2]);
});

test("messages that are taken stay as they are while others are written, wherever memory ends", (t) => {
  const write = (writer: Writer, i: number): Writer => {
    writer.reset();
    const outer = writer.open(1);
    writer.bytes(2, Buffer.alloc((i * 7) % 150, i & 0xff));
    const inner = writer.open(3);
    if (i % 3 > 0) writer.uint32(1, i);
    writer.close(inner);
    writer.close(outer);
    // Now and then a message that is given up, and one that is larger than what was there.
    if (i % 50 === 0) write(writer, i + 1);
    if (i % 97 === 0) writer.bytes(4, Buffer.alloc(20_000, 1));
    const empty = writer.open(5);
    writer.close(empty);
    return writer;
  };
  const writer = new Writer();
  const taken = Array.from({ length: 5000 }, (_, i) => write(writer, i).take());
  const wrong = taken.findIndex(
    (message, i) =>
      !write(new Writer(), i)
        .finish()
        .every((byte, at) => byte === message[at]),
  );
  t.is(wrong, -1);
  t.true(taken.every((message, i) => message.length === write(new Writer(), i).finish().length));
});

test("a small message within one that fills its memory to the last byte keeps its content", (t) => {
  const content = Uint8Array.from([0x08, 0x96, 0x01]);
  for (let length = 8100; length < 8200; length++) {
    const writer = new Writer().reset();
    writer.append(new Uint8Array(length));
    const start = writer.open(1);
    writer.append(content);
    writer.close(start);
    t.deepEqual([...writer.take().subarray(length)], [0x0a, content.length, ...content], String(length));
  }
});

test("any tag can be stepped over or is malformed, and reading always comes to an end", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const reader = new Reader().reset(asBuffer(bytes));
      try {
        while (reader.more) {
          const before = reader.pos;
          reader.skip(reader.tag());
          assert.ok(reader.pos > before && reader.pos <= bytes.length);
        }
      } catch (error) {
        if (!(error instanceof WeirError)) throw error;
      }
    }),
    { numRuns: fuzzRuns(3000) },
  );
  t.pass();
});

test("a field is begun as its tag and its length are read one after the other", (t) => {
  const outcome = (read: () => readonly number[]): unknown => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      return error.message;
    }
  };
  const varint = fc.oneof(
    fc.nat(127).map((low) => [low]),
    fc.tuple(fc.nat(127), fc.nat(127)).map(([low, high]) => [low | 0x80, high]),
    fc.tuple(fc.nat(127), fc.nat(127)).map(([low, middle]) => [low | 0x80, middle | 0x80, 0]),
  );
  fc.assert(
    fc.property(varint, varint, fc.nat(300), (tag, length, rest) => {
      const bytes = Buffer.from([...tag, ...length, ...Buffer.alloc(rest)]);
      const steps = outcome(() => {
        const reader = new Reader().reset(bytes);
        const read = reader.tag();
        if ((read & 7) !== 2) return [read, reader.pos];
        const stop = reader.delimited();
        return [read, reader.pos, stop];
      });
      const field = outcome(() => {
        const reader = new Reader().reset(bytes);
        const read = reader.field();
        return (read & 7) === 2 ? [read, reader.pos, reader.valueEnd] : [read, reader.pos];
      });
      t.deepEqual(field, steps);
      const skipped = outcome(() => {
        const reader = new Reader().reset(bytes);
        reader.skip(reader.tag());
        return [reader.pos];
      });
      const passed = outcome(() => {
        const reader = new Reader().reset(bytes);
        reader.pass(reader.field());
        return [reader.pos];
      });
      t.deepEqual(passed, skipped);
    }),
    { numRuns: fuzzRuns(2000) },
  );
});
