import {
  type CelInput,
  celEnv,
  isCelError,
  isCelList,
  isCelMap,
  isCelType,
  isCelUint,
  parse,
  plan,
} from "@bufbuild/cel";
import { strings } from "@bufbuild/cel/ext";
import { create } from "@bufbuild/protobuf";
import { isReflectMessage } from "@bufbuild/protobuf/reflect";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import test from "ava";
import fc from "fast-check";
import { Duration } from "../../src/attributes/duration.ts";
import { Fault } from "../../src/attributes/fault.ts";
import { Layout } from "../../src/attributes/layout.ts";
import { Timestamp } from "../../src/attributes/timestamp.ts";
import type { AttributeType, Int64, StringMap, Value } from "../../src/attributes/value.ts";
import type { Attribute } from "../../src/attributes/vocabulary.ts";
import {
  Double,
  type Dynamic,
  TypeValue,
  Uint,
  box,
  isList,
  isMap,
  keysOf,
  lookup,
} from "../../src/expression/dynamic.ts";
import { compileExpression } from "../../src/expression/index.ts";
import { int64, normalize, uint64 } from "../../src/expression/integer.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { fill } from "./subject.ts";

/** Attributes without points in their names, so that the reference takes them for variables. */
const attributes: Readonly<Record<string, AttributeType>> = {
  s1: "string",
  s2: "string",
  i1: "int64",
  i2: "int64",
  d1: "double",
  b1: "bool",
  b2: "bool",
  t1: "timestamp",
  u1: "duration",
  m1: "string_map",
};

const vocabulary = new Map(
  Object.entries(attributes).map(([name, type]): [string, Attribute] => [
    name,
    { name, type, known: "check", description: "" },
  ]),
);

const words = ["", "a", "b", "ab", "7", "-3", "é", "A b"];
const word = fc.constantFrom(...words);
const integer = fc.oneof(
  { weight: 6, arbitrary: fc.bigInt({ min: -3n, max: 12n }) },
  { weight: 1, arbitrary: fc.constantFrom(9007199254740991n, 9007199254740993n, 2n ** 63n - 1n, 1n - 2n ** 63n) },
  { weight: 1, arbitrary: fc.bigInt({ min: 1n - 2n ** 63n, max: 2n ** 63n - 1n }) },
);
const double = fc.constantFrom(0, 1, -1, 1.5, 1e300, -2.25, 9007199254740992);

/**
 * Sources of expressions by type, each well typed by construction. Left out is where the reference strays from the
 * specification: it takes `timestamp(1)` for a millisecond, `int("")` for 0, the hour after midnight in a named zone for
 * the next day's, and replaces nothing in an empty text.
 */
const { bool: anyExpression } = fc.letrec<
  Record<"bool" | "string" | "int" | "uint" | "double" | "list" | "time" | "span", string>
>((tie) => {
  const quoted = word.map((text) => JSON.stringify(text));
  const form = (
    template: string,
    ...kinds: readonly ("bool" | "string" | "int" | "uint" | "double" | "list" | "time" | "span")[]
  ) =>
    fc
      .tuple(...kinds.map((kind) => tie(kind)))
      .map((parts) => template.replaceAll(/#(\d)/g, (_, i: string) => `(${parts[Number(i)]})`));
  const leafy = (leaf: fc.Arbitrary<string>, ...rest: fc.Arbitrary<string>[]) =>
    fc.oneof({ depthSize: "small", withCrossShrink: true }, leaf, ...rest);
  return {
    string: leafy(
      fc.oneof(quoted, fc.constantFrom("s1", "s2", 'm1["a"]', "m1.b", 'm1["none"]')),
      form("#0 + #1", "string", "string"),
      form("#0 ? #1 : #2", "bool", "string", "string"),
      form("m1[#0]", "string"),
      form("string(#0)", "int"),
      form("string(#0)", "bool"),
      form("#0.lowerAscii()", "string"),
      form("#0.substring(#1)", "string", "int"),
      form("#0.replace('a' + #1, #2)", "string", "string", "string"),
    ),
    int: leafy(
      fc.oneof(
        integer.map((value) => (value < 0n ? `(${value})` : `${value}`)),
        fc.constantFrom("i1", "i2"),
      ),
      form("#0 + #1", "int", "int"),
      form("#0 - #1", "int", "int"),
      form("#0 * #1", "int", "int"),
      form("#0 / #1", "int", "int"),
      form("#0 % #1", "int", "int"),
      form("-#0", "int"),
      form("int('7' + #0)", "string"),
      form("int(#0)", "double"),
      form("int(#0)", "uint"),
      form("size(#0)", "string"),
      form("size(#0)", "list"),
      form("#0[#1]", "list", "int"),
      form("#0 ? #1 : #2", "bool", "int", "int"),
      form("#0.getHours()", "time"),
      form("#0.getDayOfYear('-05:30')", "time"),
      form("#0.getSeconds()", "span"),
      form("#0.indexOf(#1)", "string", "string"),
    ),
    uint: leafy(
      integer.filter((value) => value >= 0n).map((value) => `${value}u`),
      form("#0 + #1", "uint", "uint"),
      form("#0 - #1", "uint", "uint"),
      form("#0 % #1", "uint", "uint"),
      form("uint(#0)", "int"),
    ),
    double: leafy(
      fc.oneof(
        double.map((value) => (Number.isInteger(value) ? value.toFixed(1) : String(value))),
        fc.constant("d1"),
      ),
      form("#0 + #1", "double", "double"),
      form("#0 / #1", "double", "double"),
      form("double(#0)", "int"),
    ),
    list: leafy(
      fc.constantFrom("[]", "[1, 2, 3]", "[0, -1]"),
      form("[#0, #1]", "int", "int"),
      form("#0 + #1", "list", "list"),
      form("#0.filter(x, x > #1)", "list", "int"),
      form("#0.map(y, y + #1)", "list", "int"),
    ),
    time: leafy(
      fc.constantFrom("t1", 'timestamp("2026-03-01T10:20:30.5Z")', 'timestamp("1969-12-31T23:59:59.999Z")'),
      form("#0 + #1", "time", "span"),
    ),
    span: leafy(
      fc.constantFrom("u1", 'duration("90m")', 'duration("-1.5s")'),
      form("#0 - #1", "time", "time"),
      form("#0 + #1", "span", "span"),
    ),
    bool: leafy(
      fc.constantFrom("true", "false", "b1", "b2", "has(m1.a)", '"a" in m1', "1 / 0 == 1"),
      form("#0 && #1", "bool", "bool"),
      form("#0 || #1", "bool", "bool"),
      form("#0 && #1 && #2", "bool", "bool", "bool"),
      form("#0 || #1 || #2", "bool", "bool", "bool"),
      form("!#0", "bool"),
      form("#0 == #1", "string", "string"),
      form("#0 != #1", "int", "int"),
      form("#0 == #1", "list", "list"),
      form("#0 < #1", "string", "string"),
      form("#0 <= #1", "int", "int"),
      form("#0 > #1", "double", "int"),
      form("#0 >= #1", "uint", "int"),
      form("dyn(#0) == #1", "double", "int"),
      form("dyn(#0) == dyn(#1)", "uint", "int"),
      form("dyn(#0) < dyn(#1)", "int", "int"),
      form("#0 < #1", "time", "time"),
      form("#0 == #1", "span", "span"),
      form("#0.startsWith(#1)", "string", "string"),
      form("#0.contains(#1)", "string", "string"),
      form("#0.matches('^a+b?$')", "string"),
      form("#0 in #1", "int", "list"),
      form('#0 in ["a", "b", ""]', "string"),
      form("#0.all(x, x > #1)", "list", "int"),
      form("#0.exists(x, x == #1)", "list", "int"),
      form("#0.exists_one(x, x == #1)", "list", "int"),
      form("m1.exists(k, m1[k] == #0)", "string"),
      form("type(#0) == type(#1)", "int", "uint"),
      form("[#0, #1][#2] == #0", "bool", "bool", "int"),
      form("{'k': #0}.k == #1", "int", "int"),
    ),
  };
});

const int64Value = integer.map(normalize);

const present: Readonly<Record<string, fc.Arbitrary<Value>>> = {
  s1: word,
  s2: word,
  i1: int64Value,
  i2: int64Value,
  d1: double,
  b1: fc.boolean(),
  b2: fc.boolean(),
  t1: fc.integer({ min: -1e9, max: 2e9 }).map((seconds) => Timestamp.of(seconds, 500_000_000)!),
  u1: fc.integer({ min: -100_000, max: 100_000 }).map((ms) => Duration.fromMs(ms)!),
  m1: fc.dictionary(word, word).map((entries): StringMap => new Map(Object.entries(entries))),
};

/** Attributes of a request, one in six of them absent. */
const given = fc
  .record(
    Object.fromEntries(Object.entries(present).map(([name, value]) => [name, fc.option(value, { nil: undefined })])),
  )
  .map(
    (values) =>
      Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Record<string, Value>,
  );

const reference = celEnv({ funcs: strings });

/** A value as the reference takes it. */
function toReference(type: AttributeType, value: Value): CelInput {
  if (type === "int64") return BigInt(value as Int64);
  if (value instanceof Timestamp)
    return create(TimestampSchema, { seconds: BigInt(value.seconds), nanos: value.nanos });
  if (value instanceof Duration) return create(DurationSchema, { seconds: BigInt(value.seconds), nanos: value.nanos });
  return value as CelInput;
}

const error = "error";

/** A value of ours as text that tells types apart; whatever went wrong is an error. */
function ours(value: Dynamic | undefined | Fault): string {
  if (value === undefined || value instanceof Fault) return error;
  if (value instanceof Double) return `double ${value.value}`;
  if (value instanceof Uint) return `uint ${value.value}`;
  if (isList(value)) return `[${value.map(ours).join()}]`;
  if (isMap(value))
    return `{${keysOf(value)
      .map((key) => `${ours(key)}:${ours(lookup(value, key))}`)
      .sort()
      .join()}}`;
  if (value instanceof TypeValue) return `type ${value.name}`;
  if (value instanceof Timestamp) return `timestamp ${value.seconds} ${value.nanos}`;
  if (value instanceof Duration) return `duration ${value.seconds} ${value.nanos}`;
  return typeof value === "number" || typeof value === "bigint" ? `int ${value}` : `${typeof value} ${String(value)}`;
}

/** The same of the reference's. */
function theirs(value: unknown): string {
  if (isCelError(value)) return error;
  if (typeof value === "number") return `double ${value}`;
  if (isCelUint(value)) return `uint ${value.value}`;
  if (isCelList(value)) return `[${[...value].map(theirs).join()}]`;
  if (isCelMap(value))
    return `{${[...value]
      .map(([key, item]) => `${theirs(key)}:${theirs(item)}`)
      .sort()
      .join()}}`;
  if (isCelType(value)) return `type ${value.name}`;
  if (isReflectMessage(value)) {
    const { seconds, nanos } = value.message as unknown as { seconds: bigint; nanos: number };
    return `${value.desc.typeName === "google.protobuf.Timestamp" ? "timestamp" : "duration"} ${seconds} ${nanos}`;
  }
  return typeof value === "bigint" ? `int ${value}` : `${typeof value} ${String(value)}`;
}

test("random expressions over random attributes give what the reference implementation gives", (t) => {
  let errors = 0;
  let decided = 0;
  fc.assert(
    fc.property(anyExpression, given, (source, values) => {
      const layout = new Layout();
      const { expression, problems } = compileExpression(source, { vocabulary, layout, phase: "check" });
      if (expression === undefined) throw new Error(`${source}: ${problems.map(({ message }) => message).join("; ")}`);
      const inputs = Object.entries(values).map(([name, value]) => [name, toReference(attributes[name]!, value)]);
      const expected = theirs(plan(reference, parse(source))(Object.fromEntries(inputs) as Record<string, CelInput>));
      const result = expression.evaluate(fill(layout, values)) as Dynamic | undefined | Fault;
      const found = result === undefined || result instanceof Fault ? error : ours(box(expression.type.kind, result));
      if (found === error) errors++;
      else decided++;
      if (found !== expected)
        throw new Error(
          `${source}\nours: ${found}, ${String((result as Fault | undefined)?.message)}\nreference: ${expected}`,
        );
    }),
    { numRuns: fuzzRuns(2000) },
  );
  t.true(errors > 0 && decided > errors / 4, `${errors} errors, ${decided} values: the generator is worth its time`);
});

const wide = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const unsigned = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const operations = [
  ["add", (a: bigint, b: bigint) => a + b],
  ["subtract", (a: bigint, b: bigint) => a - b],
  ["multiply", (a: bigint, b: bigint) => a * b],
  ["divide", (a: bigint, b: bigint) => (b === 0n ? undefined : a / b)],
  ["modulo", (a: bigint, b: bigint) => (b === 0n ? undefined : a % b)],
] as const;

/** Values near the ends of the ranges and near where numbers stop being safe, as well as any. */
function near(any: fc.Arbitrary<bigint>, ends: readonly bigint[], least: bigint, most: bigint): fc.Arbitrary<bigint> {
  const close = fc.tuple(fc.constantFrom(...ends), fc.bigInt({ min: -3n, max: 3n })).map(([end, by]) => end + by);
  return fc.oneof(
    any,
    close.filter((value) => value >= least && value <= most),
  );
}

for (const [name, exact] of operations) {
  test(`${name}: ints and uints give what whole numbers give, or a fault beyond 64 bits`, (t) => {
    const kinds = [
      [
        int64,
        near(wide, [0n, 2n ** 53n, -(2n ** 53n), 2n ** 31n, 2n ** 63n, -(2n ** 63n)], -(2n ** 63n), 2n ** 63n - 1n),
        -(2n ** 63n),
        2n ** 63n - 1n,
      ],
      [uint64, near(unsigned, [0n, 2n ** 53n, 2n ** 32n, 2n ** 64n], 0n, 2n ** 64n - 1n), 0n, 2n ** 64n - 1n],
    ] as const;
    for (const [arithmetic, values, least, most] of kinds)
      fc.assert(
        fc.property(values, values, (a, b) => {
          const result = arithmetic[name](normalize(a), normalize(b));
          const expected = exact(a, b);
          if (expected === undefined || expected < least || expected > most) return result instanceof Fault;
          return Object.is(result, normalize(expected));
        }),
        { numRuns: fuzzRuns(100) },
      );
    t.pass();
  });
}
