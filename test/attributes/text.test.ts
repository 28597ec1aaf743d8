import test from "ava";
import fc from "fast-check";
import { Duration } from "../../src/attributes/duration.ts";
import { int64, maxInt64, minInt64 } from "../../src/attributes/int64.ts";
import { Ip } from "../../src/attributes/ip.ts";
import { formatValue, parseJsonValue, parseValue } from "../../src/attributes/text.ts";
import { Timestamp } from "../../src/attributes/timestamp.ts";
import { attributeTypes, type AttributeType, type Value } from "../../src/attributes/value.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

const texts: [type: AttributeType, text: string, value: Value | undefined][] = [
  ["string", "", ""],
  ["string", "true", "true"],
  ["email", "a@b", "a@b"],
  ["uri", "http://x", "http://x"],
  ["dns_name", "x.y", "x.y"],
  ["int64", "0", 0],
  ["int64", "-0", 0],
  ["int64", "+7", 7],
  ["int64", "9007199254740991", 9007199254740991],
  ["int64", "9007199254740992", 9007199254740992n],
  ["int64", "-9223372036854775808", minInt64],
  ["int64", "9223372036854775807", maxInt64],
  ["int64", "9223372036854775808", undefined],
  ["int64", "1.0", undefined],
  ["int64", "1e3", undefined],
  ["int64", "0x10", undefined],
  ["int64", " 1", undefined],
  ["int64", "", undefined],
  ["int64", "9".repeat(100_000), undefined],
  ["double", "1.5", 1.5],
  ["double", ".5", 0.5],
  ["double", "5.", 5],
  ["double", "-1e-3", -0.001],
  ["double", "-0", -0],
  ["double", "NaN", NaN],
  ["double", "Infinity", Infinity],
  ["double", "-Infinity", -Infinity],
  ["double", "1e999", Infinity],
  ["double", "nan", undefined],
  ["double", "0x1", undefined],
  ["double", "", undefined],
  ["double", ".", undefined],
  ["bool", "true", true],
  ["bool", "false", false],
  ["bool", "TRUE", undefined],
  ["bool", "1", undefined],
  ["timestamp", "2026-11-21T09:00:00.5+01:00", Timestamp.of(1795248000, 500_000_000)],
  ["timestamp", "2026-11-21", undefined],
  ["timestamp", "2026-02-30T00:00:00Z", undefined],
  ["duration", "1.5s", Duration.of(1, 500_000_000)],
  ["duration", "-250ms", Duration.of(0, -250_000_000)],
  ["duration", "1h30m", Duration.of(5400, 0)],
  ["duration", "1", undefined],
  ["ip", "10.0.0.1", Ip.fromBytes(Uint8Array.of(10, 0, 0, 1))],
  ["ip", "0a000001", Ip.fromBytes(Uint8Array.of(10, 0, 0, 1))],
  ["ip", "::ffff:10.0.0.1", Ip.fromBytes(Uint8Array.of(10, 0, 0, 1))],
  ["ip", "00000000000000000000ffff0A000001", Ip.fromBytes(Uint8Array.of(10, 0, 0, 1))],
  ["ip", "2001:db8::1", Ip.parse("2001:0DB8:0:0:0:0:0:1")],
  ["ip", "10.0.0.1/8", undefined],
  ["ip", "10.0.0.256", undefined],
  ["ip", "010.0.0.1", undefined],
  ["ip", "fe80::1%eth0", undefined],
  ["bytes", "", Uint8Array.of()],
  ["bytes", "0aFF", Uint8Array.of(10, 255)],
  ["bytes", "0", undefined],
  ["bytes", "zz", undefined],
  ["bytes", "base64:Cv8=", Uint8Array.of(10, 255)],
  ["bytes", "base64:Cv8", Uint8Array.of(10, 255)],
  ["bytes", "base64:-_-_", Uint8Array.of(251, 255, 191)],
  ["bytes", "base64:+/+/", Uint8Array.of(251, 255, 191)],
  ["bytes", "base64:C", undefined],
  ["bytes", "base64:C v8", undefined],
  [
    "string_map",
    '{"a":"1","__proto__":"2"}',
    new Map([
      ["a", "1"],
      ["__proto__", "2"],
    ]),
  ],
  ["string_map", "{}", new Map()],
  ["string_map", '{"a":1}', undefined],
  ["string_map", '["a"]', undefined],
  ["string_map", "null", undefined],
  ["string_map", "{", undefined],
];
for (const [type, text, value] of texts) {
  const shown = text.length > 60 ? `${text.slice(0, 20)}... of ${text.length}` : text;
  test(`text of type ${type}: ${JSON.stringify(shown)}`, (t) => {
    t.deepEqual(parseValue(type, text), value);
  });
}

const jsons: [type: AttributeType, json: unknown, value: Value | undefined][] = [
  ["string", "x", "x"],
  ["string", 1, undefined],
  ["string", null, undefined],
  ["int64", 5, 5],
  ["int64", -0, 0],
  ["int64", "5", 5],
  ["int64", "9223372036854775807", maxInt64],
  ["int64", 9007199254740992, undefined],
  ["int64", 1.5, undefined],
  ["int64", NaN, undefined],
  ["int64", Infinity, undefined],
  ["int64", true, undefined],
  ["double", 1, 1],
  ["double", NaN, NaN],
  ["double", "NaN", NaN],
  ["double", "1.5", 1.5],
  ["double", [1], undefined],
  ["bool", true, true],
  ["bool", "true", undefined],
  ["bool", 1, undefined],
  ["timestamp", "1970-01-01T00:00:00Z", Timestamp.of(0, 0)],
  ["timestamp", 0, undefined],
  ["duration", "1.5s", Duration.of(1, 500_000_000)],
  ["duration", 1.5, undefined],
  ["ip", "10.0.0.1", Ip.parse("10.0.0.1")],
  ["ip", 167772161, undefined],
  ["bytes", "0aff", Uint8Array.of(10, 255)],
  ["string_map", { a: "1" }, new Map([["a", "1"]])],
  ["string_map", JSON.parse('{"__proto__":"x"}'), new Map([["__proto__", "x"]])],
  ["string_map", { a: 1 }, undefined],
  ["string_map", ["a"], undefined],
  ["string_map", null, undefined],
  ["string_map", '{"a":"1"}', undefined],
];
for (const [i, [type, json, value]] of jsons.entries()) {
  test(`JSON ${i} of type ${type}: ${JSON.stringify(json)}`, (t) => {
    t.deepEqual(parseJsonValue(type, json), value);
  });
}

const seconds = fc.integer({ min: -62_135_596_800, max: 253_402_300_799 });
const nanos = fc.nat(999_999_999);
const valueOf: Record<AttributeType, fc.Arbitrary<Value>> = {
  string: fc.string({ unit: "binary" }),
  email: fc.string(),
  uri: fc.string(),
  dns_name: fc.string(),
  int64: fc.bigInt({ min: minInt64, max: maxInt64 }).map((value) => int64(value)!),
  double: fc.double(),
  bool: fc.boolean(),
  timestamp: fc.tuple(seconds, nanos).map(([s, n]) => Timestamp.of(s, n)!),
  duration: fc
    .tuple(fc.nat(315_576_000_000), nanos, fc.constantFrom(1, -1))
    .map(([s, n, sign]) => Duration.of(s * sign + 0, s === 315_576_000_000 ? 0 : n * sign + 0)!),
  ip: fc
    .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
    .map((bytes) => Ip.fromBytes(bytes)!),
  bytes: fc.uint8Array(),
  string_map: fc.array(fc.tuple(fc.string(), fc.string())).map((entries) => new Map(entries)),
};
for (const type of attributeTypes) {
  test(`a value of type ${type} is read back from its text`, (t) => {
    fc.assert(
      fc.property(valueOf[type], (value) => {
        const text = formatValue(value);
        const again = parseValue(type, text);
        if (again === undefined || !same(again, value)) throw new Error(`${text} is read as ${String(again)}`);
        if (formatValue(again) !== text) throw new Error(`${text} is written again as ${formatValue(again)}`);
      }),
      { numRuns: fuzzRuns(100) },
    );
    t.pass();
  });

  test(`any text is a value of type ${type} or none`, (t) => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => void parseValue(type, text)),
      { numRuns: fuzzRuns(100) },
    );
    fc.assert(
      fc.property(fc.anything(), (json) => void parseJsonValue(type, json)),
      { numRuns: fuzzRuns(100) },
    );
    t.pass();
  });
}

function same(a: Value, b: Value): boolean {
  if (a instanceof Map && b instanceof Map) return a.size === b.size && [...a].every(([k, v]) => b.get(k) === v);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  if (a instanceof Timestamp && b instanceof Timestamp) return a.compare(b) === 0;
  if (a instanceof Duration && b instanceof Duration) return a.compare(b) === 0;
  if (a instanceof Ip && b instanceof Ip) return a.equals(b);
  return Object.is(a, b);
}

test("an integer has one form: a number where that is exact, else a bigint", (t) => {
  t.is(int64(5n), 5);
  t.is(int64(2n ** 53n - 1n), 2 ** 53 - 1);
  t.is(int64(2n ** 53n), 2n ** 53n);
  t.is(int64(-(2n ** 53n)), -(2n ** 53n));
  t.is(int64(2n ** 63n), undefined);
  t.is(int64(-(2n ** 63n) - 1n), undefined);
});

test("a map is written with its keys sorted", (t) => {
  t.is(
    formatValue(
      new Map([
        ["b", "2"],
        ["a", '"'],
      ]),
    ),
    '{"a":"\\"","b":"2"}',
  );
});
