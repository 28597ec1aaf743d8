import type { ErrorCode } from "../../util/error-codes.ts";
import type { Problem } from "../problem.ts";
import type { Place } from "../snapshot.ts";

/** The text of one file, with what is needed to name places in it. */
export interface Source {
  /** The path as people are shown it. */
  readonly file: string;
  readonly text: string;
  /** Offset of the first character of each line. */
  readonly lines: readonly number[];
}

/** More characters of a line than this are not shown: a problem must stay small. */
const maxLineShown = 240;

/** What a problem says beside its place. */
export interface Finding {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly severity?: "error" | "warning";
}

/** A text with its lines found. A byte order mark at its start is no part of it. */
export function sourceOf(file: string, bytes: string): Source {
  const text = bytes.startsWith("\ufeff") ? bytes.slice(1) : bytes;
  const lines = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines.push(at + 1);
  return { file, text, lines };
}

export function placeAt(source: Source, offset: number): Place {
  const line = lineAt(source, offset);
  return { file: source.file, line: line + 1, column: offset - source.lines[line]! + 1 };
}

/** Makes a problem that underlines `start` to `end`, or to the end of its line where that is nearer. */
export function problemAt(source: Source, start: number, end: number, finding: Finding): Problem {
  const place = placeAt(source, start);
  const shown = lineShown(source, start);
  const room = (shown.textColumn ?? 1) - place.column + shown.text.length;
  const { code, message, hint, severity = "error" } = finding;
  return {
    ...place,
    code,
    severity,
    message,
    length: Math.max(1, Math.min(end - start, room)),
    ...shown,
    ...(hint !== undefined && { hint }),
  };
}

/** The line around a place as problems show it: a long one from a little before the place on. */
export function lineShown(source: Source, offset: number): { readonly text: string; readonly textColumn?: number } {
  const line = lineAt(source, offset);
  const start = source.lines[line]!;
  let end = (source.lines[line + 1] ?? source.text.length + 1) - 1;
  if (source.text[end - 1] === "\r") end -= 1;
  const from = end - start <= maxLineShown ? start : Math.max(start, offset - maxLineShown / 4);
  const text = source.text.slice(from, Math.min(end, from + maxLineShown));
  return from > start ? { text, textColumn: from - start + 1 } : { text };
}

/** The problem of a file of which no line can be shown. */
export function problemOfFile(file: string, finding: Finding): Problem {
  const { code, message, hint, severity = "error" } = finding;
  return { file, line: 1, column: 1, code, severity, message, length: 1, ...(hint !== undefined && { hint }) };
}

function lineAt(source: Source, offset: number): number {
  let low = 0;
  let high = source.lines.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (source.lines[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
