import type { ScalarNode } from "./node.ts";

/** Characters that an escape of a double-quoted text takes beyond `\` and its letter (YAML 1.2.2, 5.7). */
const escapeDigits: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
/** Escapes that stand for white space. */
const blankEscapes = new Set("tnvr N_LP\t\n");

/**
 * The part of the file that a part of a scalar's text came from.
 *
 * Folding and indentation change only white space, so the characters that are none come in the same order in the file
 * and in the text: the n-th of the one is the n-th of the other.
 */
export function scalarRange(
  file: string,
  scalar: ScalarNode,
  offset: number,
  length: number,
): { readonly start: number; readonly end: number } {
  const first = inkBefore(scalar.text, offset);
  const last = inkBefore(scalar.text, offset + length);
  const start = locate(file, scalar, first);
  if (last <= first) {
    // Nothing visible is underlined: the place is behind the last character before it.
    const behind = first === 0 ? start.at : locate(file, scalar, first - 1).next;
    return { start: behind, end: behind + 1 };
  }
  return { start: start.at, end: locate(file, scalar, last - 1).next };
}

function inkBefore(text: string, offset: number): number {
  let count = 0;
  const end = Math.min(offset, text.length);
  for (let i = 0; i < end; i++) if (!isBlank(text[i]!)) count++;
  return count;
}

/** Where the n-th visible character of a scalar is written, and where the one after it begins. */
function locate(file: string, scalar: ScalarNode, n: number): { readonly at: number; readonly next: number } {
  let i = scalar.start;
  let end = scalar.end;
  if (scalar.style === "block") {
    const header = file.indexOf("\n", i);
    i = header < 0 || header >= end ? end : header + 1;
  } else if (scalar.style !== "plain") {
    i++;
    end--;
  }
  let seen = 0;
  while (i < end) {
    let width = 1;
    let units = isBlank(file[i]!) ? 0 : 1;
    if (scalar.style === "single" && file[i] === "'" && file[i + 1] === "'") width = 2;
    if (scalar.style === "double" && file[i] === "\\") {
      const letter = file[i + 1] ?? "";
      const digits = escapeDigits[letter] ?? 0;
      width = 2 + digits;
      const code = digits > 0 ? Number.parseInt(file.slice(i + 2, i + 2 + digits), 16) : 0;
      units = blankEscapes.has(letter) || letter === "\r" ? 0 : code > 0xffff ? 2 : 1;
      if (digits > 0 && code <= 0xffff && isBlank(String.fromCharCode(code))) units = 0;
    }
    if (seen + units > n) return { at: i, next: i + width };
    seen += units;
    i += width;
  }
  return { at: end, next: end };
}

function isBlank(character: string): boolean {
  return /\s|\u0085/.test(character);
}
