import test from "ava";
import fc from "fast-check";
import { Fault } from "../../src/attributes/fault.ts";
import { standardVocabulary } from "../../src/attributes/standard-vocabulary.ts";
import { checkGiven, mergeGiven } from "../../src/cli/policy-test/attributes.ts";
import { readTestFile } from "../../src/cli/policy-test/read-test-file.ts";
import type { TestFile } from "../../src/cli/policy-test/test-file.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

function read(text: string): TestFile {
  const outcome = readTestFile("x.test.yaml", text);
  if ("problems" in outcome) throw new Error(JSON.stringify(outcome.problems, undefined, 2));
  return outcome.test;
}

/** Problems as `line:column code message hint`. */
function problemsOf(text: string): string[] {
  const outcome = readTestFile("x.test.yaml", text);
  if ("test" in outcome) return [];
  return outcome.problems.map(({ line, column, code, message, hint }) =>
    [`${line}:${column}`, code, message, ...(hint === undefined ? [] : [`(${hint})`])].join(" "),
  );
}

const oneCase = (lines: string) => `cases:\n  - name: one\n${lines.replaceAll(/^/gm, "    ")}`;

test("a short case is a check with one step", (t) => {
  const { cases, startMs, policies } = read(oneCase("expect: allow"));
  t.is(policies, undefined);
  t.is(startMs, Date.UTC(2026, 0, 1));
  t.is(cases.length, 1);
  const [step] = cases[0]!.steps;
  t.like(step, { kind: "check", times: 1, afterMs: 0, expect: { outcome: "allow" } });
});

test("all keys of a check's expectation are read", (t) => {
  const { cases } = read(
    oneCase(`
ask: { quotas: { a: 5, b: { amount: 2, best_effort: true } }, dedup_id: id, caller: me, at: ratelimit }
expect:
  deny: resource_exhausted
  by: p/r
  rules: [p/r, q]
  observed: []
  message: { contains: slow }
  http: { status: 429, body: no, headers: { retry-after: "1" } }
  headers: { request: { set: { a: b }, append: { c: [d, e], f: g }, remove: [h] }, response: {} }
  quotas: { a: 5, b: { granted: 0, code: not_found, message: x, valid_for: 1s, reads: [-a] } }
  limits: { r: { allowed: false, amount: 1, window: 1m, remaining: 0, reset: 1s, retry_after: 1500ms, degraded: true } }
  valid_for: 5s
  valid_uses: 10
  reads: [a, "-m[k]"]
  faults: [{ rule: r, part: when, kind: fault }]
  dropped: [{ what: header, reason: bad_value, count: 1 }]`),
  );
  const [step] = cases[0]!.steps;
  t.deepEqual(step!.asked, {
    quotas: new Map([
      ["a", { amount: 5, bestEffort: false }],
      ["b", { amount: 2, bestEffort: true }],
    ]),
    dedupId: "id",
    caller: "me",
    at: "ratelimit",
  });
  t.like(step!.expect, {
    outcome: "resource_exhausted",
    by: "p/r",
    observed: [],
    message: { contains: "slow" },
    validForMs: 5000,
    validUses: 10,
  });
  t.deepEqual(
    step!.expect!.headers!.request!.append,
    new Map([
      ["c", ["d", "e"]],
      ["f", ["g"]],
    ]),
  );
  t.is(step!.expect!.limits!.get("r")!.retry_after, 1500);
  t.deepEqual(step!.expect!.quotas!.get("a"), { granted: 5 });
});

test("steps have their own attributes, times and answers", (t) => {
  const { cases, answers } = read(`
adapters: { judge: { answer: deny, for: [{ input: { value: a }, answer: { allow: true, valid_for: 1s } }] } }
start: 2026-02-03T04:05:06Z
cases:
  - name: one
    given: { request.path: /x }
    steps:
      - { after: 2s, times: 5, every: 100ms, given: { request.method: GET }, adapters: { judge: { answer: timeout } }, expect: allow }
      - report: { response.code: 200 }
        expect: { taken: true, metrics: [{ name: m, labels: { code: 200, ok: true }, value: [1, 2.5] }], logs: [] }
`);
  t.deepEqual(answers.get("judge")!.value, {
    answer: { kind: "deny", code: "permission_denied" },
    for: [{ input: { value: "a" }, answer: { kind: "allow", validForMs: 1000 } }],
  });
  const [check, report] = cases[0]!.steps;
  t.like(check, { kind: "check", afterMs: 2000, times: 5, everyMs: 100 });
  t.deepEqual(check!.answers.get("judge")!.value.answer, { kind: "timeout" });
  t.like(report, { kind: "report", expect: { taken: true, logs: [] } });
  t.deepEqual(report!.expect!.metrics, [
    {
      name: "m",
      labels: new Map([
        ["code", "200"],
        ["ok", "true"],
      ]),
      value: [1, 2.5],
    },
  ]);
});

const mistakes: readonly (readonly [title: string, text: string, ...expected: RegExp[]])[] = [
  [
    "an unknown key of the file",
    `polcy: a.yaml\n${oneCase("expect: allow")}`,
    /^1:1 WEIR_POLICY_UNKNOWN_KEY .*polcy.*did you mean "policy"/,
  ],
  [
    "an unknown key of a case",
    oneCase("givn: {}\nexpect: allow"),
    /^3:5 WEIR_POLICY_UNKNOWN_KEY .*did you mean "given"/,
  ],
  [
    "an unknown key of a step",
    oneCase("steps:\n  - { expct: allow, after: 1s }\n  - expect: allow"),
    /^4:11 WEIR_POLICY_UNKNOWN_KEY .*expect/,
  ],
  [
    "an unknown key of what is expected",
    oneCase("expect: { allow: true, bye: x }"),
    /^3:28 WEIR_POLICY_UNKNOWN_KEY .*did you mean "by"/,
  ],
  [
    "a check that expects metrics",
    oneCase("expect: { allow: true, metrics: [] }"),
    /^3:28 WEIR_POLICY_UNKNOWN_KEY .*metrics/,
  ],
  [
    "a report that expects a refusal",
    oneCase("report: {}\nexpect: { deny: not_found }"),
    /^4:15 WEIR_POLICY_UNKNOWN_KEY .*deny/,
  ],
  [
    "a code that does not exist",
    oneCase("expect: { deny: permision_denied }"),
    /^3:21 WEIR_POLICY_SHAPE .*did you mean "permission_denied"/,
  ],
  ["neither allow nor deny", oneCase("expect: { by: x }"), /^3:13 WEIR_POLICY_SHAPE .*allow.*deny/],
  ["both allow and deny", oneCase("expect: { allow: true, deny: not_found }"), /^3:13 WEIR_POLICY_SHAPE .*allow.*deny/],
  ["allow: false", oneCase("expect: { allow: false }"), /^3:13 WEIR_POLICY_SHAPE .*allow.*deny/],
  ["a word that is no outcome", oneCase("expect: pass"), /^3:13 WEIR_POLICY_SHAPE .*pass/],
  ["a case that expects nothing", oneCase("given: {}"), /^2:11 WEIR_POLICY_SHAPE .*cannot fail/],
  [
    "a change of what no check took",
    oneCase("steps: [{ change: release, of: 1 }, { expect: allow }]"),
    /WEIR_POLICY_SHAPE step 1 is no check before this step/,
  ],
  [
    "a report of a step that does not come before it",
    oneCase("steps: [{ expect: allow }, { report: {}, of: 3 }]"),
    /WEIR_POLICY_SHAPE step 3 is no check before this step/,
  ],
  ["a change of nobody", oneCase("steps: [{ expect: allow }, { change: renew }]"), /a "change" says "of" which check/],
  ["a check of another", oneCase("steps: [{ expect: allow }, { of: 1 }]"), /"of" belongs to a "report" or a "change"/],
  [
    "a change with what it has not",
    oneCase("steps: [{ expect: allow }, { change: refund, of: 1, expect: allow }]"),
    /a "change" has no "report", "ongoing", "ask" or "expect"/,
  ],
  ["steps that expect nothing", oneCase("steps: [{ after: 1s }]"), /^2:11 WEIR_POLICY_SHAPE .*cannot fail/],
  [
    "a case with steps that also expects",
    oneCase("expect: allow\nsteps: [{ expect: allow }]"),
    /^2:11 WEIR_POLICY_SHAPE .*"expect" in its steps/,
  ],
  [
    "a report that asks for quotas",
    oneCase("report: {}\nask: { quotas: { a: 1 } }\nexpect: { taken: true }"),
    /WEIR_POLICY_SHAPE .*no "ask"/,
  ],
  ["a negative amount", oneCase("ask: { quotas: { a: -1 } }\nexpect: allow"), /^3:25 WEIR_POLICY_SHAPE .*amount/],
  ["a duration without a unit", oneCase("steps: [{ after: 2, expect: allow }]"), /^3:22 WEIR_POLICY_SHAPE .*2s/],
  ["no repetition at all", oneCase("steps: [{ times: 0, expect: allow }]"), /^3:22 WEIR_POLICY_SHAPE .*whole number/],
  ["no cases", "policy: a.yaml", /^1:1 WEIR_POLICY_SHAPE .*cases/],
  ["an empty file", "", /^1:1 WEIR_POLICY_SHAPE .*empty.*cases/],
  [
    "two documents",
    `${oneCase("expect: allow")}\n---\n${oneCase("expect: allow")}`,
    /^5:1 WEIR_POLICY_SHAPE .*one document/,
  ],
  [
    "policy and policies",
    `policy: a.yaml\npolicies: [b.yaml]\n${oneCase("expect: allow")}`,
    /^1:9 WEIR_POLICY_SHAPE .*not both/,
  ],
  [
    "a start that is no time",
    `start: noon\n${oneCase("expect: allow")}`,
    /^1:8 WEIR_POLICY_SHAPE .*2026-01-01T00:00:00Z/,
  ],
  [
    "two cases of one name",
    "cases:\n  - { name: a, expect: allow }\n  - { name: a, expect: allow }",
    /^3:13 WEIR_POLICY_DUPLICATE .*"a"/,
  ],
  ["a case without a name", "cases: [{ expect: allow }]", /WEIR_POLICY_SHAPE .*name/],
  [
    "a fixture that does not exist",
    `fixtures: { alice: {} }\n${oneCase("given: { use: [alise] }\nexpect: allow")}`,
    /^4:20 WEIR_POLICY_SHAPE .*"alise".*did you mean "alice"/,
  ],
  [
    "fixtures that use each other",
    `fixtures: { a: { use: b }, b: { use: [a] } }\n${oneCase("expect: allow")}`,
    /WEIR_POLICY_SHAPE .*a -> b -> a/,
  ],
  [
    "an answer that is none",
    `adapters: { x: { answer: maybe } }\n${oneCase("expect: allow")}`,
    /^1:26 WEIR_POLICY_SHAPE .*maybe/,
  ],
  [
    "an answer without an outcome",
    `adapters: { x: { answer: { message: m } } }\n${oneCase("expect: allow")}`,
    /^1:26 WEIR_POLICY_SHAPE .*deny/,
  ],
  [
    "a request that is over and under way",
    oneCase("report: {}\nongoing: {}\nexpect: { metrics: [] }"),
    /WEIR_POLICY_SHAPE .*"report" or "ongoing", not both/,
  ],
  [
    "what is ongoing, with what only a check has",
    oneCase("ongoing: {}\nask: { quotas: { a: 1 } }\nexpect: { metrics: [] }"),
    /WEIR_POLICY_SHAPE .*what is ongoing has no "ask"/,
  ],
  ["a key that stands twice", oneCase("expect: allow\nexpect: allow"), /^4:5 WEIR_POLICY_DUPLICATE/],
  ["text that is no YAML", "cases: [", /WEIR_YAML_SYNTAX/],
];

for (const [title, text, ...expected] of mistakes) {
  test(`a mistake is told with its place: ${title}`, (t) => {
    const found = problemsOf(text);
    t.is(found.length, expected.length, found.join("\n"));
    expected.forEach((pattern, i) => t.regex(found[i]!, pattern));
  });
}

test("all mistakes of a file are told at once", (t) => {
  const found = problemsOf(
    "polcy: x\nfixtures: { a: { use: b } }\ncases:\n  - { name: a, expect: pass }\n  - { nme: b }\n",
  );
  t.is(found.length >= 4, true, found.join("\n"));
});

test("later attributes win over earlier ones, maps are merged key by key, null takes away", (t) => {
  const file = read(`
fixtures:
  base: { request.path: /base, request.method: GET, request.headers: { a: "1", b: "2" }, source.ip: 10.0.0.1 }
  user: { use: base, request.headers: { b: "3", c: "4" }, request.method: null }
cases:
  - name: one
    given: { use: user, request.path: /own, request.headers: { a: null }, wrong_type: source.ip }
    expect: allow
`);
  const merged = mergeGiven(file, standardVocabulary, [file.cases[0]!.given]);
  t.is(merged.get("request.path"), "/own");
  t.false(merged.has("request.method"));
  t.deepEqual(
    merged.get("request.headers"),
    new Map([
      ["b", "3"],
      ["c", "4"],
    ]),
  );
  t.true(merged.get("source.ip") instanceof Fault);
});

test("attributes are held against the vocabulary", (t) => {
  const file = read(
    oneCase(
      'given: { request.pth: /x, source.ip: nowhere, response.code: "x", request.headers: { a: 1 }, request.path: 5, wrong_type: sorce.ip }\nexpect: allow',
    ),
  );
  checkGiven(file.cases[0]!.given, standardVocabulary, file.reading);
  const found = file.reading.problems.sorted().map(({ column, code, hint }) => `${column} ${code} ${hint ?? ""}`);
  t.deepEqual(
    found.map((each) => each.split(" ")[1]),
    [
      "WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE",
      "WEIR_REQUEST_ATTRIBUTE",
      "WEIR_REQUEST_ATTRIBUTE",
      "WEIR_REQUEST_ATTRIBUTE",
      "WEIR_REQUEST_ATTRIBUTE",
      "WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE",
    ],
  );
  t.regex(found[0]!, /did you mean "request.path"/);
  t.regex(found[5]!, /did you mean "source.ip"/);
});

test("no text makes the reader throw", (t) => {
  const seed = oneCase(
    "given: { use: a, request.path: /x }\nsteps: [{ after: 1s, times: 2, expect: { deny: not_found, by: x } }]",
  );
  const mutated = fc
    .tuple(fc.nat(seed.length), fc.nat(8), fc.string({ maxLength: 8 }))
    .map(([at, cut, put]) => seed.slice(0, at) + put + seed.slice(at + cut));
  fc.assert(
    fc.property(fc.oneof(mutated, fc.string()), (text) => {
      const outcome = readTestFile("x.test.yaml", text);
      return "test" in outcome || outcome.problems.length > 0;
    }),
    { numRuns: fuzzRuns(500) },
  );
  t.pass();
});
