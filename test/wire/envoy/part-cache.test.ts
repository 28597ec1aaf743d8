import test from "ava";
import fc from "fast-check";
import { PartCache } from "../../../src/wire/envoy/part-cache.ts";
import { Reader } from "../../../src/wire/protobuf/reader.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

/** Asks a cache for parts that lie somewhere in a larger memory, as those of messages do. */
function asking(places: number): { readonly ask: (part: Uint8Array) => { text: string }; readonly reads: string[] } {
  const reads: string[] = [];
  const cache = new PartCache((reader) => {
    const text = reader.buffer.toString("latin1", reader.pos, reader.end);
    reads.push(text);
    return { text };
  }, places);
  const reader = new Reader();
  const ask = (part: Uint8Array): { text: string } => {
    const memory = Buffer.alloc(part.length + 30, 0xee);
    const buffer = memory.subarray(10);
    buffer.set(part, 7);
    const meaning = cache.of(reader.reset(buffer), new DataView(memory.buffer), buffer.byteOffset, 7, 7 + part.length);
    memory.fill(0);
    return meaning;
  };
  return { ask, reads };
}

test("a part is read once, wherever it lies", (t) => {
  const { ask, reads } = asking(64);
  const part = Buffer.from("a certificate");
  const first = ask(part);
  t.is(first.text, "a certificate");
  t.is(ask(part), first);
  t.is(reads.length, 1);
});

test("a part that comes once pushes out none that comes again and again", (t) => {
  const { ask, reads } = asking(2);
  const parts = ["a", "b", "c", "d"].map((text) => Buffer.from(text));
  for (const part of parts) for (let i = 0; i < 4; i++) ask(part);
  const kept = parts.filter((part) => {
    const before = reads.length;
    ask(part);
    return reads.length === before;
  });
  t.true(kept.length > 0);
  reads.length = 0;
  for (let i = 0; i < 50; i++) ask(Buffer.from(`seldom-${i}`));
  reads.length = 0;
  for (const part of kept) ask(part);
  t.deepEqual(reads, []);
});

test("parts that come by turns are kept as those that come in a row", (t) => {
  const { ask, reads } = asking(256);
  const parts = Array.from({ length: 16 }, (_, i) => Buffer.from(`cluster-${i}`));
  for (let round = 0; round < 10; round++) for (const part of parts) ask(part);
  reads.length = 0;
  for (const part of parts) t.is(ask(part).text, part.toString());
  t.deepEqual(reads, []);
});

test("a part that is too large is read each time", (t) => {
  const { ask, reads } = asking(64);
  const part = Buffer.alloc(4097, 1);
  for (let i = 0; i < 3; i++) t.is(ask(part).text, part.toString("latin1"));
  t.is(reads.length, 3);
});

test("parts that fall on one place push each other out, and none is taken for another", (t) => {
  const parts = fc.array(fc.uint8Array({ maxLength: 6, max: 3 }), { maxLength: 200 });
  fc.assert(
    fc.property(parts, (asked) => {
      const { ask } = asking(2);
      for (const part of asked) t.is(ask(part).text, Buffer.from(part).toString("latin1"));
    }),
    { numRuns: fuzzRuns(50) },
  );
});

test("of long parts that differ in one byte none is taken for another", (t) => {
  const { ask } = asking(64);
  for (const length of [15, 16, 17, 31, 37, 64]) {
    const parts = Array.from({ length }, (_, at) => Buffer.alloc(length, 0x61).fill(0x62, at, at + 1));
    for (let round = 0; round < 3; round++) for (const part of parts) t.is(ask(part).text, part.toString("latin1"));
  }
});
