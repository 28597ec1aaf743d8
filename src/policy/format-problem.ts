import type { Problem } from "./problem.ts";

export interface FormatOptions {
  /** Whether to colour for a terminal. Default false. */
  readonly color?: boolean;
}

/**
 * A problem as people read it: place, code and message on the first line, then the line of the file with a caret under
 * the mistake, then the hint.
 *
 * ```text
 * policies/ratings.yaml:5:5: error[WEIR_POLICY_UNKNOWN_KEY]: unknown key "unles"
 *   |
 * 5 |     unles: source.namespace == "reviews"
 *   |     ^^^^^
 *   = did you mean "unless"?
 * ```
 */
export function formatProblem(problem: Problem, options: FormatOptions = {}): string {
  const paint = options.color === true ? painted : plain;
  const tone = problem.severity === "error" ? "red" : "yellow";
  const place = `${problem.file}:${problem.line}:${problem.column}`;
  const head = `${visible(place)}: ${paint(`${problem.severity}[${problem.code}]`, tone)}: ${visible(problem.message)}`;
  const number = String(problem.line);
  const margin = " ".repeat(number.length);
  const bar = paint("|", "blue");
  const lines = [paint(head, "bold")];
  if (problem.text !== undefined) {
    const before = problem.column - (problem.textColumn ?? 1);
    const cut = problem.textColumn === undefined ? "" : "... ";
    lines.push(`${margin} ${bar}`);
    lines.push(`${paint(number, "blue")} ${bar} ${cut}${visible(problem.text)}`);
    const blank = " ".repeat(cut.length) + visible(problem.text.slice(0, before)).replaceAll(/[^\t]/gu, " ");
    const under = [...visible(problem.text.slice(before, before + problem.length))].length;
    lines.push(`${margin} ${bar} ${blank}${paint("^".repeat(Math.max(1, under)), tone)}`);
  }
  if (problem.hint !== undefined) lines.push(`${margin} ${paint("=", "blue")} ${visible(problem.hint)}`);
  return lines.join("\n");
}

const colors = { red: "31", yellow: "33", blue: "34", bold: "1" } as const;

function plain(text: string): string {
  return text;
}

function painted(text: string, color: keyof typeof colors): string {
  return `\u001b[${colors[color]}m${text}\u001b[0m`;
}

/** Text of files must not steer the terminal it is shown on. */
function visible(text: string): string {
  return text.replaceAll(/(?!\t)[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, "\ufffd");
}
