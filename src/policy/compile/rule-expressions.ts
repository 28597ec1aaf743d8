import type { Layout } from "../../attributes/layout.ts";
import type { Phase, Vocabulary } from "../../attributes/vocabulary.ts";
import { attributeTypes } from "../../attributes/value.ts";
import { compileExpression, typeName } from "../../expression/index.ts";
import type { Compiled, Expression, ExpressionProblem, Type } from "../../expression/index.ts";
import type { ErrorCode } from "../../util/error-codes.ts";
import type { ExpressionText } from "../shape/scalars.ts";
import type { Reading } from "../shape/shape.ts";
import { scalarRange } from "../yaml/scalar-offset.ts";

/** What an expression has to be, by the part of a rule that it stands in. */
export interface Accepted {
  /** As it stands after "expected ". */
  readonly expected: string;
  readonly kinds: ReadonlySet<Type["kind"]>;
}

const texts = ["string", "email", "uri", "dns_name"] as const;

function accepted(expected: string, kinds: readonly Type["kind"][]): Accepted {
  return { expected, kinds: new Set(kinds) };
}

export const condition = accepted("bool", ["bool"]);
export const textual = accepted("string", texts);
export const whole = accepted("int", ["int64"]);
export const instant = accepted("a timestamp", ["timestamp"]);
export const quantity = accepted("a number or a duration", ["int64", "double", "duration"]);
export const scalar = accepted(
  "a scalar (text, number, bool, ip, timestamp, duration or bytes)",
  attributeTypes.filter((type) => type !== "string_map"),
);
/** What a log can show. */
export const showable = accepted("a value that JSON can show", [...attributeTypes, "null", "list", "map"]);

/** The types that fit each type of an adapter's input. */
export function inputOf(type: "any" | (typeof attributeTypes)[number]): Accepted {
  if (type === "any") return scalar;
  if (type === "string") return textual;
  return accepted(type === "int64" ? "int" : type, [type]);
}

export interface ExpressionLimits {
  readonly maxLength: number;
  readonly maxCost: number;
}

/** Where the attributes lie that check rules read, and where those that report rules read: a bag of each for each. */
export type Layouts = Readonly<Record<Phase, Layout>>;

/**
 * Compiles the expressions of one set of policies, those of check rules over one layout and those of report rules over
 * another: what only reports are asked for costs a check nothing. Rules of a phase that hold the same text share one
 * expression: expressions do not change.
 */
export class RuleExpressions {
  readonly layouts: Layouts;
  readonly vocabulary: Vocabulary;
  readonly #limits: ExpressionLimits;
  readonly #compiled = new Map<string, Compiled>();

  constructor(vocabulary: Vocabulary, layouts: Layouts, limits: ExpressionLimits) {
    this.vocabulary = vocabulary;
    this.layouts = layouts;
    this.#limits = limits;
  }

  /** The expression, or `undefined` when it is not one or not of an accepted type, which is told with its place. */
  compile<T>(reading: Reading, text: ExpressionText, phase: Phase, accepts: Accepted): Expression<T> | undefined {
    const compiled = this.#compile(text.text, phase, this.#limits.maxLength);
    if (compiled.problems !== undefined) {
      for (const problem of compiled.problems) tell(reading, text, problem);
      return undefined;
    }
    const { expression } = compiled;
    if (accepts.kinds.has(expression.type.kind)) return expression as Expression<T>;
    const message = `expected ${accepts.expected}, got an expression of the type ${typeName(expression.type)}`;
    const hint = typeHint(accepts, expression.type);
    return reading.tell(visiblePart(reading, text), { code: "WEIR_EXPRESSION_TYPE", message, hint });
  }

  /** An expression of our own making; it has no place and must compile. */
  compose<T>(source: string, phase: Phase): Expression<T> {
    const compiled = this.#compile(source, phase, source.length);
    if (compiled.expression !== undefined) return compiled.expression as Expression<T>;
    throw new Error(`a composed expression does not compile: ${compiled.problems?.[0]?.message}`);
  }

  #compile(source: string, phase: Phase, maxLength: number): Compiled {
    const key = `${phase} ${source}`;
    const known = this.#compiled.get(key);
    if (known !== undefined) return known;
    const environment = { vocabulary: this.vocabulary, layout: this.layouts[phase], phase };
    const compiled = compileExpression(source, environment, { maxLength, maxCost: this.#limits.maxCost });
    this.#compiled.set(key, compiled);
    return compiled;
  }
}

function tell(reading: Reading, text: ExpressionText, problem: ExpressionProblem): void {
  const { start, end } = scalarRange(reading.source.text, text.node, problem.span.offset, problem.span.length);
  const code = problem.code as ErrorCode;
  reading.tell({ start, end }, { code, message: problem.message, hint: hintFor(reading, text, problem) });
}

/** The nearest name, or what YAML did to the text before it came to us. */
function hintFor(reading: Reading, { node, text }: ExpressionText, problem: ExpressionProblem): string | undefined {
  if (problem.suggestion !== undefined) return `did you mean "${problem.suggestion}"?`;
  const habit = habitHint(text, problem);
  if (habit !== undefined) return habit;
  if (problem.code === "WEIR_EXPRESSION_REPORT_ATTRIBUTE")
    return "a check happens before the request; report rules may read it";
  if (problem.code === "WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE" && node.style !== "block" && /^[\w.-]+$/.test(text))
    return `for the text itself write it in two pairs of quotes: '"${text}"'`;
  const rest = reading.source.text.slice(node.end, node.end + 3);
  if (problem.code === "WEIR_EXPRESSION_SYNTAX" && node.style === "plain" && /^[ \t]+#/.test(rest))
    return `" #" begins a comment in YAML: put the expression in quotes`;
  return undefined;
}

/** How that is written here which other languages write otherwise. */
function habitHint(text: string, { code, span }: ExpressionProblem): string | undefined {
  const before = text.slice(0, span.offset);
  const found = text.slice(span.offset, span.offset + span.length);
  if (code === "WEIR_EXPRESSION_SYNTAX") {
    const operator = found === "and" ? "&&" : found === "or" ? "||" : undefined;
    if (operator !== undefined) return `"${found}" is written ${operator}`;
    if (/(^|[^\w.])not\s+$/.test(before)) return `"not" is written !`;
    const amount = /(?<![\w.])\d+$/.exec(before)?.[0];
    if (amount !== undefined && /^(ms|s|m|h|d)$/.test(found))
      return `a duration is written duration("${amount}${found}")`;
  }
  if (code === "WEIR_EXPRESSION_TYPE" || code === "WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE") {
    const isRest = code === "WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE";
    const [, map, key] = /([\w.]+\.headers)\.(\w+(?:-\w+)+)$/.exec(isRest ? before + found : found) ?? [];
    if (key !== undefined) return `a header is written ${map}["${key}"]`;
  }
  return undefined;
}

function typeHint(accepts: Accepted, type: Type): string | undefined {
  if (accepts === textual && type.kind !== "optional") return "string(...) makes a text of it";
  if (accepts.kinds.has("double") && type.kind === "int64") return "double(...) makes a double of it";
  if (accepts.kinds.has("int64") && (type.kind === "uint64" || type.kind === "double"))
    return "int(...) makes an int of it";
  if (type.kind === "optional") return "end it with .orValue(...) to say what holds when it is empty";
  if (type.kind === "dyn") return "say which type it has: string(...), int(...), double(...)";
  if (accepts === condition && texts.some((kind) => kind === type.kind)) return "compare it with something";
  return undefined;
}

function visiblePart(reading: Reading, text: ExpressionText): { readonly start: number; readonly end: number } {
  return scalarRange(reading.source.text, text.node, 0, text.text.length);
}
