import test from "ava";
import fc from "fast-check";
import { Fault } from "../../src/attributes/fault.ts";
import { PatternCache } from "../../src/expression/pattern.ts";
import { Meter } from "../../src/expression/meter.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { compile, evaluate, fill } from "./subject.ts";

/** Inputs of each fuzz test; `npm run fuzz` asks for more. */
const numRuns = fuzzRuns(1000);

const seeds = [
  'source.namespace == "reviews" && request.path.startsWith("/a")',
  'has(request.headers["x"]) ? request.headers["x"] : "none"',
  "[1, 2u, 3.5, b'\\xff', null].map(x, type(x)).exists(t, t == int)",
  'inCidr(source.ip, "10.0.0.0/8") || !(response.code >= 500)',
  "cel.bind(x, {'a': [1]}, x.?a.optMap(y, y[0] + 0x1F).orValue(-1)) % 7",
  "timestamp('2026-01-31T12:00:00Z').getHours('Europe/Berlin') - duration('1h').getMinutes()",
  'glob(request.url_path, "/a/**") && "abc".matches(r"^a.c$") // and a comment',
  "google.protobuf.Int64Value{value: 1} != null",
];

const pieces = fc.constantFrom(
  ..."( ) [ ] { } . , : ? ! - + * / % < > = == != <= >= && || in true false null 'a' \"b\" \"\"\" r' b' 0x 1 2u 1e9 .5 9223372036854775808 ` \\ // \n é \u{1F600} \ud800 has all exists map plan source.ip request.headers [?'a'] {?'a': .?b x __proto__ constructor toString".split(
    " ",
  ),
);

/** Whatever the text, the outcome is problems inside the text, or an expression that can be evaluated. */
function survives(source: string): void {
  const { expression, problems, layout } = compile(source);
  for (const { span, message } of problems ?? []) {
    if (!(span.offset >= 0 && span.length >= 0 && span.offset + span.length <= source.length + 1))
      throw new Error(`${message} at ${span.offset}+${span.length}`);
  }
  if (problems !== undefined && problems.length === 0) throw new Error("no expression and no problem");
  if (expression === undefined) return;
  expression.evaluate(fill(layout, {}));
  expression.evaluate(
    fill(layout, { plan: "x", "source.namespace": "reviews", "request.headers": new Map([["x", "1"]]) }),
  );
}

function holds(arbitrary: fc.Arbitrary<string>): void {
  // fast-check prints seed and path of what fails.
  fc.assert(
    fc.property(arbitrary, (source) => survives(source)),
    { numRuns },
  );
}

test("any text is an expression or has problems", (t) => {
  holds(fc.string({ unit: "binary", maxLength: 200 }));
  t.pass();
});

test("any sequence of tokens is an expression or has problems", (t) => {
  holds(fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join(" ")));
  holds(fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join("")));
  t.pass();
});

test("any mutation of an expression is an expression or has problems", (t) => {
  const mutation = fc.record({ at: fc.nat(200), cut: fc.nat(8), put: fc.oneof(pieces, fc.string({ maxLength: 3 })) });
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), fc.array(mutation, { minLength: 1, maxLength: 4 }))
    .map(([seed, all]) =>
      all.reduce(
        (text, { at, cut, put }) => text.slice(0, at % text.length) + put + text.slice((at % text.length) + cut),
        seed,
      ),
    );
  holds(mutated.filter((text) => text.length > 0));
  t.pass();
});

const huge = 1024 * 1024;

const deep: readonly (readonly [name: string, source: string])[] = [
  ...["(", "[", "{", "{'a':", "!", "-", "!-", "f(", "a.b(", "a[", "a ? ", "true ? true : ", "[?", "has(", "x{a:"].map(
    (open) => [`${open} again and again`, open.repeat(huge / open.length)] as const,
  ),
  ["brackets that close", `${"(".repeat(huge / 2)}1${")".repeat(huge / 2 - 1)}`],
  ["fields of fields", `plan${".a".repeat(huge / 2 - 10)}`],
  ["indexes of indexes", `plan${"[0]".repeat(huge / 3 - 10)}`],
  ["optional fields of fields", `plan${".?a".repeat(huge / 3 - 10)}`],
  ["calls on calls", `plan${".trim()".repeat(huge / 7 - 10)}`],
  ["a sum", `1${" + 1".repeat(huge / 4 - 10)}`],
  ["comparisons", `1${" < 1".repeat(huge / 4 - 10)}`],
  ["a literal string", `'${"a".repeat(huge - 10)}'`],
  ["a string that is not closed", `"${"a\\n".repeat(huge / 3 - 10)}`],
  ["a number", "1".repeat(huge)],
  ["a hexadecimal number", `0x${"f".repeat(huge - 2)}`],
  ["a name", "a".repeat(huge)],
  ["a dotted name", "a.".repeat(huge / 2)],
  ["a comment", `1 //${" ".repeat(huge - 10)}`],
  ["spaces", " ".repeat(huge)],
  ["commas", `[${",".repeat(huge - 2)}]`],
  ["operators", "&& ".repeat(huge / 3)],
];

for (const [name, source] of deep) {
  test(`1 MB of ${name} is an expression or has problems`, (t) => {
    t.true(compile(source).problems!.length > 0, "by default it is too long");
    const { problems, expression } = compile(source, { maxLength: huge });
    t.true(problems !== undefined || expression !== undefined);
  });
}

for (const operator of ["&&", "||"]) {
  test(`a chain of 10,000 ${operator} is compiled and evaluated`, (t) => {
    const decisive = operator === "||";
    const chain = (test: string): string => Array.from({ length: 10_000 }, () => test).join(` ${operator} `);
    const options = { maxLength: huge };
    t.is(evaluate(chain(`plan ${decisive ? "==" : "!="} 'a'`), { plan: "b" }, options), !decisive);
    t.is(evaluate(chain("plan == 'b'"), { plan: "b" }, options), true);
    t.is(evaluate(chain("plan == 'b'"), {}, options), undefined);
  });
}

test("matching takes time linear in the text, whatever the pattern", (t) => {
  const text = "a".repeat(100_000);
  for (const pattern of ["(a+)+$", "(a|a)*b", "(a*)*b", "^(a?){50}a{50}$", "(.*a){20}b", "((a+)+)+!"]) {
    const found = evaluate(`plan.matches('${pattern}')`, { plan: `${text}!` }, { maxCost: 100_000_000 });
    t.true(typeof found === "boolean", pattern);
    t.false(evaluate(`plan.matches('${pattern}')`, { plan: "aaa?" }), pattern);
  }
  t.true(evaluate("glob(plan, '**a**a**a**a**a**b')", { plan: text }, { maxCost: 100_000_000 }) === false);
});

test("any pattern is one or is a fault, and agrees with what is told of plain ones", (t) => {
  const cache = new PatternCache();
  const meter = new Meter(Number.MAX_SAFE_INTEGER);
  const part = fc.constantFrom(
    "a",
    "b",
    ".",
    "*",
    "+",
    "?",
    "^",
    "$",
    "(",
    ")",
    "[",
    "]",
    "{2}",
    "|",
    "\\.",
    "\\",
    "\\d",
    "é",
    "/",
  );
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 12 }),
      fc.constantFrom("", "a", "ab", "aab/b", "a.b", "é", "a\nb"),
      (parts, text) => {
        const source = parts.join("");
        const plain = cache.regex(source);
        // A group around it keeps it from being seen as plain, without changing what it matches.
        const grouped = cache.regex(`(?:${source})`);
        if (plain instanceof Fault || grouped instanceof Fault) return plain instanceof Fault;
        return plain(text, meter) === grouped(text, meter);
      },
    ),
    { numRuns },
  );
  t.pass();
});

test("a name that objects have of themselves is no attribute, function, field or key", (t) => {
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "prototype"]) {
    t.truthy(compile(name).problems, name);
    t.truthy(compile(`plan.${name}()`).problems, name);
    t.truthy(compile(`${name}(plan)`).problems, name);
    t.truthy(compile(`google.protobuf.${name}{}`).problems, name);
    t.truthy(compile(`google.protobuf.Int64Value{${name}: 1}`).problems, name);
    t.is(evaluate(`has({'a': 1}.${name})`), false, name);
    t.is(evaluate(`has(request.headers.${name})`, { "request.headers": new Map() }), false, name);
    t.true(evaluate("bool(plan)", { plan: name }) instanceof Fault, name);
  }
});
