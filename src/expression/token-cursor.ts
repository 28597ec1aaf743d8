import type { Token } from "./lexer.ts";
import { SyntaxProblem } from "./syntax-problem.ts";

/** Words that CEL keeps for itself; they may be fields, not names. */
const reserved = new Set(
  "as break const continue else for function if import in let loop namespace package return var void while".split(" "),
);

/** Whether a word may not be a name. */
export function isReserved({ text }: { readonly text: string }): boolean {
  return reserved.has(text);
}

/** Goes through the tokens of a text, one after the other. What is not as expected is a {@link SyntaxProblem}. */
export class TokenCursor {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** The token at hand. */
  peek(): Token {
    return this.#tokens[this.#at]!;
  }

  /** Passes the token at hand. */
  next(): void {
    this.#at++;
  }

  /** Where the token ends that was passed last; `undefined` before the first. */
  get passed(): number | undefined {
    return this.#tokens[this.#at - 1]?.end;
  }

  /** Whether the token at hand is this punctuation. */
  is(text: string): boolean {
    const token = this.peek();
    return token.kind === "punctuation" && token.text === text;
  }

  /** Passes this punctuation, where it is at hand. */
  take(text: string): boolean {
    if (!this.is(text)) return false;
    this.#at++;
    return true;
  }

  expect(text: string, expected = `"${text}"`): void {
    if (!this.take(text)) this.fail(expected);
  }

  /** Items with commas between them, and one after the last if liked except in calls, up to the closing bracket. */
  list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    if (this.take(close)) return items;
    do {
      if (items.length > 0 && close !== ")" && this.is(close)) break;
      items.push(item());
    } while (this.take(","));
    this.expect(close, `"," or "${close}"`);
    return items;
  }

  /** Throws what is wrong with the token at hand. */
  fail(expected: string): never {
    const token = this.peek();
    throw new SyntaxProblem(
      `expected ${expected}, found ${describe(token)}`,
      token.offset,
      Math.max(1, token.end - token.offset),
    );
  }
}

function describe(token: Token): string {
  switch (token.kind) {
    case "end":
      return "the end";
    case "identifier":
      return !token.quoted && isReserved(token) ? `the reserved word "${token.text}"` : `"${shorten(token.text)}"`;
    case "punctuation":
      return token.text === "=" ? '"=" (equality is "==")' : `"${token.text}"`;
    case "string":
      return `the string ${JSON.stringify(shorten(token.value))}`;
    case "bytes":
      return "bytes";
    default:
      return `the number ${token.value}`;
  }
}

function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}
