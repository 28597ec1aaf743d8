import type { Command } from "commander";
import { standardVocabulary } from "../attributes/standard-vocabulary.ts";
import { parseValue } from "../attributes/text.ts";
import type { StringMap, Value } from "../attributes/value.ts";
import { type ExpressionProblem, typeName } from "../expression/index.ts";
import { formatProblem } from "../policy/index.ts";
import { nearest } from "../util/nearest.ts";
import { WeirError } from "../util/weir-error.ts";
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
The exit status is 1 when the expression has a mistake or no value. Types of attributes are those of the built-in
vocabulary.

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
          evalOne(expression, readAttributes(given), options, io);
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

function evalOne(expression: string, attributes: ReadonlyMap<string, Value>, options: EvalOptions, io: Io): void {
  const evaluation = evaluateOnce(expression, standardVocabulary, attributes);
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

/** Reads `name=value` and `name[key]=value` with the types of the built-in vocabulary. */
function readAttributes(given: readonly string[]): Map<string, Value> {
  const attributes = new Map<string, Value>();
  for (const argument of given) {
    const m = /^([^=[]+)(?:\[([^\]]*)\])?=(.*)$/s.exec(argument);
    if (m === null) throw new WeirError("WEIR_USAGE", `expected name=value, found ${JSON.stringify(argument)}`);
    const [, name, key, value] = m as unknown as [string, string, string | undefined, string];
    const attribute = standardVocabulary.get(name);
    if (attribute === undefined) {
      const near = nearest(name, standardVocabulary.keys());
      const hint = near === undefined ? "" : `; did you mean "${near}"?`;
      throw new WeirError("WEIR_USAGE", `expected an attribute, found "${name}"${hint}`);
    }
    if (key !== undefined && attribute.type !== "string_map")
      throw new WeirError("WEIR_USAGE", `expected ${name}=value: ${name} is no map but of type ${attribute.type}`);
    const map = attributes.get(name) as StringMap | undefined;
    const read = key === undefined ? parseValue(attribute.type, value) : new Map([...(map ?? []), [key, value]]);
    if (read === undefined)
      throw new WeirError("WEIR_USAGE", `expected a value of type ${attribute.type} for ${name}, found "${value}"`);
    attributes.set(name, read);
  }
  return attributes;
}
