import test from "ava";
import { Fault } from "../../src/attributes/fault.ts";
import { Ip } from "../../src/attributes/ip.ts";
import { Layout } from "../../src/attributes/layout.ts";
import { type Type, typeName } from "../../src/expression/index.ts";
import { PatternCache } from "../../src/expression/pattern.ts";
import { Meter } from "../../src/expression/meter.ts";
import { type Attributes, compile, evaluate, fill, readsOf } from "./subject.ts";

const headers = new Map([
  ["x-a", "1"],
  ["x-b", "two"],
]);
const broken = new Fault("wrong wire type");

/** Marks an evaluation that ends in a fault. */
const fault = Symbol("fault");
const absent = undefined;

const values: readonly (readonly [expression: string, attributes: Attributes, expected: unknown])[] = [
  // && and ||: either side decides; where neither does, a fault wins over absence.
  ["plan == 'a' && true", {}, absent],
  ["plan == 'a' && false", {}, false],
  ["false && plan == 'a'", {}, false],
  ["plan == 'a' || true", {}, true],
  ["true || plan == 'a'", {}, true],
  ["plan == 'a' || false", {}, absent],
  ["1 / 0 == 1 && false", {}, false],
  ["1 / 0 == 1 || true", {}, true],
  ["1 / 0 == 1 && true", {}, fault],
  ["1 / 0 == 1 && plan == 'a'", {}, fault],
  ["plan == 'a' && 1 / 0 == 1", {}, fault],
  ["plan == 'a' || 1 / 0 == 1", {}, fault],
  ["plan == 'a' || 1 / 0 == 1 || true", {}, true],
  ["plan == 'a' || false || 1 / 0 == 1", {}, fault],
  ["plan == 'a' && true && source.name == 'b'", {}, absent],
  ["!(plan == 'a')", {}, absent],
  ["!(1 / 0 == 1)", {}, fault],
  ["plan == 'a' ? 1 : 2", {}, absent],
  ["(1 / 0 == 1) ? 1 : 2", {}, fault],
  // An attribute that came with the wrong type is a fault, wherever it is read.
  ["plan == 'a'", { plan: broken }, fault],
  ["plan in ['a']", { plan: broken }, fault],
  ["plan.startsWith('a')", { plan: broken }, fault],
  ["has(plan)", { plan: broken }, fault],
  ["response.code >= 500", { "response.code": broken }, fault],
  ["response.code == 500", { "response.code": broken }, fault],
  ["request.headers['x-a'] == '1'", { "request.headers": broken }, fault],
  ["has(request.headers['x-a'])", { "request.headers": broken }, fault],
  ["'x-a' in request.headers", { "request.headers": broken }, fault],
  ["request.headers[?'x-a'].hasValue()", { "request.headers": broken }, fault],
  ["request.headers[plan]", { "request.headers": broken, plan: "x-a" }, fault],
  ["size(request.headers)", { "request.headers": broken }, fault],
  // Maps.
  ["request.headers['x-a']", { "request.headers": headers }, "1"],
  ["request.headers.plain", { "request.headers": new Map([["plain", "yes"]]) }, "yes"],
  ["request.headers.`x-a`", { "request.headers": headers }, "1"],
  ["request.headers['x-' + plan]", { "request.headers": headers, plan: "b" }, "two"],
  ["request.headers['x-' + plan]", { "request.headers": headers, plan: "c" }, absent],
  ["request.headers['x-' + plan]", { plan: "c" }, absent],
  ["request.headers[plan]", { "request.headers": headers }, absent],
  ["has(request.headers)", { "request.headers": new Map() }, true],
  ["has(request.headers)", {}, false],
  ["has(request.headers[plan])", { "request.headers": headers, plan: "x-a" }, true],
  ["has(request.headers[plan])", { "request.headers": headers, plan: "x-c" }, false],
  ["'x-c' in request.headers", { "request.headers": headers }, false],
  ["'x-a' in request.headers", {}, absent],
  ["plan in request.headers", { "request.headers": headers, plan: "x-a" }, true],
  ["request.headers[?plan].orValue('none')", { "request.headers": headers, plan: "x-c" }, "none"],
  ["request.headers[?plan].orValue('none')", { plan: "x-c" }, "none"],
  ["request.headers == {'x-a': '1', 'x-b': 'two'}", { "request.headers": headers }, true],
  ["request.headers.all(k, request.headers[k] != '')", { "request.headers": headers }, true],
  ["has(plan)", { plan: "" }, true],
  // Absence inside macros.
  ["[1, 2].exists(x, x == 2 || plan == 'a')", {}, true],
  ["[1, 2].exists(x, x == 3 || plan == 'a')", {}, absent],
  ["[1, 2].all(x, x == 2 && plan == 'a')", {}, false],
  ["[1, 2].map(x, plan)", {}, absent],
  ["[[1], [2]].map(l, l.map(x, x + l[0]))[1][0]", {}, 4],
  // Numbers keep their kinds apart where the static type does not.
  ["[1, 1u, 1.0].map(x, type(x)) == [int, uint, double]", {}, true],
  ["dyn(1) == dyn(1.0) && dyn(1u) == dyn(1)", {}, true],
  ["[1.5, 2.5][1] + 1.0", {}, 3.5],
  ["{'a': 2u}.a + 1u", {}, 3],
  ["dyn(1.5) + 1.0 == 2.5", {}, true],
  ["dyn(1) + dyn('a')", {}, fault],
  ["9007199254740993 - 2", {}, 9007199254740991],
  ["9007199254740992", {}, 9007199254740992n],
  ["-9223372036854775808", {}, -9223372036854775808n],
  ["-(-9223372036854775808)", {}, fault],
  ["9007199254740991 * 9007199254740991", {}, fault],
  ["0 * -1", {}, 0],
  ["18446744073709551615u + 1u", {}, fault],
  ["1u - 2u", {}, fault],
  ["5 % 0", {}, fault],
  ["-7 / 2", {}, -3],
  ["1.0 / 0.0", {}, Infinity],
  // Text is counted and ordered by code points.
  ["size('a😀')", {}, 2],
  ["'a😀b'.substring(1, 2)", {}, "😀"],
  ["'😀b'.indexOf('b')", {}, 1],
  ["'\\uffee' < '\\U0001F600'", {}, true],
  ["'abc'.substring(3)", {}, ""],
  ["'abc'.substring(4)", {}, fault],
  ["'abc'.charAt(-1)", {}, fault],
  ["'a.b'.replace('.', '$&')", {}, "a$&b"],
  ["'ab'.replace('', '-')", {}, "-a-b-"],
  // Addresses.
  ["source.ip in cidr('10.0.0.0/8')", { "source.ip": Ip.parse("::ffff:10.1.1.1")! }, true],
  ["inCidr(plan, '10.0.0.0/8')", { plan: "nonsense" }, fault],
  ["inCidr(plan, plan)", { plan: "10.0.0.1" }, true],
  // Patterns that are computed.
  ["'abc'.matches(plan)", { plan: "^a.c$" }, true],
  ["'abc'.matches(plan)", { plan: "(" }, fault],
  ["'abc'.matches(plan)", { plan: "a".repeat(300) }, fault],
  ["'a\\nb'.matches('^a.b$')", {}, false],
  ["'ab'.matches('^ab') && !'cab'.matches('^ab') && 'cab'.matches('ab$') && 'cab'.matches('a')", {}, true],
  ["'a.b'.matches('^a\\\\.b$') && !'axb'.matches('^a\\\\.b$')", {}, true],
  ["glob('a+b/c', 'a+b/?') && !glob('aab/c', 'a+b/?') && !glob('a/b/c', 'a/*') && glob('a/\\nb', 'a/**')", {}, true],
];

for (const [expression, attributes, expected] of values) {
  const given = Object.entries(attributes).map(
    ([name, value]) => `${name}=${value instanceof Fault ? "!" : String(value)}`,
  );
  const wanted = expected === fault ? "a fault" : expected === absent ? "absent" : String(expected);
  test(`${expression} with ${given.join(" ") || "nothing"} is ${wanted}`, (t) => {
    const found = evaluate(expression, attributes);
    if (expected === fault) t.true(found instanceof Fault, String(found));
    else t.is(found, expected);
  });
}

const namedTexts: readonly (readonly [
  attribute: string,
  value: string,
  other: string,
  expected: boolean | typeof fault,
])[] = [
  ["test.host", "Example.COM.", "example.com", true],
  ["test.host", "bücher.example", "xn--bcher-kva.example", true],
  ["test.host", "a.example", "b.example", false],
  ["test.host", "a..example", "b", fault],
  ["test.email", "joe@Example.com", "joe@example.com", true],
  ["test.email", "Joe@example.com", "joe@example.com", false],
  ["test.email", '"joe"@example.com', "joe@example.com", true],
  ["test.email", "joe", "joe@example.com", fault],
  ["test.uri", "HTTP://Example.com/a", "http://example.com/a", true],
  ["test.uri", "http://example.com", "http://example.com/", false],
  ["test.uri", "http://example.com:/a", "http://example.com/a", true],
  ["test.uri", "http://example.com:80/a", "http://example.com/a", false],
  ["test.uri", "spiffe://Cluster/a", "spiffe://cluster/a", false],
  ["test.uri", "http://u@Example.com/a", "http://u@example.com/a", true],
];

for (const [attribute, value, other, expected] of namedTexts) {
  test(`${attribute}: ${value} and ${other} ${expected === fault ? "are a fault" : expected ? "are equal" : "differ"}`, (t) => {
    const outcome = (expression: string): unknown => {
      const found = evaluate(expression, { [attribute]: value, plan: other });
      return found instanceof Fault ? fault : found;
    };
    t.is(outcome(`${attribute} == plan`), expected);
    t.is(outcome(`plan == ${attribute}`), expected);
    t.is(outcome(`${attribute} in ['${other}']`), expected);
    t.is(outcome(`${attribute} != '${other}'`), expected === fault ? fault : !expected);
  });
}

const problems: readonly (readonly [
  expression: string,
  ...found: (readonly [code: string, at: string, suggestion?: string])[],
])[] = [
  ["", ["SYNTAX", ""]],
  ["source.ip ==", ["SYNTAX", ""]],
  ["(plan == 'a'", ["SYNTAX", ""]],
  ["plan = 'a'", ["SYNTAX", "="]],
  ["plan == 'a", ["SYNTAX", "'a"]],
  ["plan == 'a' and true", ["SYNTAX", "and"]],
  ["plan @ 1", ["SYNTAX", "@"]],
  ["'\\q'", ["SYNTAX", "\\q"]],
  ["'\\ud800'", ["SYNTAX", "\\ud800"]],
  ["9223372036854775808", ["SYNTAX", "9223372036854775808"]],
  ["99999999999999999999999", ["SYNTAX", "99999999999999999999999"]],
  ["-1u", ["SYNTAX", "-1u"]],
  ["f(1,)", ["SYNTAX", ")"]],
  ["for == 1", ["SYNTAX", "for"]],
  ["souce.ip == ip('10.0.0.1')", ["UNKNOWN_ATTRIBUTE", "souce.ip", "source.ip"]],
  ["source == 'a'", ["UNKNOWN_ATTRIBUTE", "source"]],
  ["source.ip.x.y", ["TYPE", "source.ip.x"]],
  ["has(source.nme)", ["UNKNOWN_ATTRIBUTE", "source.nme", "source.name"]],
  ["request.path.startWith('a')", ["UNKNOWN_FUNCTION", "startWith", "startsWith"]],
  ["inCIDR(source.ip, '10.0.0.0/8')", ["UNKNOWN_FUNCTION", "inCIDR", "inCidr"]],
  ["response.code == 'a'", ["TYPE", "response.code == 'a'"]],
  ["response.code && true", ["TYPE", "response.code"]],
  ["!plan", ["TYPE", "plan"]],
  ["plan + 1", ["TYPE", "plan + 1"]],
  ["plan ? 1 : 2", ["TYPE", "plan"]],
  ["true ? 1 : 'a'", ["TYPE", "true ? 1 : 'a'"]],
  ["size(1)", ["TYPE", "size"]],
  ["plan.startsWith()", ["TYPE", "startsWith"]],
  ["request.headers[1]", ["TYPE", "1"]],
  ["[1][plan]", ["TYPE", "plan"]],
  ["1 in 2", ["TYPE", "2"]],
  ["plan in [1]", ["TYPE", "plan in [1]"]],
  ["plan.exists(x, true)", ["TYPE", "plan"]],
  ["[1].exists(x.y, true)", ["TYPE", "x.y"]],
  ["[1].all(x, x)", ["TYPE", "x"]],
  ["has(1)", ["TYPE", "1"]],
  ["plan.matches('(')", ["REGEX", "'('"]],
  ["plan.matches('(?=a)')", ["REGEX", "'(?=a)'"]],
  ["ip('10.0.0.256')", ["TYPE", "'10.0.0.256'"]],
  ["cidr('10.0.0.0/33')", ["TYPE", "'10.0.0.0/33'"]],
  ["timestamp('yesterday')", ["TYPE", "'yesterday'"]],
  ["duration('1 day')", ["TYPE", "'1 day'"]],
  ["request.time.getHours('Mars/Base')", ["TYPE", "'Mars/Base'"]],
  ["Foo{a: 1}", ["TYPE", "Foo{a: 1}"]],
  // All of them at once.
  [
    "souce.ip == 1 && plan + 1 == 2 && request.pth.matches('(')",
    ["UNKNOWN_ATTRIBUTE", "souce.ip", "source.ip"],
    ["TYPE", "plan + 1"],
    ["UNKNOWN_ATTRIBUTE", "request.pth", "request.path"],
    ["REGEX", "'('"],
  ],
];

for (const [expression, ...expected] of problems) {
  test(`${expression || "nothing at all"} is shown to be wrong, with place and suggestion`, (t) => {
    const found = (compile(expression).problems ?? []).map(({ code, span, suggestion }) => [
      code.replace("WEIR_EXPRESSION_", ""),
      expression.slice(span.offset, span.offset + span.length),
      suggestion,
    ]);
    t.deepEqual(
      found,
      expected.map(([code, at, suggestion]) => [code, at, suggestion]),
    );
  });
}

test("an attribute that is known only at report time is a problem in a check rule, however it is read", (t) => {
  for (const expression of [
    "response.code == 1",
    "has(response.code)",
    "response.headers['a'] == ''",
    "'a' in response.headers",
  ]) {
    t.is(compile(expression, { phase: "check" }).problems?.[0]?.code, "WEIR_EXPRESSION_REPORT_ATTRIBUTE", expression);
    t.is(compile(expression, { phase: "report" }).problems, undefined, expression);
  }
});

const reads: readonly (readonly [expression: string, attributes: Attributes, reads: readonly string[]])[] = [
  ["plan == 'a' && source.name == 'b'", { plan: "x" }, ["plan"]],
  ["plan == 'a' && source.name == 'b'", { plan: "a" }, ["plan", "source.name"]],
  ["plan == 'a' && source.name == 'b'", {}, ["plan", "source.name"]],
  ["plan == 'a' || source.name == 'b'", { plan: "a" }, ["plan"]],
  ["plan == 'a' ? source.name : source.uid", { plan: "a" }, ["plan", "source.name"]],
  ["has(source.name) && source.name == 'b'", {}, ["source.name"]],
  ["request.headers['x-a'] == '1'", { "request.headers": headers }, ["request.headers[x-a]"]],
  ["'x-a' in request.headers", { "request.headers": headers }, ["request.headers[x-a]"]],
  ["request.headers[plan] == '1'", { "request.headers": headers, plan: "x-a" }, ["plan", "request.headers[x-a]"]],
  ["has(request.headers)", { "request.headers": headers }, ["request.headers"]],
  ["size(request.headers) == 2", { "request.headers": headers }, ["request.headers", "request.headers[*]"]],
  ["'a' == 'b' && plan == 'a'", { plan: "a" }, []],
];

for (const [expression, attributes, expected] of reads) {
  test(`${expression} with ${Object.keys(attributes).join(" ") || "nothing"} reads ${expected.join(" ") || "nothing"}`, (t) => {
    const compiled = compile(expression);
    t.deepEqual(readsOf(compiled.expression!, compiled.layout, attributes), expected);
  });
}

const uses: readonly (readonly [expression: string, uses: Readonly<Record<string, "guarded" | "open">>])[] = [
  ["plan == 'a'", { plan: "open" }],
  ["has(plan)", { plan: "guarded" }],
  ["has(plan) && plan == 'a'", { plan: "guarded" }],
  ["plan == 'a' && has(plan)", { plan: "guarded" }],
  ["!has(plan) || plan == 'a'", { plan: "guarded" }],
  ["has(plan) || plan == 'a'", { plan: "open" }],
  ["has(plan) ? plan : 'x'", { plan: "guarded" }],
  ["has(plan) ? 'x' : plan", { plan: "open" }],
  ["has(plan) && source.name == plan", { plan: "guarded", "source.name": "open" }],
  ["has(plan) && plan == 'a' || plan == 'b'", { plan: "open" }],
  ["has(request.headers['a']) && request.headers['a'] == ''", { "request.headers[a]": "guarded" }],
  [
    "has(request.headers['a']) && request.headers['b'] == ''",
    { "request.headers[a]": "guarded", "request.headers[b]": "open" },
  ],
  ["request.headers[?'a'].orValue('') == ''", { "request.headers[a]": "guarded" }],
  ["size(request.headers) > 0", { "request.headers": "open" }],
  ["'a' in request.headers", { "request.headers[a]": "open" }],
];

for (const [expression, expected] of uses) {
  test(`${expression} uses ${Object.entries(expected).flat().join(" ")}`, (t) => {
    const found = compile(expression).expression!.uses.map(({ name, key, guarded }) => [
      key === undefined ? name : `${name}[${key}]`,
      guarded ? "guarded" : "open",
    ]);
    t.deepEqual(Object.fromEntries(found), expected);
  });
}

test("equality tests of slots with constants are told, from whichever side and place in the outermost &&", (t) => {
  const told = (expression: string): string[] => {
    const { expression: compiled, layout } = compile(expression);
    return compiled!.equalities.map(({ slot, value }) => {
      const { name, key } = layout.slots[slot]!;
      return `${key === undefined ? name : `${name}[${key}]`}=${value}`;
    });
  };
  t.deepEqual(told("plan == 'a'"), ["plan=a"]);
  t.deepEqual(told("'a' == plan && source.name == 'b' && request.path.startsWith('/')"), ["plan=a", "source.name=b"]);
  t.deepEqual(told("request.headers['k'] == 'v'"), ["request.headers[k]=v"]);
  t.deepEqual(told("plan == 'a' || source.name == 'b'"), []);
  t.deepEqual(told("plan != 'a' && !(plan == 'b') && plan == source.name && response.code == 1"), []);
  t.deepEqual(told("test.host == 'a'"), [], "a host has an equality of its own");
});

test("an expression of nothing but equality tests is told from one that says more", (t) => {
  const isOnly = (expression: string): boolean => compile(expression).expression!.equalitiesOnly;
  t.true(isOnly("plan == 'a'"));
  t.true(isOnly("plan == 'a' && 'b' == source.name"));
  t.false(isOnly("plan == 'a' && response.code == 1"));
  t.false(isOnly("plan == 'a' || source.name == 'b'"));
  t.false(isOnly("has(plan)"));
});

test("a test of presence that an && begins with is told, and is one for all expressions of a layout", (t) => {
  const layout = new Layout();
  const guard = (expression: string): unknown => compile(expression, { layout }).expression!.guard;
  const key = guard("has(request.headers['k']) && request.headers['k'] == 'v'");
  t.truthy(key);
  t.is(guard("has(request.headers['k']) && request.headers['k'] == 'w' && plan == 'a'"), key);
  t.not(guard("has(plan) && plan == 'a'"), key);
  t.is(guard("has(plan) || plan == 'a'"), undefined);
  t.is(guard("plan == 'a' && has(plan)"), undefined);
  t.is(guard("!has(plan) && plan == 'a'"), undefined);
});

test("a constant and a single slot are told", (t) => {
  t.deepEqual(compile("'gold'").expression!.constant, { value: "gold" });
  t.deepEqual(compile("1 + 2 * 3").expression!.constant, { value: 7 });
  t.is(compile("plan").expression!.constant, undefined);
  const path = compile("request.headers['k']");
  t.is(path.layout.slots[path.expression!.slot!]!.key, "k");
  t.is(compile("plan + ''").expression!.slot, undefined);
});

test("a constant fault that no one may ever reach is left to the evaluation", (t) => {
  t.is(compile("1 / 0 == 1").problems, undefined);
  t.true(evaluate("1 / 0 == 1") instanceof Fault);
});

test("the expected type is a problem when it cannot be, and a fault when a dyn turns out to be another", (t) => {
  const bool: Type[] = [{ kind: "bool" }];
  t.is(compile("plan", { expected: bool }).problems?.[0]?.message, "expected an expression of type bool, found string");
  t.is(compile("dyn(true)", { expected: bool }).problems, undefined);
  t.is(evaluate("dyn(true)", {}, { expected: bool }), true);
  t.true(evaluate("dyn(1)", {}, { expected: bool }) instanceof Fault);
  t.is(evaluate("dyn(1.5)", {}, { expected: [{ kind: "double" }, { kind: "string" }] }), 1.5);
  t.is(evaluate("test.host", { "test.host": "a" }, { expected: [{ kind: "string" }] }), "a");
});

test("types are named as the reference has them", (t) => {
  const types: readonly (readonly [string, string])[] = [
    ["[1u]", "list(uint)"],
    ["{'a': [1.5]}", "map(string, list(double))"],
    ["request.headers", "string_map"],
    ["request.headers[?'a']", "optional(string)"],
    ["[]", "list(dyn)"],
    ["[1, 'a']", "list(dyn)"],
    ["[[], [1]]", "list(list(int))"],
    ["null", "null"],
    ["test.host", "dns_name"],
  ];
  for (const [expression, expected] of types)
    t.is(typeName(compile(expression).expression!.type), expected, expression);
});

test("a text that is too long or too deep is a problem of its own", (t) => {
  const code = (source: string, options?: { maxLength: number }): string | undefined =>
    compile(source, options).problems?.[0]?.code;
  t.is(code("plan == 'aaaa'", { maxLength: 10 }), "WEIR_EXPRESSION_TOO_LARGE");
  t.is(code(`${"(".repeat(1000)}1${")".repeat(1000)}`), "WEIR_EXPRESSION_TOO_LARGE");
  t.is(code(`1${" + 1".repeat(1000)}`), "WEIR_EXPRESSION_TOO_LARGE");
  t.is(code(`${"(".repeat(200)}1${")".repeat(200)}`), undefined);
});

test("an evaluation that takes more steps than it may is a fault, and the next one starts anew", (t) => {
  const list = `[${Array.from({ length: 100 }, (_, i) => i)}]`;
  const nested = `${list}.all(a, ${list}.all(b, ${list}.all(c, a + b + c >= 0)))`;
  t.true(evaluate(nested) instanceof Fault);
  const { expression, layout } = compile(`${list}.all(a, a >= 0)`, { maxCost: 1000 });
  const bag = fill(layout, {});
  for (let i = 0; i < 20; i++) t.is(expression!.evaluate(bag), true);
});

test("text that grows costs its length", (t) => {
  const plan = "x".repeat(1_000_000);
  t.true(evaluate("plan + plan + plan", { plan }) instanceof Fault);
  t.true(evaluate("plan.replace('', 'yyyyyyyy')", { plan }) instanceof Fault);
  t.true(evaluate("[plan, plan, plan].join()", { plan }) instanceof Fault);
  t.true(evaluate("[1, 2, 3].map(x, plan.contains('y'))", { plan }) instanceof Fault);
  const doubled = `cel.bind(a, [plan], ${Array.from({ length: 30 }, (_, i) => `cel.bind(${"b".repeat(i + 1)}, [${i === 0 ? "a" : "b".repeat(i)}, ${i === 0 ? "a" : "b".repeat(i)}], `).join("")} ${"b".repeat(30)} == ${"b".repeat(30)} ${")".repeat(30)})`;
  t.true(evaluate(doubled, { plan: "x" }) instanceof Fault, "a billion elements are not walked through");
});

test("patterns of one layout are compiled once, and what is remembered of them is bounded", (t) => {
  const patterns = new PatternCache();
  const first = patterns.regex("a+b");
  t.is(patterns.regex("a+b"), first);
  const meter = new Meter(1_000_000_000);
  if (first instanceof Fault) return t.fail();
  for (let i = 0; i < 100_000; i++) if (first(`${i}aab`, meter) !== true || first(`${i}a`, meter) !== false) t.fail();
  t.true(patterns.remembered <= 256);
  return undefined;
});

test("expressions that share a layout share its slots", (t) => {
  const layout = new Layout();
  compile("plan == 'a'", { layout });
  compile("plan == 'b' && request.headers['k'] == ''", { layout });
  t.deepEqual(
    layout.slots.map(({ name, key }) => key ?? name),
    ["plan", "request.headers", "k"],
  );
});
