import test from "ava";
import fc from "fast-check";
import { addEvalCommand } from "../../src/cli/eval.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { runCommand } from "./run-command.ts";

const run = (args: readonly string[], input: readonly (Uint8Array | string)[] = []) =>
  runCommand(addEvalCommand, ["eval", ...args], { input });

async function batch(...lines: readonly (object | string)[]): Promise<unknown[]> {
  const text = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n");
  const { out } = await run(["--batch"], [text]);
  return out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

test("an expression is evaluated against attributes with the types of the vocabulary", async (t) => {
  const { out, exitCode } = await run([
    'inCidr(source.ip, "10.0.0.0/8") && request.headers["x-plan"] == "gold"',
    "source.ip=10.1.2.3",
    "request.headers[x-plan]=gold",
    "request.headers[x-other]=a=b",
  ]);
  t.is(out, "true\ntype  bool\nread  request.headers[x-plan], source.ip\n");
  t.is(exitCode, 0);
});

test("a whole map can be given as JSON", async (t) => {
  const { out } = await run(["request.headers.exists(k, request.headers[k] == 'b')", 'request.headers={"a":"b"}']);
  t.regex(out, /^true\n/);
});

test("an expression without a value says why and exits with 1", async (t) => {
  const absent = await run(["source.namespace == 'a'"]);
  t.is(absent.out, "");
  t.is(absent.err, "no value: source.namespace is absent\nread  -source.namespace\n");
  t.is(absent.exitCode, 1);
  const fault = await run(["1 / 0 == 1"]);
  t.regex(fault.err, /^no value: division by zero\n/);
  t.is(fault.exitCode, 1);
});

test("mistakes are shown with a caret and a suggestion, all of them", async (t) => {
  const { err, exitCode, out } = await run(["source.nme == 'a' &&\nrequest.path.startWith('/')"]);
  t.is(out, "");
  t.is(exitCode, 1);
  t.true(err.includes("expression:1:1: error[WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE]"), err);
  t.true(err.includes("1 | source.nme == 'a' &&\n  | ^^^^^^^^^^\n"), err);
  t.true(err.includes('did you mean "source.name"?'), err);
  t.true(err.includes("2 | request.path.startWith('/')\n  |              ^^^^^^^^^\n"), err);
});

test("--json gives one object", async (t) => {
  const { out } = await run(["--json", "size(request.path)", "request.path=/x"]);
  t.deepEqual(JSON.parse(out), {
    kind: "value",
    type: "int",
    value: { type: "INT64", value: "2" },
    referenced: ["request.path"],
  });
});

for (const [args, message] of [
  [["true", "request.pth=/"], 'did you mean "request.path"?'],
  [["true", "source.port=many"], "expected a value of type int64 for source.port"],
  [["true", "source.port[a]=1"], "source.port is no map"],
  [["true", "nonsense"], "expected name=value"],
  [[], "missing argument 'expression'"],
] as const) {
  test(`eval ${args.join(" ") || "without arguments"} is refused: ${message}`, async (t) => {
    const { err, exitCode, usage, out } = await run(args);
    t.true(err.includes(message), err);
    t.true(usage);
    t.not(exitCode, 0);
    t.is(out, "");
  });
}

test("--help teaches with an example that gives what it shows", async (t) => {
  const { out } = await run(["--help"]);
  t.true(out.includes("$ weir eval '"));
  const example = /echo '(\{.*\})'[\s\S]*?\n {2}(\{.*\})/.exec(out)!;
  t.deepEqual(await batch(example[1]!), [JSON.parse(example[2]!)]);
});

const value = (type: string, json: unknown, ...referenced: string[]): object => ({
  type,
  value: { type, value: json },
  referenced,
});

const given = (type: string, json: unknown, expr = "x"): object => ({
  expr,
  vocabulary: { x: type },
  attributes: { x: { type, value: json } },
});

const answers: readonly (readonly [line: object, answer: object])[] = [
  // Every type of attributes, there and back.
  [given("STRING", "a"), value("STRING", "a", "x")],
  [given("INT64", "-9223372036854775808"), value("INT64", "-9223372036854775808", "x")],
  [given("INT64", 7), value("INT64", "7", "x")],
  [given("DOUBLE", 1.5), value("DOUBLE", 1.5, "x")],
  [given("DOUBLE", "1.5"), value("DOUBLE", 1.5, "x")],
  [given("DOUBLE", "NaN"), value("DOUBLE", "NaN", "x")],
  [given("BOOL", true), value("BOOL", true, "x")],
  [given("BOOL", "true"), value("BOOL", true, "x")],
  [given("TIMESTAMP", "2020-01-01T00:00:00.12Z"), value("TIMESTAMP", "2020-01-01T00:00:00.12Z", "x")],
  [given("TIMESTAMP", "2020-01-01T01:00:00+01:00"), value("TIMESTAMP", "2020-01-01T00:00:00Z", "x")],
  [given("DURATION", "1.5s"), value("DURATION", "1.5s", "x")],
  [given("DURATION", "100s"), value("DURATION", "100s", "x")],
  [given("IP_ADDRESS", "10.0.0.1"), value("IP_ADDRESS", "10.0.0.1", "x")],
  [given("IP_ADDRESS", "0a000001"), value("IP_ADDRESS", "10.0.0.1", "x")],
  [given("IP_ADDRESS", "2001:DB8::1"), value("IP_ADDRESS", "2001:db8::1", "x")],
  [given("EMAIL_ADDRESS", "a@b.example"), value("EMAIL_ADDRESS", "a@b.example", "x")],
  [given("URI", "http://a/"), value("URI", "http://a/", "x")],
  [given("DNS_NAME", "a.example"), value("DNS_NAME", "a.example", "x")],
  [given("STRING_MAP", { a: "b" }), value("STRING_MAP", { a: "b" }, "x")],
  [given("BYTES", "00ff"), value("BYTES", "00ff", "x")],
  // Results that no attribute can be.
  [{ expr: "18446744073709551615u" }, value("UINT64", "18446744073709551615")],
  [{ expr: "null" }, value("NULL", null)],
  [
    { expr: "[1, 2u, 1.5, 'a', b'a', null, duration('1.5s'), int]" },
    value("LIST", [1, 2, 1.5, "a", "61", null, "1.5s", "int"]),
  ],
  [{ expr: "{'a': [true], 1: {}}" }, value("MAP", { a: [true], 1: {} })],
  [{ expr: "type(1)" }, value("TYPE", "int")],
  [{ expr: "dyn(1.5)" }, value("DOUBLE", 1.5)],
  [{ expr: "dyn(1)" }, value("INT64", "1")],
  [{ expr: "[9223372036854775807]" }, value("LIST", ["9223372036854775807"])],
  // What was read.
  [given("STRING_MAP", { k: "v" }, "x['k']"), value("STRING", "v", "x[k]")],
  [given("STRING_MAP", { k: "v" }, "has(x['l'])"), value("BOOL", false, "-x[l]")],
  [given("STRING_MAP", { k: "v" }, "x['k' + '']"), value("STRING", "v", "x[k]")],
  [given("STRING_MAP", { k: "v" }, "has(x) || x.k == ''"), value("BOOL", true, "x")],
  [{ expr: "has(x['k'])", vocabulary: { x: "STRING_MAP" } }, value("BOOL", false, "-x")],
  [
    {
      expr: "has(x) || has(y) || has(z)",
      vocabulary: { x: "STRING", y: "STRING", z: "STRING" },
      attributes: { y: { type: "STRING", value: "" } },
    },
    value("BOOL", true, "-x", "y"),
  ],
  // The built-in vocabulary when the line has none.
  [
    { expr: "source.port + 1", attributes: { "source.port": { type: "INT64", value: "1" } } },
    value("INT64", "2", "source.port"),
  ],
];

for (const [line, answer] of answers) {
  test(`--batch: ${JSON.stringify(line)}`, async (t) => {
    t.deepEqual(await batch(line), [answer]);
  });
}

const errors: readonly (readonly [line: object | string, phase: string, message: RegExp])[] = [
  ["nonsense", "parse", /line of JSON/],
  ["[]", "parse", /JSON object/],
  ["", "parse", /line of JSON/],
  [{}, "parse", /"expr"/],
  [{ expr: 1 }, "parse", /"expr"/],
  [{ expr: "x", vocabulary: { x: "FLOAT" } }, "parse", /a type such as STRING for x, found "FLOAT"/],
  [{ expr: "x", vocabulary: [] }, "parse", /"vocabulary" to be a JSON object/],
  [{ expr: "x", vocabulary: { x: "INT64" }, attributes: { x: 1 } }, "parse", /the attribute x to be a JSON object/],
  [given("INT64", "many"), "parse", /a value of type INT64 for x, found "many"/],
  [{ expr: "1 +" }, "parse", /column 4: expected an operand, found the end/],
  [{ expr: "1 + 'a'" }, "type", /column 1/],
  [{ expr: "y", vocabulary: { x: "INT64" } }, "type", /expected an attribute, found "y"/],
  [{ expr: "1 / 0" }, "eval", /division by zero/],
  [{ expr: "x", vocabulary: { x: "STRING" } }, "eval", /^x is absent$/],
  [given("STRING_MAP", { k: "v" }, "x['l']"), "eval", /^x\[l\] is absent$/],
  [{ expr: "x + y", vocabulary: { x: "STRING", y: "STRING" } }, "eval", /^x is absent$/],
  [
    { expr: "x", vocabulary: { x: "INT64" }, attributes: { x: { type: "STRING", value: "1" } } },
    "eval",
    /x has a value of type string, not of its type int64/,
  ],
];

for (const [line, phase, message] of errors) {
  test(`--batch: ${typeof line === "string" ? JSON.stringify(line) : JSON.stringify(line)} is an error of phase ${phase}`, async (t) => {
    // A good line after it shows that the batch goes on.
    const [first, second] = (await batch(line, { expr: "1" })) as [
      { error: { phase: string; message: string } },
      object,
    ];
    t.is(first.error.phase, phase);
    t.regex(first.error.message, message);
    t.deepEqual(second, value("INT64", "1"));
  });
}

test("--batch reads lines however the input is cut into chunks, without an end of line at the end", async (t) => {
  const input = Buffer.from('{"expr": "\'é😀\'"}\n{"expr": "2"}\n{"expr": "3"}');
  const whole = await run(["--batch"], [input]);
  t.is(whole.out.split("\n").length, 4);
  for (let size = 1; size < 9; size++) {
    const chunks = Array.from({ length: Math.ceil(input.length / size) }, (_, i) =>
      input.subarray(i * size, (i + 1) * size),
    );
    t.is((await run(["--batch"], chunks)).out, whole.out);
  }
});

test("--batch answers a line that is too long with an error and goes on", async (t) => {
  const chunks = Array.from({ length: 40 }, () => "x".repeat(100_000));
  const { out } = await run(["--batch"], [...chunks, '\n{"expr": "1"}\n']);
  const [first, second, ...rest] = out.trimEnd().split("\n");
  t.regex(first!, /"phase":"parse".*at most 1048576 characters/);
  t.deepEqual(JSON.parse(second!), value("INT64", "1"));
  t.deepEqual(rest, []);
});

test("--batch shows no result that has grown out of measure", async (t) => {
  const grown = `cel.bind(a, [1], ${"cel.bind(a, [a, a], ".repeat(40)}a${")".repeat(41)}`;
  const [answer] = (await batch({ expr: grown })) as [{ error: { phase: string } }];
  t.is(answer.error.phase, "eval");
});

test("--batch answers any line of JSON with one line of JSON", async (t) => {
  const json = fc.oneof(
    fc.json(),
    fc
      .record(
        {
          expr: fc.constantFrom("x", "x.a", "has(x)", "x + x", "["),
          vocabulary: fc.oneof(
            fc.dictionary(fc.constantFrom("x", "__proto__"), fc.constantFrom("STRING", "STRING_MAP", "no")),
            fc.jsonValue(),
          ),
          attributes: fc.oneof(
            fc.dictionary(
              fc.constantFrom("x", "y"),
              fc.record({ type: fc.constantFrom("STRING", "STRING_MAP"), value: fc.jsonValue() }),
            ),
            fc.jsonValue(),
          ),
        },
        { requiredKeys: [] },
      )
      .map((line) => JSON.stringify(line)),
  );
  await fc.assert(
    fc.asyncProperty(json, async (line) => {
      const [answer, ...rest] = (await batch(line)) as Record<string, unknown>[];
      return rest.length === 0 && ("error" in answer! || "value" in answer!);
    }),
    { numRuns: fuzzRuns(300) },
  );
  t.pass();
});
