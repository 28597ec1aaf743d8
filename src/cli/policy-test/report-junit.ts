import { formatProblem } from "../../policy/format-problem.ts";
import { formatFailure } from "./report-text.ts";
import type { CaseResult, FileResult, RunResult } from "./result.ts";

/**
 * A run in the XML of JUnit, as CI systems read it: a suite for each file, a case for each case; what is wrong with a
 * file is an error of its suite's only case.
 */
export function formatJunit(run: RunResult): string {
  const broken = run.files.filter(hasProblems).length;
  const total = run.passed + run.failed + broken;
  const suites = run.files.map(suite).join("");
  const counts = `tests="${total}" failures="${run.failed}" errors="${broken}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="weir test" ${counts}>\n${suites}</testsuites>\n`;
}

function suite(file: FileResult): string {
  const failed = file.cases.filter(({ failure }) => failure !== undefined).length;
  const errors = hasProblems(file) ? 1 : 0;
  const time = seconds(file.cases.reduce((sum, { ms }) => sum + ms, 0));
  const name = escape(file.file);
  const cases = file.cases.map((each) => testcase(name, each)).join("");
  const problems = errors === 0 ? "" : problemCase(name, file);
  const counts = `tests="${file.cases.length + errors}" failures="${failed}" errors="${errors}" time="${time}"`;
  return `  <testsuite name="${name}" ${counts}>\n${problems}${cases}  </testsuite>\n`;
}

function testcase(file: string, { name, ms, failure }: CaseResult): string {
  const open = `    <testcase name="${escape(name)}" classname="${file}" time="${seconds(ms)}"`;
  if (failure === undefined) return `${open}/>\n`;
  const message = failure.differences.map(({ what }) => what).join(", ");
  const text = escape(formatFailure(failure).join("\n"));
  return `${open}>\n      <failure message="${escape(message)}">${text}</failure>\n    </testcase>\n`;
}

function problemCase(file: string, { problems }: FileResult): string {
  const text = escape(problems.map((problem) => formatProblem(problem)).join("\n"));
  const message = escape(problems[0]?.message ?? "");
  return `    <testcase name="the file is in order" classname="${file}" time="0">\n      <error message="${message}">${text}</error>\n    </testcase>\n`;
}

function hasProblems({ problems }: FileResult): boolean {
  return problems.some(({ severity }) => severity === "error");
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

const entities: Readonly<Record<string, string>> = {
  "<": "&lt;",
  ">": "&gt;",
  "&": "&amp;",
  '"': "&quot;",
  "'": "&apos;",
  // Attributes would have them turned into spaces.
  "\n": "&#10;",
  "\t": "&#9;",
};

/** Characters of XML 1.0 (https://www.w3.org/TR/xml/#charsets); others cannot be written even as references. */
function escape(text: string): string {
  return text
    .replaceAll(/[^\t\n\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replaceAll(/[<>&"'\n\t]/g, (character) => entities[character]!);
}
