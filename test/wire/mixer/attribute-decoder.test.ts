import assert from "node:assert/strict";
import test, { type ExecutionContext } from "ava";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { Bag, emptyMap } from "../../../src/attributes/bag.ts";
import { Fault } from "../../../src/attributes/fault.ts";
import { Ip } from "../../../src/attributes/ip.ts";
import { Layout } from "../../../src/attributes/layout.ts";
import type { AttributeType, Value } from "../../../src/attributes/value.ts";
import { Duration } from "../../../src/attributes/duration.ts";
import { Timestamp } from "../../../src/attributes/timestamp.ts";
import { int64 } from "../../../src/attributes/int64.ts";
import { CompressedAttributes } from "../../../src/wire/gen/istio/mixer/v1/attributes.ts";
import { AttributeDecoder } from "../../../src/wire/mixer/attribute-decoder.ts";
import { globalIndex, globalWords } from "../../../src/wire/mixer/dictionary.ts";
import { WeirError } from "../../../src/util/weir-error.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { hostileBytes } from "../hostile-bytes.ts";
import { compress, encode, type Sent } from "./compress.ts";

/** A layout over attributes, where `name[key]` is one key of a map and `name[*]` the map as a whole. */
function layoutOf(slots: Readonly<Record<string, AttributeType>>): Layout {
  const layout = new Layout();
  for (const [name, type] of Object.entries(slots)) {
    const key = /^(.+)\[(.*)\]$/.exec(name);
    if (key === null) layout.declare(name, type);
    else if (key[2] === "*") layout.declareWhole(key[1]!);
    else layout.declareKey(key[1]!, key[2]!);
  }
  return layout;
}

/** What a bag holds, by the names of {@link layoutOf}; absent slots are left out. */
function contents(bag: Bag): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const slot of bag.layout.slots) {
    const value = bag.peek(slot.index);
    if (value !== undefined) found[slot.key === undefined ? slot.name : `${slot.name}[${slot.key}]`] = value;
  }
  return found;
}

function fill(layout: Layout, message: CompressedAttributes | Buffer, bag = new Bag(layout)): Bag {
  const bytes = Buffer.isBuffer(message) ? message : encode(message);
  new AttributeDecoder().fill(bag, bytes, 0, bytes.length);
  return bag;
}

function isMalformed(t: ExecutionContext, run: () => void, message?: RegExp): void {
  const error = t.throws(run, { instanceOf: WeirError, ...(message && { message }) });
  t.is(error?.code, "WEIR_REQUEST_MALFORMED");
}

test("the global dictionary has 222 words, and four of them with their quotes", (t) => {
  t.is(globalWords.length, 222);
  t.is(new Set(globalWords).size, 222);
  t.is(globalWords[0], "source.ip");
  t.is(globalWords[221], "context.proxy_version");
  t.deepEqual(
    [94, 111, 112, 218].map((i) => globalWords[i]),
    ["'200'", "'0'", "'1'", '"-"'],
  );
  t.deepEqual(
    ["200", "0", "1", "-"].map((word) => globalIndex.get(word)),
    [136, 134, 135, undefined],
  );
});

const values: [name: string, type: AttributeType, sent: Sent, value: unknown][] = [
  ["source.namespace", "string", { string: "default" }, "default"],
  ["request.scheme", "string", { string: "http" }, "http"],
  ["request.reason", "uri", { string: "http://a/" }, "http://a/"],
  ["request.reason", "email", { string: "a@b.c" }, "a@b.c"],
  ["request.host", "dns_name", { string: "b.c" }, "b.c"],
  ["source.namespace", "string", { string: "" }, ""],
  ["source.namespace", "string", { string: "größe 🦦" }, "größe 🦦"],
  ["response.code", "int64", { int64: 200n }, 200],
  ["response.code", "int64", { int64: -1n }, -1],
  ["response.code", "int64", { int64: 9007199254740991n }, 9007199254740991],
  ["response.code", "int64", { int64: 9007199254740993n }, 9007199254740993n],
  ["response.code", "int64", { int64: -(2n ** 63n) }, -(2n ** 63n)],
  ["own.ratio", "double", { double: 0.1 }, 0.1],
  ["own.ratio", "double", { double: NaN }, NaN],
  ["own.ratio", "double", { double: -Infinity }, -Infinity],
  ["connection.mtls", "bool", { bool: true }, true],
  ["connection.mtls", "bool", { bool: false }, false],
  ["request.time", "timestamp", { timestamp: [1542000000n, 5] }, Timestamp.of(1542000000, 5)],
  ["request.time", "timestamp", { timestamp: [-1n, 999_999_999] }, Timestamp.of(-1, 999_999_999)],
  ["response.duration", "duration", { duration: [-1n, -5] }, Duration.of(-1, -5)],
  ["source.ip", "ip", { bytes: [10, 0, 0, 1] }, Ip.parse("10.0.0.1")],
  ["source.ip", "ip", { bytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1] }, Ip.parse("10.0.0.1")],
  ["source.ip", "ip", { bytes: [32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] }, Ip.parse("2001:db8::1")],
  ["own.token", "bytes", { bytes: [0, 255] }, Uint8Array.of(0, 255)],
  ["own.token", "bytes", { bytes: [] }, Uint8Array.of()],
];
for (const [name, type, sent, value] of values) {
  const shown = JSON.stringify(Object.values(sent)[0], (_, v: unknown) =>
    typeof v === "bigint" || typeof v === "number" ? String(v) : v,
  );
  test(`a value arrives as it was sent: ${type} ${shown}`, (t) => {
    t.deepEqual(contents(fill(layoutOf({ [name]: type }), compress({ [name]: sent }))), { [name]: value });
  });
}

test("what no rule reads is stepped over", (t) => {
  const message = compress({
    "source.name": { string: "a" },
    "request.headers": { map: { host: "b" } },
    "own.x": { int64: 1n },
  });
  t.deepEqual(contents(fill(layoutOf({ "source.uid": "string" }), message)), {});
});

test("an attribute may be named by a word of the message", (t) => {
  const message = compress({ "own.plan": { string: "gold" } });
  t.deepEqual(message.words, ["own.plan", "gold"]);
  t.deepEqual(contents(fill(layoutOf({ "own.plan": "string" }), message)), { "own.plan": "gold" });
});

test("of a map, the keys that rules read get their slots and the map is known to be there", (t) => {
  const message = compress({ "request.headers": { map: { host: "a", "x-user": "ann", cookie: "c" } } });
  const layout = layoutOf({
    "request.headers[x-user]": "string",
    "request.headers[host]": "string",
    "request.headers[x-none]": "string",
  });
  const bag = fill(layout, message);
  t.deepEqual(contents(bag), {
    "request.headers": emptyMap,
    "request.headers[x-user]": "ann",
    "request.headers[host]": "a",
  });
  t.is(bag.peek(layout.find("request.headers")!), emptyMap);
});

test("a map that a rule reads as a whole is kept whole", (t) => {
  const message = compress({ "request.headers": { map: { host: "a", "x-user": "ann" } } });
  const layout = layoutOf({ "request.headers[x-user]": "string", "request.headers[*]": "string_map" });
  t.deepEqual(contents(fill(layout, message)), {
    "request.headers": new Map([
      ["host", "a"],
      ["x-user", "ann"],
    ]),
    "request.headers[x-user]": "ann",
  });
});

test("a map that is absent leaves its slot and those of its keys absent", (t) => {
  t.deepEqual(contents(fill(layoutOf({ "request.headers[x-user]": "string" }), compress({}))), {});
});

test("the empty word can be a value and a key", (t) => {
  const message = compress({ "request.headers": { map: { "": "x" } }, "source.uid": { string: "" } });
  const layout = layoutOf({ "request.headers[]": "string", "source.uid": "string" });
  t.deepEqual(contents(fill(layout, message)), {
    "request.headers": emptyMap,
    "request.headers[]": "x",
    "source.uid": "",
  });
});

const wrongTypes: [name: string, type: AttributeType, sent: Sent][] = [
  ["source.ip", "ip", { string: "10.0.0.1" }],
  ["source.ip", "ip", { int64: 1n }],
  ["request.time", "timestamp", { string: "2026-01-01T00:00:00Z" }],
  ["request.time", "timestamp", { duration: [1n, 0] }],
  ["request.headers", "string_map", { string: "x" }],
  ["source.namespace", "string", { bytes: [97] }],
  ["source.namespace", "string", { map: {} }],
  ["response.code", "int64", { double: 200 }],
  ["own.ratio", "double", { int64: 1n }],
  ["connection.mtls", "bool", { int64: 1n }],
];
for (const [name, type, sent] of wrongTypes) {
  test(`a value of another type is a fault of that attribute alone: ${name} as ${Object.keys(sent)[0]}`, (t) => {
    const bag = fill(
      layoutOf({ [name]: type, "destination.uid": "string" }),
      compress({ [name]: sent, "destination.uid": { string: "d" } }),
    );
    const held = bag.peek(0);
    t.true(held instanceof Fault);
    t.regex((held as Fault).message, new RegExp(`^${name.replace(".", "\\.")} should be of type ${type}`));
    t.is(bag.peek(1), "d");
  });
}

test("a map that came with another type is a fault of all its keys", (t) => {
  const bag = fill(
    layoutOf({ "request.headers[a]": "string", "request.headers[b]": "string" }),
    compress({ "request.headers": { string: "x" } }),
  );
  for (const slot of bag.layout.slots) t.true(bag.peek(slot.index) instanceof Fault);
});

test("values that their type cannot hold are faults", (t) => {
  const layout = layoutOf({ "source.ip": "ip", "request.time": "timestamp", "response.duration": "duration" });
  const bag = fill(
    layout,
    compress({
      "source.ip": { bytes: [1, 2, 3] },
      "request.time": { timestamp: [2n ** 62n, 0] },
      "response.duration": { duration: [1n, -1] },
    }),
  );
  for (const slot of layout.slots) t.true(bag.peek(slot.index) instanceof Fault, slot.name);
});

test("a value index that points nowhere makes the attribute absent, and is counted", (t) => {
  const decoder = new AttributeDecoder();
  const layout = layoutOf({ "source.uid": "string", "source.name": "string" });
  for (const nowhere of [-2, 222, 2 ** 31 - 1, -(2 ** 31)]) {
    const message = CompressedAttributes.fromPartial({ words: ["w"] });
    message.strings.set(globalIndex.get("source.uid")!, nowhere).set(globalIndex.get("source.name")!, -1);
    const bag = new Bag(layout);
    const bytes = encode(message);
    decoder.fill(bag, bytes, 0, bytes.length);
    t.deepEqual(contents(bag), { "source.name": "w" });
  }
  t.is(decoder.dropped, 4);
});

test("a name index that points nowhere is ignored", (t) => {
  const message = compress({ "source.uid": { string: "u" } });
  message.strings.set(222, 0).set(-9, 0);
  message.int64s.set(-(2 ** 31), 1n);
  t.deepEqual(contents(fill(layoutOf({ "source.uid": "string" }), message)), { "source.uid": "u" });
});

for (const [what, key, value] of [
  ["key", 500, 0],
  ["value", 40, -500],
] as const) {
  test(`a string map with a ${what} that points nowhere is absent as a whole`, (t) => {
    const message = compress({ "request.headers": { map: { host: "a" } }, "source.uid": { string: "u" } });
    message.stringMaps.get(globalIndex.get("request.headers")!)!.entries.set(key, value);
    const layout = layoutOf({
      "request.headers[host]": "string",
      "request.headers[*]": "string_map",
      "source.uid": "string",
    });
    t.deepEqual(contents(fill(layout, message)), { "source.uid": "u" });
  });
}

test("where a message repeats a global word, the message's index wins and the global one means nothing", (t) => {
  const layout = layoutOf({ "source.uid": "string", "request.headers[host]": "string" });
  const uid = globalIndex.get("source.uid")!;
  const host = globalIndex.get("host")!;
  const message = CompressedAttributes.fromPartial({ words: ["source.uid", "mine", "global", "host"] });
  message.strings.set(-1, -2).set(uid, -3);
  message.stringMaps.set(globalIndex.get("request.headers")!, {
    entries: new Map([
      [-4, -2],
      [host, -3],
    ]),
  });
  const expected = { "source.uid": "mine", "request.headers": emptyMap, "request.headers[host]": "mine" };
  t.deepEqual(contents(fill(layout, message)), expected);

  message.strings.delete(-1);
  message.stringMaps.get(globalIndex.get("request.headers")!)!.entries.delete(-4);
  t.deepEqual(contents(fill(layout, message)), { "request.headers": emptyMap });
});

test("of an attribute in several typed maps the first counts: strings, string_maps, int64s, doubles, bools, timestamps, durations, bytes", (t) => {
  const all: [Sent, AttributeType][] = [
    [{ string: "s" }, "string"],
    [{ map: {} }, "string_map"],
    [{ int64: 1n }, "int64"],
    [{ double: 1 }, "double"],
    [{ bool: true }, "bool"],
    [{ timestamp: [1n, 0] }, "timestamp"],
    [{ duration: [1n, 0] }, "duration"],
    [{ bytes: [1] }, "bytes"],
  ];
  for (const [first, [, type]] of all.entries()) {
    const chunks = all.slice(first).map(([sent]) => encode(compress({ "source.uid": sent }, ["s"])));
    chunks.push(encode(CompressedAttributes.fromPartial({ words: ["s"] })));
    for (const bytes of [Buffer.concat(chunks), Buffer.concat(chunks.reverse())]) {
      const held = fill(layoutOf({ "source.uid": type }), bytes).peek(0);
      t.false(held instanceof Fault || held === undefined, type);
      if (first > 0) t.true(fill(layoutOf({ "source.uid": "string" }), bytes).peek(0) instanceof Fault);
    }
  }
});

test("words may come after the attributes that use them", (t) => {
  const message = compress({ "own.plan": { string: "gold" }, "request.headers": { map: { "x-user": "ann" } } });
  const { words } = message;
  message.words = [];
  const bytes = Buffer.concat([encode(message), encode(CompressedAttributes.fromPartial({ words }))]);
  const layout = layoutOf({ "own.plan": "string", "request.headers[x-user]": "string" });
  t.deepEqual(contents(fill(layout, bytes)), {
    "own.plan": "gold",
    "request.headers": emptyMap,
    "request.headers[x-user]": "ann",
  });
});

test("a message without words of its own uses the shared ones, one that has some only those", (t) => {
  const layout = layoutOf({ "own.plan": "string", "source.uid": "string" });
  const decoder = new AttributeDecoder();
  const shared = decoder.createWords();
  shared.addText("own.plan");
  shared.addText("gold");
  const bag = new Bag(layout);
  const sharing = encode(compress({ "own.plan": { string: "gold" } }, ["own.plan", "gold"]));
  decoder.fill(bag, sharing, 0, sharing.length, shared);
  t.deepEqual(contents(bag), { "own.plan": "gold" });

  const own = CompressedAttributes.fromPartial({ words: ["u"] });
  own.strings.set(globalIndex.get("source.uid")!, -1).set(-2, -1);
  const bytes = encode(own);
  decoder.fill(bag, bytes, 0, bytes.length, shared);
  t.deepEqual(contents(bag), { "source.uid": "u" });
});

test("bytes that are not UTF-8 become U+FFFD", (t) => {
  const bytes = Buffer.concat([
    Buffer.from([0x0a, 3, 0x61, 0xff, 0x62, 0x12, 4, 0x08, globalIndex.get("source.uid")! * 2, 0x10, 1]),
  ]);
  t.deepEqual(contents(fill(layoutOf({ "source.uid": "string" }), bytes)), { "source.uid": "a\ufffdb" });
});

test("the path as received is left out where the path of the URL is brought and no rule reads it", (t) => {
  const both = { "request.path": { string: "/a?b" }, "request.url_path": { string: "/a" } };
  const derived = layoutOf({ "request.url_path": "string" });
  t.deepEqual(contents(fill(derived, compress(both))), { "request.url_path": "/a" });
  t.deepEqual(contents(fill(derived, compress({ "request.path": both["request.path"] }))), { "request.path": "/a?b" });
  const read = layoutOf({ "request.url_path": "string", "request.path": "string" });
  t.deepEqual(contents(fill(read, compress(both))), { "request.url_path": "/a", "request.path": "/a?b" });
  const params = layoutOf({ "request.url_path": "string", "request.query_params": "string_map" });
  t.deepEqual(contents(fill(params, compress(both))), { "request.url_path": "/a", "request.path": "/a?b" });
});

test("a record laid over another has the path as received where no record has brought the path of the URL", (t) => {
  const layout = layoutOf({ "request.url_path": "string" });
  const decoder = new AttributeDecoder();
  const lay = (bag: Bag, message: CompressedAttributes): Record<string, unknown> => {
    const bytes = encode(message);
    decoder.change(bag, bytes, 0, bytes.length);
    return contents(bag);
  };
  const bag = new Bag(layout);
  t.deepEqual(lay(bag, compress({ "request.path": { string: "/a?b" } })), { "request.path": "/a?b" });
  const brought = lay(bag, compress({ "request.url_path": { string: "/c" } }));
  t.is(brought["request.url_path"], "/c");
  t.is(lay(bag, compress({ "request.path": { string: "/d" } }))["request.url_path"], "/c");
});

test("filling forgets what the bag held; a malformed message leaves it", (t) => {
  const layout = layoutOf({ "source.uid": "string", "source.name": "string" });
  const bag = fill(layout, compress({ "source.uid": { string: "u" } }));
  const good = encode(compress({ "source.name": { string: "n" } }));
  isMalformed(t, () => fill(layout, good.subarray(0, good.length - 1), bag));
  t.deepEqual(contents(bag), { "source.uid": "u" });
  t.deepEqual(contents(fill(layout, good, bag)), { "source.name": "n" });
});

test("a change is laid over what the bag holds; a map is replaced as a whole", (t) => {
  const layout = layoutOf({
    "source.uid": "string",
    "response.code": "int64",
    "request.headers[a]": "string",
    "request.headers[b]": "string",
  });
  const decoder = new AttributeDecoder();
  const bag = fill(
    layout,
    compress({
      "source.uid": { string: "u" },
      "response.code": { int64: 200n },
      "request.headers": { map: { a: "1", b: "2" } },
    }),
  );
  const change = encode(compress({ "response.code": { int64: 404n }, "request.headers": { map: { b: "3" } } }));
  decoder.change(bag, change, 0, change.length);
  t.deepEqual(contents(bag), {
    "source.uid": "u",
    "response.code": 404,
    "request.headers": emptyMap,
    "request.headers[b]": "3",
  });
});

const uid = globalIndex.get("source.uid")!;
const malformedChanges: [what: string, spoil: (message: CompressedAttributes) => void][] = [
  ["a value that points nowhere", (m) => m.strings.set(uid, -99)],
  ["a name that points nowhere", (m) => m.int64s.set(-99, 1n)],
  ["a name beyond the global words", (m) => m.int64s.set(222, 1n)],
  ["an attribute with two types", (m) => m.int64s.set(uid, 1n)],
  ["a map's key that points nowhere", (m) => m.stringMaps.set(15, { entries: new Map([[-99, 1]]) })],
];
for (const [what, spoil] of malformedChanges) {
  test(`a change with ${what} is malformed and changes nothing`, (t) => {
    const layout = layoutOf({ "response.code": "int64", "source.uid": "string", "request.headers[a]": "string" });
    const bag = fill(layout, compress({ "response.code": { int64: 1n } }));
    const message = compress({ "response.code": { int64: 2n }, "source.uid": { string: "u" } });
    spoil(message);
    const bytes = encode(message);
    isMalformed(t, () => new AttributeDecoder().change(bag, bytes, 0, bytes.length));
    t.deepEqual(contents(bag), { "response.code": 1 });
  });
}

test("one decoder serves layouts in turn", (t) => {
  const decoder = new AttributeDecoder();
  const bytes = encode(
    compress({
      "source.uid": { string: "u" },
      "own.plan": { string: "p" },
      "request.headers": { map: { "x-a": "1" } },
    }),
  );
  const layouts = [
    layoutOf({ "own.plan": "string" }),
    layoutOf({ "request.headers[x-a]": "string", "source.uid": "string" }),
  ];
  for (let i = 0; i < 4; i++) {
    const bag = new Bag(layouts[i % 2]!);
    decoder.fill(bag, bytes, 0, bytes.length);
    t.deepEqual(
      contents(bag),
      i % 2 === 0
        ? { "own.plan": "p" }
        : { "source.uid": "u", "request.headers": emptyMap, "request.headers[x-a]": "1" },
    );
  }
});

test("a map of 100,000 keys is read", (t) => {
  const map = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, "v"]));
  const words = [...Object.keys(map), "v"];
  const entries = new Map(Object.keys(map).map((_, i): [number, number] => [-i - 1, -words.length]));
  const message = CompressedAttributes.fromPartial({ words, stringMaps: new Map([[15, { entries }]]) });
  const layout = layoutOf({ "request.headers[k99999]": "string", "request.headers[*]": "string_map" });
  const bag = fill(layout, message);
  t.is(bag.peek(layout.keysOf("request.headers")!.get("k99999")!), "v");
  t.is((bag.peek(layout.find("request.headers")!) as Map<string, string>).size, 100_000);
});

// What follows holds the decoder against generated code, which decodes whole messages, and a plain reading of the rules.

const typeNames: readonly AttributeType[] = [
  "string",
  "int64",
  "double",
  "bool",
  "timestamp",
  "duration",
  "ip",
  "bytes",
  "string_map",
];
const someNames = [
  "source.uid",
  "source.ip",
  "request.headers",
  "request.time",
  "context.proxy_version",
  "own.a",
  "own.b",
];
const someKeys = ["host", "x-user", "source.uid", "", "user-agent"];
const someWords = [...new Set([...someNames, ...someKeys, "GET", "value", "другое"])];

interface Field {
  readonly write: (writer: BinaryWriter) => void;
}

const index = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -someWords.length, max: -1 }) },
  { weight: 6, arbitrary: fc.constantFrom(...someWords.map((w) => globalIndex.get(w)).filter((i) => i !== undefined)) },
  { weight: 1, arbitrary: fc.constantFrom(221, 222, 1_000_000, -1000, -(2 ** 31), 2 ** 31 - 1) },
);

function entry(field: number, valueFirst: boolean, key: number, value: (w: BinaryWriter) => void): Field {
  return {
    write(writer) {
      writer.uint32((field << 3) | 2).fork();
      if (valueFirst) value(writer);
      writer.uint32(8).sint32(key);
      if (!valueFirst) value(writer);
      writer.join();
    },
  };
}

const instant = fc.tuple(fc.bigInt({ min: -(2n ** 40n), max: 2n ** 40n }), fc.integer({ min: -5, max: 999_999_999 }));

const field: fc.Arbitrary<Field> = fc.tuple(index, fc.boolean()).chain(([key, valueFirst]) =>
  fc.oneof(
    index.map((value) => entry(2, valueFirst, key, (w) => w.uint32(16).sint32(value))),
    fc
      .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
      .map((value) => entry(3, valueFirst, key, (w) => w.uint32(16).int64(value))),
    fc.double().map((value) => entry(4, valueFirst, key, (w) => w.uint32(17).double(value))),
    fc.boolean().map((value) => entry(5, valueFirst, key, (w) => w.uint32(16).bool(value))),
    fc
      .tuple(fc.constantFrom(6, 7), instant)
      .map(([number, [seconds, nanos]]) =>
        entry(number, valueFirst, key, (w) =>
          w.uint32(18).fork().uint32(8).int64(seconds).uint32(16).int32(nanos).join(),
        ),
      ),
    fc.uint8Array({ maxLength: 17 }).map((value) => entry(8, valueFirst, key, (w) => w.uint32(18).bytes(value))),
    fc.uniqueArray(fc.tuple(index, index), { maxLength: 6, selector: ([key]) => key }).map((pairs) =>
      entry(9, valueFirst, key, (w) => {
        w.uint32(18).fork();
        for (const [k, v] of pairs) entry(1, false, k, (inner) => inner.uint32(16).sint32(v)).write(w);
        w.join();
      }),
    ),
  ),
);

const layouts = fc.dictionary(
  fc.constantFrom(
    ...someNames.filter((name) => name !== "request.headers"),
    ...someKeys.map((key) => `request.headers[${key}]`),
    "request.headers[*]",
  ),
  fc.constantFrom(...typeNames),
);

/** The rules read slowly: names looked up in the message's words and then globally, typed maps in their order. */
function expected(layout: Layout, message: CompressedAttributes): Record<string, unknown> {
  const own = (word: string) => message.words.indexOf(word);
  const indexOf = (word: string) => (own(word) >= 0 ? -own(word) - 1 : globalIndex.get(word));
  const wordOf = (i: number) => (i >= 0 ? globalWords[i] : message.words[-i - 1]);
  const wire: [type: AttributeType, map: ReadonlyMap<number, unknown>][] = [
    ["string", message.strings],
    ["string_map", message.stringMaps],
    ["int64", message.int64s],
    ["double", message.doubles],
    ["bool", message.bools],
    ["timestamp", message.timestamps],
    ["duration", message.durations],
    ["bytes", message.bytes],
  ];
  const result: Record<string, unknown> = {};
  for (const slot of layout.slots) {
    if (slot.key !== undefined) continue;
    const at = indexOf(slot.name);
    const found = at === undefined ? undefined : wire.find(([, map]) => map.has(at));
    if (found === undefined) continue;
    const [type, sent] = [found[0], found[1].get(at!)];
    const keys = layout.keysOf(slot.name) ?? new Map<string, number>();
    if (type !== (slot.type === "ip" ? "bytes" : slot.type)) {
      result[slot.name] = "fault";
      for (const key of keys.keys()) result[`${slot.name}[${key}]`] = "fault";
      continue;
    }
    if (type !== "string_map") {
      const value = scalar(slot.type, sent, wordOf);
      if (value !== undefined) result[slot.name] = value;
      continue;
    }
    const entries = [...(sent as { entries: Map<number, number> }).entries];
    if (entries.some(([k, v]) => wordOf(k) === undefined || wordOf(v) === undefined)) continue;
    const whole = new Map<string, string>();
    for (const [k, v] of entries) if (k === indexOf(wordOf(k)!)) whole.set(wordOf(k)!, wordOf(v)!);
    result[slot.name] = layout.isWhole(slot.index) ? whole : emptyMap;
    for (const key of keys.keys()) if (whole.has(key)) result[`${slot.name}[${key}]`] = whole.get(key);
  }
  return result;
}

function scalar(
  type: AttributeType,
  sent: unknown,
  wordOf: (i: number) => string | undefined,
): Value | "fault" | undefined {
  switch (type) {
    case "string":
      return wordOf(sent as number);
    case "int64":
      return int64(sent as bigint)!;
    case "timestamp":
    case "duration": {
      const { seconds, nanos } = sent as { seconds: bigint; nanos: number };
      return (type === "timestamp" ? Timestamp : Duration).of(Number(seconds), nanos) ?? "fault";
    }
    case "ip":
      return Ip.fromBytes(sent as Uint8Array) ?? "fault";
    case "bytes":
      return Uint8Array.from(sent as Uint8Array);
    default:
      return sent as number | boolean;
  }
}

function withFaultsNamed(found: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(found).map(([k, v]) => [k, v instanceof Fault ? "fault" : v]));
}

/** Messages with their words and typed maps in any order; the words keep theirs. */
const messages = fc
  .tuple(fc.shuffledSubarray(someWords), fc.array(field, { maxLength: 12 }), fc.infiniteStream(fc.boolean()))
  .map(([words, fields, wordNext]) => {
    const writer = new BinaryWriter();
    const left = [...words];
    const rest = [...fields];
    while (left.length + rest.length > 0) {
      if (rest.length === 0 || (left.length > 0 && wordNext.next().value)) writer.uint32(10).string(left.shift()!);
      else rest.shift()!.write(writer);
    }
    return Buffer.from(writer.finish()).toString("hex");
  });

test("any message decodes to what generated code and the rules say, whatever the order of its fields", (t) => {
  const decoder = new AttributeDecoder();
  fc.assert(
    fc.property(layouts, messages, (slots, hex) => {
      const layout = layoutOf(slots);
      const bytes = Buffer.from(hex, "hex");
      const bag = new Bag(layout);
      decoder.fill(bag, bytes, 0, bytes.length);
      assert.deepStrictEqual(withFaultsNamed(contents(bag)), expected(layout, CompressedAttributes.decode(bytes)));
    }),
    { numRuns: fuzzRuns(1500) },
  );
  t.pass();
});

test("any bytes are attributes or malformed", (t) => {
  const decoder = new AttributeDecoder();
  const real = encode(
    compress({
      "source.uid": { string: "u" },
      "source.ip": { bytes: [1, 2, 3, 4] },
      "request.headers": { map: { host: "h", "x-user": "ann" } },
      "request.time": { timestamp: [1n, 2] },
      "own.a": { int64: 5n },
      "own.b": { double: 0.5 },
    }),
  );
  const layout = layoutOf({
    "source.uid": "string",
    "source.ip": "ip",
    "request.time": "timestamp",
    "own.a": "int64",
    "own.b": "double",
    "request.headers[host]": "string",
    "request.headers[*]": "string_map",
  });
  let refused = 0;
  fc.assert(
    fc.property(hostileBytes(real), fc.boolean(), (bytes, isChange) => {
      const bag = new Bag(layout);
      try {
        if (isChange) decoder.change(bag, bytes, 0, bytes.length);
        else decoder.fill(bag, bytes, 0, bytes.length);
      } catch (error) {
        if (!(error instanceof WeirError) || error.code !== "WEIR_REQUEST_MALFORMED") throw error;
        refused++;
        assert.deepStrictEqual(contents(bag), {});
      }
    }),
    { numRuns: fuzzRuns(5000) },
  );
  t.true(refused > 0);
});
