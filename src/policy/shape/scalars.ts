import type { ErrorCode } from "../../util/error-codes.ts";
import { nearest } from "../../util/nearest.ts";
import type { Node, ScalarNode } from "../yaml/node.ts";
import type { JsonSchema, Located, Shape } from "./shape.ts";

/** What a parser of text makes of it: a value, or what is wrong with it. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string; readonly hint?: string };

/**
 * A value that is written as text and read by `parse`. Numbers and booleans count as the text that they are written
 * as; nothing (`key:`) does not.
 */
export function parsedText<T>(options: {
  readonly expected: string;
  readonly parse: (text: string) => Parsed<T> | undefined;
  readonly schema: JsonSchema;
  readonly code?: ErrorCode;
}): Shape<Located<T>> {
  const { expected, parse, schema, code } = options;
  return {
    expected,
    schema,
    read(node, reading) {
      if (node.kind !== "scalar" || node.value === null) return reading.mismatch(node, expected, code);
      const parsed = parse(node.text);
      if (parsed === undefined) return reading.mismatch(node, expected, code);
      if ("value" in parsed) return { value: parsed.value, node };
      return reading.tell(node, { code: code ?? "WEIR_POLICY_SHAPE", message: parsed.problem, hint: parsed.hint });
    },
  };
}

/** Any text. */
export function text(expected = "a text"): Shape<Located<string>> {
  return parsedText({ expected, parse: (value) => ({ value }), schema: { type: ["string", "number", "boolean"] } });
}

/** A text of a pattern. The pattern is anchored and takes linear time. */
export function word(expected: string, pattern: RegExp, maxLength: number): Shape<Located<string>> {
  return parsedText({
    expected: `${expected} (at most ${maxLength} characters)`,
    parse: (value) => (value.length <= maxLength && pattern.test(value) ? { value } : undefined),
    schema: { type: "string", pattern: pattern.source, maxLength },
  });
}

/** One of a few words. */
export function choice<const T extends string>(
  expected: string,
  values: readonly T[],
  absent?: Readonly<Record<string, string>>,
): Shape<Located<T>> {
  const list = values.join(", ");
  return parsedText({
    expected: `${expected}: ${list}`,
    parse(value) {
      const found = values.find((each) => each === value);
      if (found !== undefined) return { value: found };
      const near = nearest(value, values);
      const why = absent !== undefined && Object.hasOwn(absent, value) ? absent[value] : undefined;
      const problem = `expected ${expected}, got "${value.slice(0, 60)}"`;
      return { problem, hint: why ?? (near === undefined ? `known are ${list}` : `did you mean "${near}"?`) };
    },
    schema: { enum: values },
  });
}

/** A whole number. */
export function integer(expected: string, min: number, max: number): Shape<Located<number>> {
  return {
    expected,
    schema: { type: "integer", minimum: min, maximum: max },
    read(node, reading) {
      const value = node.kind === "scalar" ? node.value : null;
      if (typeof value !== "number" || !Number.isInteger(value)) return reading.mismatch(node, expected);
      if (value >= min && value <= max) return { value, node };
      return reading.mismatch(node, `${expected} from ${min} to ${max}`);
    },
  };
}

/** `true` or `false`. */
export function boolean(expected = "true or false"): Shape<Located<boolean>> {
  return {
    expected,
    schema: { type: "boolean" },
    read(node, reading) {
      const value = node.kind === "scalar" ? node.value : null;
      return typeof value === "boolean" ? { value, node } : reading.mismatch(node, expected);
    },
  };
}

/** A number, within bounds where there are any. */
export function number(expected: string, min = -Infinity, max = Infinity): Shape<Located<number>> {
  const bounds = Number.isFinite(max) ? { minimum: min, maximum: max } : {};
  return {
    expected,
    schema: { type: "number", ...bounds },
    read(node, reading) {
      const value = node.kind === "scalar" ? node.value : null;
      if (typeof value !== "number" || !Number.isFinite(value)) return reading.mismatch(node, expected);
      if (value >= min && value <= max) return { value, node };
      return reading.mismatch(node, `${expected} from ${min} to ${max}`);
    },
  };
}

/** A number above a bound. */
export function numberAbove(bound: number): Shape<Located<number>> {
  const expected = `a number above ${bound}`;
  const any = number(expected);
  return {
    expected,
    schema: { type: "number", exclusiveMinimum: bound },
    read(node, reading) {
      const read = any.read(node, reading);
      return read === undefined || read.value > bound ? read : reading.mismatch(node, expected);
    },
  };
}

/** The text of an expression, with its place. */
export interface ExpressionText {
  readonly text: string;
  readonly node: ScalarNode;
}

/** An expression. Only that it is a text is known here; the compiler does the rest. */
export function expression(expected: string): Shape<ExpressionText> {
  return {
    expected,
    schema: { type: ["string", "number", "boolean"] },
    read(node, reading) {
      if (node.kind === "scalar" && node.value !== null && node.text.trim() !== "") return { text: node.text, node };
      const hint = node.kind === "scalar" ? undefined : "put the expression in quotes";
      return reading.mismatch(node, expected, "WEIR_POLICY_SHAPE", hint);
    },
  };
}

/** Anything, as a node. */
export function anything(expected: string, schema: JsonSchema = {}): Shape<Node> {
  return { expected, schema, read: (node) => node };
}
