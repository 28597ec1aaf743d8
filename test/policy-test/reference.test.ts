import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { readTestFile } from "../../src/cli/policy-test/read-test-file.ts";
import { answerRecord } from "../../src/cli/policy-test/shape/answer.ts";
import { askRecord, descriptorRecord } from "../../src/cli/policy-test/shape/asked.ts";
import * as expectation from "../../src/cli/policy-test/shape/expectation.ts";
import { caseRecord, fileRecord, stepRecord } from "../../src/cli/policy-test/shape/test-file.ts";
import { formatProblem } from "../../src/policy/index.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const page = readFileSync(join(root, "docs/testing-policies.md"), "utf8");

/** The tables of the page, each a list of rows, each a list of cells. The head is left out. */
const tables = page
  .split(/\n(?!\|)/)
  .map((part) => part.split("\n").filter((line) => line.startsWith("| `")))
  .filter((lines) => lines.length > 0)
  .map((lines) =>
    lines.map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    ),
  );

const records = {
  "the file": fileRecord,
  "a case": caseRecord,
  "a step": stepRecord,
  ask: askRecord,
  "a descriptor": descriptorRecord,
  "a check": expectation.checkRecord,
  "a limit": expectation.limitRecord,
  "a quota": expectation.quotaRecord,
  "a report": expectation.reportRecord,
  "a metric": expectation.metricRecord,
  "a log entry": expectation.logRecord,
  "a span": expectation.spanRecord,
  "a fault": expectation.faultRecord,
  "a drop": expectation.dropRecord,
  "an adapter": answerRecord,
};

Object.entries(records).forEach(([title, { fields }], i) => {
  test(`docs/testing-policies.md has every key of ${title}, in its order, and no other`, (t) => {
    const wanted = Object.entries(fields).map(([key, { description, required, default: left }]) =>
      [`\`${key}\``, description, required === true ? "required" : (left ?? "not compared")].slice(
        0,
        tables[i]![0]!.length,
      ),
    );
    t.deepEqual(tables[i], wanted);
  });
});

test("docs/testing-policies.md has no other table", (t) => {
  t.is(tables.length, Object.keys(records).length);
});

/** An example as a whole file: a list is one of cases, or of steps; other parts get a case beside them. */
function asFile(example: string): string {
  const indented = example.replaceAll(/^/gm, "  ");
  const aCase = "cases: [{ name: a, expect: allow }]\n";
  if (example.startsWith("- name:")) return `cases:\n${indented}`;
  if (example.startsWith("- ")) return `cases:\n  - name: a\n    steps:\n${indented.replaceAll(/^/gm, "    ")}`;
  return example.includes("cases:") ? example : `${example}${aCase}`;
}

test("docs/testing-policies.md: every YAML example is of the shape", (t) => {
  const examples = [...page.matchAll(/```yaml\n([^]*?)```/g)].map((m) => m[1]!);
  t.true(examples.length >= 4);
  for (const example of examples) {
    const outcome = readTestFile("example.test.yaml", asFile(example));
    t.is("problems" in outcome ? outcome.problems.map((each) => formatProblem(each)).join("\n") : "", "", example);
  }
});
