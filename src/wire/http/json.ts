import { WeirError } from "../../util/weir-error.ts";

/** How deep arrays and objects may lie within each other; no body needs more than five. */
const maxDepth = 32;

/**
 * Reads a body as JSON. Bytes that are not UTF-8, text that is not JSON, nesting beyond 32 and an object that has a name
 * twice throw WEIR_REQUEST_MALFORMED. Of two values of one name each reader takes another (RFC 8259, 4): what looked at a
 * body before must have seen what is judged.
 */
export function parseJson(body: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new WeirError("WEIR_REQUEST_MALFORMED", "the body is not UTF-8");
  }
  const { tooDeep, colons } = survey(text, maxDepth);
  if (tooDeep !== undefined) throw problem(text, tooDeep, `arrays and objects lie more than ${maxDepth} deep`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    const [offset, expected] = firstMistake(text);
    const got = offset >= text.length ? "the body ended" : `got ${JSON.stringify(text[offset])}`;
    throw problem(text, offset, `expected ${expected}, and ${got}`);
  }
  // Each name has a colon: there are more of them than names when one came twice.
  if (namesIn(json) !== colons) throw new WeirError("WEIR_REQUEST_MALFORMED", "an object of the body has a name twice");
  return json;
}

/** How many names all objects of a JSON value have. */
function namesIn(json: unknown): number {
  if (typeof json !== "object" || json === null) return 0;
  const values: readonly unknown[] = Array.isArray(json) ? json : Object.values(json);
  let names = values === json ? 0 : values.length;
  for (const value of values) if (typeof value === "object") names += namesIn(value);
  return names;
}

/** Whether a JSON value is an object, in the sense of a map of names. */
export function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** The offset of the first bracket that lies deeper than `limit`, and else how many colons stand outside of texts. */
function survey(text: string, limit: number): { readonly tooDeep?: number; readonly colons: number } {
  let depth = 0;
  let colons = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) {
      for (i++; i < text.length && text.charCodeAt(i) !== 0x22; i++) if (text.charCodeAt(i) === 0x5c) i++;
    } else if (c === 0x5b || c === 0x7b) {
      if (++depth > limit) return { tooDeep: i, colons };
    } else if (c === 0x5d || c === 0x7d) depth--;
    else if (c === 0x3a) colons++;
  }
  return { colons };
}

function problem(text: string, offset: number, what: string): WeirError {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  const column = offset - before.lastIndexOf("\n");
  return new WeirError("WEIR_REQUEST_MALFORMED", `the body is not JSON: line ${line}, column ${column}: ${what}`);
}

const blank = /[ \t\r\n]*/y;
const scalar =
  /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const string = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/y;

/** Where a text that is not JSON stops being it, and what was expected there (RFC 8259). */
function firstMistake(text: string): [offset: number, expected: string] {
  let at = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found !== null) at += found[0].length;
    return found !== null;
  };
  const takeChar = (c: string): boolean => {
    take(blank);
    if (text[at] !== c) return false;
    at++;
    return true;
  };
  /** Reads a value; the text says what was expected where it is none. Depth was bounded before. */
  const value = (): string | undefined => {
    if (takeChar("{")) {
      if (takeChar("}")) return undefined;
      do {
        take(blank);
        if (!take(string)) return "a name in double quotes";
        if (!takeChar(":")) return '":"';
        const mistake = value();
        if (mistake !== undefined) return mistake;
      } while (takeChar(","));
      return takeChar("}") ? undefined : '"," or "}"';
    }
    if (takeChar("[")) {
      if (takeChar("]")) return undefined;
      do {
        const mistake = value();
        if (mistake !== undefined) return mistake;
      } while (takeChar(","));
      return takeChar("]") ? undefined : '"," or "]"';
    }
    take(blank);
    return take(scalar) ? undefined : "a value";
  };
  const mistake = value();
  take(blank);
  return [at, mistake ?? "nothing more"];
}
