import type { Place } from "./snapshot.ts";

/** A mistake in a file, with all that a person needs to mend it. */
export interface Problem extends Place {
  /** A stable code of the table in `src/util/error-codes.ts`. */
  readonly code: string;
  readonly severity: "error" | "warning";
  /** What was expected and what came. */
  readonly message: string;
  /** How many characters to underline, at least 1. */
  readonly length: number;
  /** The line of the file, for the caret; left out when the file could not be read. */
  readonly text?: string;
  /** For a line too long to be shown whole: the column of the first character of `text`. Left out: 1. */
  readonly textColumn?: number;
  /** What to do, or the nearest known name: `did you mean "unless"?` */
  readonly hint?: string;
}
