import { SyntaxProblem } from "./syntax-problem.ts";

const simple: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "?": "?",
  '"': '"',
  "'": "'",
  "`": "`",
};

const escape =
  /\\(?:x([0-9a-fA-F]{2})|X([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([abfnrtv\\?"'`]))/y;

/**
 * The value of a string or bytes literal. In strings `\x41` and `\101` are code points, in bytes they are bytes, where
 * `\u` is not allowed (cel-spec, langdef.md, "String and Bytes Values").
 */
export function decodeEscapes(text: string, offset: number, isBytes: boolean, raw: boolean): string | Uint8Array {
  if (raw || !text.includes("\\")) return isBytes ? Uint8Array.from(Buffer.from(text)) : wellFormed(text, offset);
  const parts: (string | Uint8Array)[] = [];
  let from = 0;
  for (let at = text.indexOf("\\"); at >= 0; at = text.indexOf("\\", from)) {
    parts.push(text.slice(from, at));
    escape.lastIndex = at;
    const m = escape.exec(text);
    if (m === null)
      throw new SyntaxProblem(`unknown escape ${JSON.stringify(text.slice(at, at + 2))} in a string`, offset + at, 2);
    const byte = m[1] ?? m[2];
    const wide = m[3] ?? m[4];
    const octal = m[5];
    if (m[6] !== undefined) parts.push(simple[m[6]]!);
    else if (isBytes && wide !== undefined)
      throw new SyntaxProblem("bytes take \\x and octal escapes, not \\u", offset + at, m[0].length);
    else {
      const code = octal !== undefined ? parseInt(octal, 8) : parseInt((byte ?? wide)!, 16);
      if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        throw new SyntaxProblem(`${m[0]} is no code point`, offset + at, m[0].length);
      parts.push(isBytes ? Uint8Array.of(code) : String.fromCodePoint(code));
    }
    from = at + m[0].length;
  }
  parts.push(text.slice(from));
  if (!isBytes) return wellFormed(parts.join(""), offset);
  return Uint8Array.from(Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part))));
}

/** Strings are sequences of code points: half a surrogate pair cannot be in one. */
function wellFormed(text: string, offset: number): string {
  if (/\p{Surrogate}/u.test(text)) throw new SyntaxProblem("half a surrogate pair in a string", offset, text.length);
  return text;
}
