import test from "ava";
import fc from "fast-check";
import { KeyTable } from "../../src/wire/key-table.ts";
import { Reader } from "../../src/wire/protobuf/reader.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { hostileBytes } from "./hostile-bytes.ts";

/** Words of few letters, so that many are alike at their ends. */
const word = fc.oneof(
  fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 5 }),
  fc
    .tuple(fc.constantFrom("x-key-", "x-"), fc.string({ maxLength: 3 }), fc.constantFrom("-end", ""))
    .map((each) => each.join("")),
);

/** Bytes in the middle of a larger memory, as those of messages are. */
function amid(bytes: Uint8Array): { readonly view: DataView; readonly start: number; readonly end: number } {
  const memory = Buffer.alloc(bytes.length + 20, 0xee);
  memory.set(bytes, 7);
  return { view: new DataView(memory.buffer, memory.byteOffset, memory.length), start: 7, end: 7 + bytes.length };
}

test("a word is found at its position, and nothing else is", (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(word, { maxLength: 40 }), fc.array(word), (words, others) => {
      const table = new KeyTable(words);
      for (const text of [...words, ...others]) {
        const { view, start, end } = amid(Buffer.from(text));
        t.is(table.find(view, start, end), words.indexOf(text), text);
      }
    }),
    { numRuns: fuzzRuns(300) },
  );
});

test("words that differ in their middle alone are told apart", (t) => {
  const words = Array.from({ length: 500 }, (_, i) => `x-key-${String(i).padStart(4, "0")}-end`);
  const table = new KeyTable(words);
  for (const [index, text] of words.entries()) {
    const { view, start, end } = amid(Buffer.from(text));
    t.is(table.find(view, start, end), index);
  }
});

const entryTag = 0x1a;

const field = (tag: number, bytes: Uint8Array): Buffer => {
  const { length } = bytes;
  const head = length > 0x7f ? [(length & 0x7f) | 0x80, length >>> 7] : [length];
  return Buffer.concat([Buffer.of(tag, ...head), bytes]);
};

interface Entry {
  readonly key: string;
  /** Key, then value, nothing else. */
  readonly isUsual: boolean;
  readonly bytes: Buffer;
}

const entry: fc.Arbitrary<Entry> = fc
  .record({
    key: word,
    before: fc.constantFrom("", "", "", "key", "value", "unknown"),
    after: fc.constantFrom("", "", "", "value", "unknown"),
    length: fc.oneof(fc.nat(20), fc.integer({ min: 100, max: 400 })),
    tag: fc.constantFrom(entryTag, entryTag, entryTag, 0x22),
  })
  .map(({ key, before, after, length, tag }) => {
    const value = field(0x12, Buffer.alloc(length, 0x0a));
    const parts: Record<string, Uint8Array> = {
      "": Buffer.alloc(0),
      key: field(0x0a, Buffer.from("first")),
      value,
      unknown: field(0x3a, Buffer.from("?")),
    };
    const content = Buffer.concat([parts[before]!, field(0x0a, Buffer.from(key)), value, parts[after]!]);
    return { key, isUsual: before === "" && after === "" && tag === entryTag, bytes: field(tag, content) };
  });

test("entries of a map are stepped over up to one that a word is the key of, or that is of another form", (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(word, { maxLength: 5 }), fc.array(entry, { maxLength: 10 }), (words, entries) => {
      const { view, start, end } = amid(Buffer.concat(entries.map(({ bytes }) => bytes)));
      const stop = new KeyTable(words).skipOthers(view, start, end, entryTag);
      let pos = start;
      for (const { key, isUsual, bytes } of entries) {
        if (pos === stop) return;
        t.true(isUsual && !words.includes(key), key);
        pos += bytes.length;
      }
      t.is(pos, stop);
    }),
    { numRuns: fuzzRuns(500) },
  );
});

test("without words all entries of the usual form with keys of three bytes and more are stepped over", (t) => {
  const parts = ["abc", "abcd", "x".repeat(127)].flatMap((key) =>
    [0, 1, 127, 128, 300].map((length) =>
      field(entryTag, Buffer.concat([field(0x0a, Buffer.from(key)), field(0x12, Buffer.alloc(length))])),
    ),
  );
  const { view, start, end } = amid(Buffer.concat(parts));
  t.is(new KeyTable([]).skipOthers(view, start, end, entryTag), end);
});

test("of any bytes whole fields are stepped over, and none beyond the end", (t) => {
  const good = Buffer.concat(
    ["abc", "x-long-key", "k"].map((key) =>
      field(entryTag, Buffer.concat([field(0x0a, Buffer.from(key)), field(0x12, Buffer.alloc(130))])),
    ),
  );
  const table = new KeyTable(["x-key"]);
  fc.assert(
    fc.property(hostileBytes(good), fc.boolean(), (bytes, isTight) => {
      const memory = isTight ? { view: viewOver(bytes), start: 0, end: bytes.length } : amid(bytes);
      const stop = table.skipOthers(memory.view, memory.start, memory.end, entryTag) - memory.start;
      const reader = new Reader().reset(bytes);
      while (reader.pos < stop) {
        t.is(reader.field(), entryTag);
        reader.pass(entryTag);
      }
      t.is(reader.pos, stop);
    }),
    { numRuns: fuzzRuns(1000) },
  );
});

/** A view that ends where the bytes end. */
function viewOver(bytes: Uint8Array): DataView {
  return new DataView(Uint8Array.from(bytes).buffer);
}
