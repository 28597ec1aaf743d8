import { Fault } from "../attributes/fault.ts";
import { standardVocabulary } from "../attributes/standard-vocabulary.ts";
import { parseJsonValue, parseValue } from "../attributes/text.ts";
import type { AttributeType, Value } from "../attributes/value.ts";
import type { Attribute, Vocabulary } from "../attributes/vocabulary.ts";
import { evaluateOnce } from "./evaluation.ts";
import type { Io } from "./io.ts";
import { attributeTypeOf } from "./typed-json.ts";

/** The longest line that is read, in UTF-16 units. */
const maxLineLength = 1024 * 1024;

type Phase = "parse" | "type" | "eval";

/** What is wrong with a line; its answer is an error of phase `parse`. */
class LineProblem extends Error {}

/** Answers each line of JSON from standard input with one line of JSON. */
export async function evalBatch(io: Io): Promise<void> {
  for await (const line of linesOf(io.stdin))
    io.out(`${JSON.stringify(line === undefined ? tooLong : answer(line))}\n`);
}

const tooLong = failure("parse", `expected a line of at most ${maxLineLength} characters`);

function failure(phase: Phase, message: string): object {
  return { error: { phase, message } };
}

/** Lines without their ends; `undefined` for one that is too long, of which no more than the limit is held. */
async function* linesOf(input: AsyncIterable<Uint8Array | string>): AsyncGenerator<string | undefined> {
  const decoder = new TextDecoder();
  let line = "";
  let long = false;
  for await (const chunk of input) {
    const text = typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      if (!long) line += text.slice(from, end);
      yield long || line.length > maxLineLength ? undefined : line;
      line = "";
      long = false;
      from = end + 1;
    }
    if (!long) line += text.slice(from);
    if (line.length > maxLineLength) {
      long = true;
      line = "";
    }
  }
  line += decoder.decode();
  if (long) yield undefined;
  else if (line !== "") yield line;
}

function answer(line: string): object {
  try {
    const request = objectOf(parseJson(line), "the line");
    const { expr } = request;
    if (typeof expr !== "string") throw new LineProblem('expected "expr", a string');
    const vocabulary = vocabularyOf(request["vocabulary"]);
    return evaluated(expr, vocabulary, attributesOf(request["attributes"], vocabulary));
  } catch (error) {
    if (error instanceof LineProblem) return failure("parse", error.message);
    throw error;
  }
}

function evaluated(expr: string, vocabulary: Vocabulary, attributes: ReadonlyMap<string, Value | Fault>): object {
  const evaluation = evaluateOnce(expr, vocabulary, attributes);
  switch (evaluation.kind) {
    case "value": {
      const { value, referenced } = evaluation;
      return { type: value.type, value, referenced };
    }
    case "problems": {
      const messages = evaluation.problems.map(({ message, suggestion, span }) => {
        const hint = suggestion === undefined ? "" : `; did you mean ${JSON.stringify(suggestion)}?`;
        return `column ${span.offset + 1}: ${message}${hint}`;
      });
      return failure(evaluation.problems[0]!.phase, messages.join("\n"));
    }
    case "fault":
      return failure("eval", evaluation.message);
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new LineProblem(`expected a line of JSON: ${(error as SyntaxError).message}`);
  }
}

function objectOf(json: unknown, what: string): Record<string, unknown> {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new LineProblem(`expected ${what} to be a JSON object`);
  return json as Record<string, unknown>;
}

/** The words of the line; the built-in vocabulary when it has none. */
function vocabularyOf(json: unknown): Vocabulary {
  if (json === undefined) return standardVocabulary;
  const words = new Map<string, Attribute>();
  for (const [name, typeName] of Object.entries(objectOf(json, '"vocabulary"')))
    words.set(name, { name, type: typeOf(typeName, name), known: "check", description: "" });
  return words;
}

function typeOf(typeName: unknown, name: string): AttributeType {
  const type = attributeTypeOf(typeName);
  if (type === undefined) throw new LineProblem(`expected a type such as STRING for ${name}, found ${show(typeName)}`);
  return type;
}

function attributesOf(json: unknown, vocabulary: Vocabulary): Map<string, Value | Fault> {
  const attributes = new Map<string, Value | Fault>();
  for (const [name, given] of Object.entries(json === undefined ? {} : objectOf(json, '"attributes"'))) {
    const { type: typeName, value: text } = objectOf(given, `the attribute ${name}`);
    const type = typeOf(typeName, name);
    const value = parseJsonValue(type, text) ?? (typeof text === "string" ? parseValue(type, text) : undefined);
    if (value === undefined)
      throw new LineProblem(`expected a value of type ${String(typeName)} for ${name}, found ${show(text)}`);
    const declared = vocabulary.get(name)?.type;
    const fits = declared === undefined || declared === type;
    attributes.set(name, fits ? value : new Fault(`${name} has a value of type ${type}, not of its type ${declared}`));
  }
  return attributes;
}

function show(json: unknown): string {
  return (JSON.stringify(json) ?? "nothing").slice(0, 80);
}
