import { formatProblem } from "../../policy/format-problem.ts";
import type { JsonValue } from "../../sdk/index.ts";
import type { CaseResult, Failure, FileResult, RunResult } from "./result.ts";
import type { Tried } from "./trace.ts";

export interface TextOptions {
  /** Whether to colour for a terminal. Default false. */
  readonly color?: boolean;
}

type Paint = (text: string, color: keyof typeof colors) => string;

const colors = { red: "31", green: "32", yellow: "33", dim: "2", bold: "1" } as const;

/** The most lines shown of what was tried, and of rules that no case reached. */
const maxLines = 30;

/** A run as people read it. */
export function formatRun(run: RunResult, options: TextOptions = {}): string {
  const paint: Paint =
    options.color === true ? (text, color) => `\u001b[${colors[color]}m${text}\u001b[0m` : (text) => text;
  const lines = run.files.flatMap((file) => [...formatFile(file, paint, options), ""]);
  if (run.unreached.length > 0) {
    lines.push(paint("No case reached:", "yellow"));
    for (const { rule, place } of run.unreached.slice(0, maxLines)) {
      lines.push(`  ${visible(rule)}  ${paint(visible(`${place.file}:${place.line}`), "dim")}`);
    }
    lines.push(...more(run.unreached.length), "");
  }
  const broken = run.files.filter(({ problems }) => problems.length > 0).length;
  const counts = [
    paint(`${run.passed} passed`, run.passed > 0 ? "green" : "dim"),
    paint(`${run.failed} failed`, run.failed > 0 ? "red" : "dim"),
    ...(broken > 0 ? [paint(`${broken} ${broken === 1 ? "file" : "files"} not run`, "red")] : []),
  ];
  lines.push(counts.join(", "));
  return `${lines.join("\n")}\n`;
}

function formatFile({ file, problems, cases }: FileResult, paint: Paint, options: TextOptions): string[] {
  return [
    paint(visible(file), "bold"),
    ...problems.map((problem) => formatProblem(problem, options)),
    ...cases.flatMap((each) => formatCase(each, paint)),
  ];
}

function formatCase({ name, failure }: CaseResult, paint: Paint): string[] {
  if (failure === undefined) return [`  ${paint("✔", "green")} ${visible(name)}`];
  return [`  ${paint(`✘ ${visible(name)}`, "red")}`, ...formatFailure(failure, paint).map((line) => `      ${line}`)];
}

/** Where and how a case failed, line by line. */
export function formatFailure(
  { place, step, steps, time, times, differences, tried }: Failure,
  paint: Paint = plain,
): string[] {
  const where = [
    `${place.file}:${place.line}`,
    ...(steps > 1 ? [`step ${step} of ${steps}`] : []),
    ...(times > 1 ? [`time ${time} of ${times}`] : []),
  ];
  const width = Math.max(0, ...tried.slice(0, maxLines).map(({ name }) => name.length));
  return [
    paint(visible(where.join(", ")), "dim"),
    ...differences.flatMap(({ what, expected, found }) => [
      visible(what),
      `  expected ${paint(show(expected), "green")}`,
      `  found    ${paint(show(found), "red")}`,
    ]),
    ...(tried.length === 0 ? [] : ["rules tried:"]),
    ...tried.slice(0, maxLines).map((each) => `  ${formatTried(each, width, paint)}`),
    ...more(tried.length),
  ];
}

function formatTried({ name, verdict, why }: Tried, width: number, paint: Paint): string {
  return `${visible(name).padEnd(width)}  ${visible(verdict)}${why === undefined ? "" : paint(`  (${visible(why)})`, "dim")}`;
}

function more(count: number): string[] {
  return count > maxLines ? [`  and ${count - maxLines} more`] : [];
}

/** A value in one line, as YAML's flow style has it where that is plain. */
export function show(value: JsonValue): string {
  if (value === null) return "nothing";
  if (typeof value === "string")
    return /^[\w./:@-]+( [\w./:@-]+)*$/.test(value) && !value.includes(": ") ? value : visible(JSON.stringify(value));
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return `[${(value as readonly JsonValue[]).map(show).join(", ")}]`;
  const parts = Object.entries(value).map(([key, each]) => `${visible(key)}: ${show(each as JsonValue)}`);
  return parts.length === 0 ? "{}" : `{ ${parts.join(", ")} }`;
}

function plain(text: string): string {
  return text;
}

/** Text of files must not steer the terminal it is shown on, and stays on its line. */
function visible(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/\s+/g, " ").replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}
