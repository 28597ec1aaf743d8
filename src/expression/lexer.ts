import type { Int64 } from "../attributes/value.ts";
import { normalize } from "./integer.ts";
import { decodeEscapes } from "./escape.ts";
import { SyntaxProblem } from "./syntax-problem.ts";

interface TokenBase {
  readonly offset: number;
  readonly end: number;
}

/** A piece of the text. An `identifier` may be a keyword; `punctuation` is its own text. */
export type Token = TokenBase &
  (
    | { readonly kind: "identifier"; readonly text: string; readonly quoted: boolean }
    | { readonly kind: "punctuation"; readonly text: string }
    /** `value` is the magnitude: up to 2^64 - 1, to be checked against the sign before it. */
    | { readonly kind: "integer"; readonly value: bigint; readonly unsigned: boolean }
    | { readonly kind: "double"; readonly value: number }
    | { readonly kind: "string"; readonly value: string }
    | { readonly kind: "bytes"; readonly value: Uint8Array }
    | { readonly kind: "end" }
  );

const space = /(?:[ \t\n\f\r]+|\/\/[^\n]*)+/y;
const identifier = /[A-Za-z_][A-Za-z0-9_]*/y;
const quotedIdentifier = /`([A-Za-z0-9_.\-/ ]+)`/y;
const float = /(?:\d*\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)/y;
const integer = /(?:0[xX]([0-9a-fA-F]+)|(\d+))([uU]?)/y;
const stringStart = /([bB]?)([rR]?)("""|'''|"|')/y;
const punctuation = /&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()[\]{}=&|]/y;

/** Splits a text into tokens by the lexis of CEL (cel-spec, langdef.md, "Syntax"). Throws a {@link SyntaxProblem}. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  for (;;) {
    at += take(space)?.[0].length ?? 0;
    if (at >= source.length) break;
    const token = takeString(source, at, take(stringStart)) ?? takeWord(take) ?? takeNumber(take) ?? takeRest();
    tokens.push(token);
    at = token.end;
  }
  tokens.push({ kind: "end", offset: source.length, end: source.length });
  return tokens;

  function takeWord(from: typeof take): Token | undefined {
    const quoted = from(quotedIdentifier);
    if (quoted !== null)
      return { kind: "identifier", text: quoted[1]!, quoted: true, offset: at, end: at + quoted[0].length };
    const word = from(identifier);
    return word === null
      ? undefined
      : { kind: "identifier", text: word[0], quoted: false, offset: at, end: at + word[0].length };
  }

  function takeNumber(from: typeof take): Token | undefined {
    const real = from(float);
    if (real !== null) return { kind: "double", value: Number(real[0]), offset: at, end: at + real[0].length };
    const whole = from(integer);
    if (whole === null) return undefined;
    const length = whole[0].length;
    // Twenty digits hold every 64-bit integer; beyond a hundred the conversion would only cost time.
    const digits = whole[1] !== undefined ? `0x${whole[1]}` : whole[2]!;
    const value = length > 100 ? undefined : BigInt(digits);
    const unsigned = whole[3] !== "";
    if (value === undefined || value > 0xffff_ffff_ffff_ffffn)
      throw new SyntaxProblem("an integer literal beyond 64 bits", at, length);
    return { kind: "integer", value, unsigned, offset: at, end: at + length };
  }

  function takeRest(): Token {
    const mark = take(punctuation);
    if (mark !== null) return { kind: "punctuation", text: mark[0], offset: at, end: at + mark[0].length };
    const found = String.fromCodePoint(source.codePointAt(at)!);
    throw new SyntaxProblem(`unexpected character ${JSON.stringify(found)}`, at, found.length);
  }
}

function takeString(source: string, at: number, start: RegExpExecArray | null): Token | undefined {
  if (start === null) return undefined;
  const quote = start[3]!;
  const isBytes = start[1] !== "";
  const raw = start[2] !== "";
  const from = at + start[0].length;
  let end = from;
  for (;;) {
    if (end >= source.length)
      throw new SyntaxProblem(`a string that is not closed by ${quote}`, at, source.length - at);
    const c = source[end]!;
    if (quote.length === 1 && (c === "\n" || c === "\r"))
      throw new SyntaxProblem(`a string that is not closed by ${quote} on its line`, at, end - at);
    if (c === "\\" && !raw) end += 2;
    else if (source.startsWith(quote, end)) break;
    else end++;
  }
  const value = decodeEscapes(source.slice(from, end), from, isBytes, raw);
  const token = { offset: at, end: end + quote.length };
  return typeof value === "string" ? { kind: "string", value, ...token } : { kind: "bytes", value, ...token };
}

/** The value of an integer token with its sign, or `undefined` when it is out of range. */
export function integerValue(token: Token & { kind: "integer" }, negative: boolean): Int64 | undefined {
  if (token.unsigned) return negative ? undefined : normalize(token.value);
  const value = negative ? -token.value : token.value;
  return value > 0x7fff_ffff_ffff_ffffn || value < -0x8000_0000_0000_0000n ? undefined : normalize(value);
}
