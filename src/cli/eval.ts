import type { Command } from "commander";
import { type ExpressionProblem, typeName } from "../expression/index.ts";
import { formatProblem } from "../policy/index.ts";
import { WeirError } from "../util/weir-error.ts";
import { attributeHelp, readAttributeArguments, type AttributeArguments } from "./attribute-arguments.ts";
import { evalBatch } from "./eval-batch.ts";
import { evaluateOnce } from "./evaluation.ts";
import type { Io } from "./io.ts";

export function addEvalCommand(program: Command, io: Io): void {
  program
    .command("eval")
    .description("Evaluate one expression against attributes. Needs no running hub.")
    .argument("[expression]", "an expression as policies have it")
    .argument("[attributes...]", "name=value, or name[key]=value for one entry of a map")
    .option("--batch", "read JSON lines from standard input and answer one line each")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      `
The value goes to standard output, then its type and what was read; "-" stands before what was looked for and is absent.
The exit status is 1 when the expression has a mistake or no value.

${attributeHelp}

Examples:
  $ weir eval 'inCidr(source.ip, "10.0.0.0/8") && request.headers["x-plan"] == "gold"' \\
      source.ip=10.1.2.3 'request.headers[x-plan]=gold'
  true
  type  bool
  read  request.headers[x-plan], source.ip

  $ echo '{"expr": "a + 1", "vocabulary": {"a": "INT64"}, "attributes": {"a": {"type": "INT64", "value": "2"}}}' \\
      | weir eval --batch
  {"type":"INT64","value":{"type":"INT64","value":"3"},"referenced":["a"]}`,
    )
    .action(
      async (expression: string | undefined, given: readonly string[], options: EvalOptions, command: Command) => {
        if (options.batch === true) return evalBatch(io);
        if (expression === undefined) command.error("error: missing argument 'expression' (or --batch)");
        try {
          evalOne(expression, readAttributeArguments(given), options, io);
        } catch (error) {
          if (!(error instanceof WeirError)) throw error;
          command.error(`error: ${error.message}`);
        }
      },
    );
}

interface EvalOptions {
  readonly batch?: boolean;
  readonly json?: boolean;
}

function evalOne(expression: string, given: AttributeArguments, options: EvalOptions, io: Io): void {
  const evaluation = evaluateOnce(expression, given.vocabulary, new Map(Object.entries(given.attributes)));
  if (evaluation.kind !== "value") io.exitCode = 1;
  if (options.json === true) {
    io.out(
      `${JSON.stringify(evaluation, (key, value: unknown) => (key === "type" && isType(value) ? typeName(value) : value))}\n`,
    );
    return;
  }
  switch (evaluation.kind) {
    case "problems":
      for (const problem of evaluation.problems) io.err(`${shown(expression, problem)}\n\n`);
      return;
    case "fault":
      io.err(`no value: ${evaluation.message}\n`);
      break;
    case "value":
      io.out(`${text(evaluation.value.value)}\ntype  ${typeName(evaluation.type)}\n`);
  }
  const read = evaluation.referenced.join(", ") || "nothing";
  (evaluation.kind === "value" ? io.out : io.err)(`read  ${read}\n`);
}

function isType(value: unknown): value is Parameters<typeof typeName>[0] {
  return typeof value === "object" && value !== null && "kind" in value;
}

function text(json: unknown): string {
  return typeof json === "string" ? json : JSON.stringify(json);
}

/** A problem as policy files show theirs, with the line and a caret. */
function shown(expression: string, { code, message, span, suggestion }: ExpressionProblem): string {
  const before = expression.slice(0, span.offset).split("\n");
  const line = before.length;
  const column = before.at(-1)!.length + 1;
  const whole = expression.split("\n")[line - 1]!;
  const length = Math.max(1, Math.min(span.length, whole.length - column + 1));
  const hint = suggestion === undefined ? {} : { hint: `did you mean "${suggestion}"?` };
  return formatProblem({
    file: "expression",
    line,
    column,
    code,
    severity: "error",
    message,
    length,
    text: whole,
    ...hint,
  });
}
