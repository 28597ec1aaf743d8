import type { ErrorCode } from "../../util/error-codes.ts";
import type { Problems } from "../problems.ts";
import { describe } from "../yaml/node.ts";
import type { Node } from "../yaml/node.ts";
import { problemAt } from "../yaml/source.ts";
import type { Finding, Source } from "../yaml/source.ts";

/** A JSON Schema (draft 2020-12), as far as shapes write it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * What a value in a file has to look like. One description serves three: reading with problems that name their place,
 * the JSON Schema for editors, and the reference in the documentation.
 */
export interface Shape<T> {
  /** What is expected, as it stands after "expected ": `a duration such as 30s`. */
  readonly expected: string;
  /** The value, or `undefined` when a problem was told. */
  read(node: Node, reading: Reading): T | undefined;
  readonly schema: JsonSchema;
}

/** What a shape reads. */
export type Read<S> = S extends Shape<infer T> ? T : never;

/** A value and where it stands. */
export interface Located<T> {
  readonly value: T;
  readonly node: Node;
}

/** One file that is being read: shapes and compilers tell it what is wrong. */
export class Reading {
  readonly source: Source;
  readonly problems: Problems;

  constructor(source: Source, problems: Problems) {
    this.source = source;
    this.problems = problems;
  }

  /** Tells a problem that underlines the node. */
  tell(node: { readonly start: number; readonly end: number }, finding: Finding): undefined {
    this.problems.add(problemAt(this.source, node.start, node.end, finding));
  }

  /** Tells that something else was expected. */
  mismatch(node: Node, expected: string, code: ErrorCode = "WEIR_POLICY_SHAPE", hint?: string): undefined {
    this.tell(node, { code, message: `expected ${expected}, got ${describe(node)}`, hint });
  }
}
