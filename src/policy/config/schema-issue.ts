import { describe, type Node } from "../yaml/node.ts";

/** What a schema has found wrong, as Standard Schema has it; Zod says more beside it. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly unknown[] | undefined;
}

/** The part of an issue of Zod 4 that is read here. Any of it may be something else. */
interface ZodIssue {
  readonly code?: unknown;
  readonly expected?: unknown;
  readonly values?: unknown;
  readonly errors?: unknown;
  readonly origin?: unknown;
  readonly minimum?: unknown;
  readonly maximum?: unknown;
  readonly inclusive?: unknown;
}

/**
 * What a schema expects in place of what it found, to stand behind "expected": by what Zod says beside its own message, or by
 * a message in that form. `undefined` where neither tells.
 */
export function expectedBy(issue: SchemaIssue): string | undefined {
  if (hasOwnWords(issue)) return /^expected (.+?)(, got .*)?$/s.exec(issue.message)?.[1]?.slice(0, 500);
  return expectedIn(issue as ZodIssue);
}

/** Whether the adapter says in words of its own what is wrong. */
export function hasOwnWords({ message }: SchemaIssue): boolean {
  return !/^(Invalid|Too small|Too big)\b/.test(message);
}

/**
 * What was found. Of texts only those are shown that should be one of a few, and of numbers those that are too small or too
 * large: anything else may be a secret, or a password that lacks its quotes.
 */
export function foundBy(issue: SchemaIssue, node: Node): string {
  const { code } = issue as ZodIssue;
  if (node.kind === "list" && node.items.length === 0) return "an empty list";
  if (node.kind !== "scalar" || node.text === "" || code === "invalid_value") return describe(node);
  if (typeof node.value === "string") return "a text";
  return typeof node.value === "number" && (code === "invalid_type" || code === "invalid_union")
    ? "a number"
    : describe(node);
}

/** Whether a schema misses something, rather than having its own doubts about what goes together. */
export function isOfShape(issue: SchemaIssue): boolean {
  const { code } = issue as ZodIssue;
  return typeof code === "string" && code !== "custom";
}

const types: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a map",
  record: "a map",
};

function expectedIn(issue: ZodIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return types[String(issue.expected)];
    case "invalid_value":
      return Array.isArray(issue.values) ? oneOf(issue.values.map(String)) : undefined;
    case "invalid_union":
      return expectedOfEither(issue.errors);
    case "too_small":
      return bounded(issue.origin, issue.inclusive === false ? "above" : "of at least", issue.minimum);
    case "too_big":
      return bounded(issue.origin, issue.inclusive === false ? "below" : "of at most", issue.maximum);
    default:
      return undefined;
  }
}

function oneOf(values: readonly string[]): string | undefined {
  return values.length > 1 ? `one of ${values.join(", ")}` : values[0];
}

/** Of alternatives only where each is wrong as a whole. */
function expectedOfEither(alternatives: unknown): string | undefined {
  if (!Array.isArray(alternatives) || alternatives.length === 0) return undefined;
  const each = alternatives.map((issues: unknown) => {
    const [issue] = Array.isArray(issues) ? (issues as (ZodIssue & SchemaIssue)[]) : [];
    return issue?.path?.length === 0 ? expectedIn(issue) : undefined;
  });
  return each.includes(undefined) ? undefined : [...new Set(each)].join(" or ");
}

function bounded(origin: unknown, bound: string, limit: unknown): string | undefined {
  switch (origin) {
    case "number":
    case "int":
      return `a number ${bound} ${String(limit)}`;
    case "string":
      return limit === 1 && bound === "of at least"
        ? "a text that is not empty"
        : `a text ${bound} ${String(limit)} characters`;
    case "array":
      return limit === 1 && bound === "of at least"
        ? "a list that is not empty"
        : `a list ${bound} ${String(limit)} entries`;
    default:
      return undefined;
  }
}
