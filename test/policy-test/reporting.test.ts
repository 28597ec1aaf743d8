import test from "ava";
import fc from "fast-check";
import { formatJunit } from "../../src/cli/policy-test/report-junit.ts";
import { formatRun, show } from "../../src/cli/policy-test/report-text.ts";
import type { RunResult } from "../../src/cli/policy-test/result.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

function runOf(name: string, found: string): RunResult {
  const place = { file: name, line: 1, column: 1 };
  const failure = {
    place,
    step: 1,
    steps: 1,
    time: 1,
    times: 1,
    differences: [{ what: "message", expected: name, found }],
    tried: [{ name, reached: true, verdict: "refuses", why: found }],
  };
  return {
    files: [{ file: name, problems: [], cases: [{ name, place, ms: 1.5, failure }] }],
    passed: 0,
    failed: 1,
    unreached: [{ rule: name, place }],
  };
}

/** Names of the elements of an XML text, after its well-formedness was seen: tags that nest, attributes that are quoted, references that exist. */
function elementsOf(xml: string): string[] {
  const open: string[] = [];
  const all: string[] = [];
  let rest = xml.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, "");
  while (rest !== "") {
    const tag = /^<(\/?)([a-z]+)((?: [a-z]+="(?:[^<&"\n\t]|&(?:lt|gt|amp|quot|apos|#\d+);)*")*)(\/?)>/u.exec(rest);
    const text = /^(?:[^<&]|&(?:lt|gt|amp|quot|apos|#\d+);)+/u.exec(rest);
    const found = tag ?? text;
    if (found === null) throw new Error(`not well-formed: ${JSON.stringify(rest.slice(0, 80))}`);
    if (/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(found[0]))
      throw new Error("no character of XML");
    if (tag !== null) {
      const [, closing, name, , empty] = tag;
      if (closing === "/") {
        if (open.pop() !== name) throw new Error(`</${name}> closes nothing`);
      } else {
        all.push(name!);
        if (empty === "") open.push(name!);
      }
    }
    rest = rest.slice(found[0].length);
  }
  if (open.length > 0) throw new Error(`<${open.at(-1)}> is not closed`);
  return all;
}

test("JUnit XML is well-formed whatever the texts are", (t) => {
  const text = fc.string({ unit: "binary", maxLength: 20 });
  fc.assert(
    fc.property(text, text, (name, found) => {
      const elements = elementsOf(formatJunit(runOf(name, found)));
      return elements.join(" ") === "testsuites testsuite testcase failure";
    }),
    {
      numRuns: fuzzRuns(300),
      examples: [
        ["]]>", "\ud800"],
        ["<a b='c'>", "\0\ufffe"],
      ],
    },
  );
  t.pass();
});

// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/;

test("the text report has no control characters but line breaks, whatever the texts are", (t) => {
  const text = fc.string({ unit: "binary", maxLength: 20 });
  fc.assert(
    fc.property(text, text, (name, found) => !control.test(formatRun(runOf(name, found)))),
    { numRuns: fuzzRuns(300) },
  );
  t.pass();
});

test("colours are only there when they are asked for", (t) => {
  t.false(formatRun(runOf("a", "b")).includes("\u001b"));
  t.true(formatRun(runOf("a", "b"), { color: true }).includes("\u001b[31m"));
});

test("long lists are cut with a count", (t) => {
  const run = runOf("a", "b");
  const many = { ...run, unreached: Array.from({ length: 1000 }, () => run.unreached[0]!) };
  const text = formatRun(many);
  t.true(text.includes("and 970 more"));
  t.true(text.split("\n").length < 60);
});

for (const [value, shown] of [
  [null, "nothing"],
  ["plain text", "plain text"],
  ["", '""'],
  ["a: b", '"a: b"'],
  [1.5, "1.5"],
  [true, "true"],
  [[], "[]"],
  [{}, "{}"],
  [{ deny: "not_found", by: ["a/b", "c"] }, "{ deny: not_found, by: [a/b, c] }"],
] as const) {
  test(`a value is shown in one line: ${shown}`, (t) => {
    t.is(show(value), shown);
  });
}
