import { integerValue, tokenize, type Token } from "./lexer.ts";
import type { BinaryOperator, ElementNode, Node } from "./node.ts";
import { SyntaxProblem } from "./syntax-problem.ts";

/** How deep brackets, ternaries and operator chains may nest. Chains of `&&` and `||` are flat and may be as long as they like. */
const maxDepth = 256;

/** Binary operators and how tightly they bind (cel-spec, langdef.md, "Syntax"). `&&`, `||` and `?:` stand below them. */
const precedence: Readonly<Record<string, number>> = {
  "==": 1,
  "!=": 1,
  "<": 1,
  "<=": 1,
  ">": 1,
  ">=": 1,
  in: 1,
  "+": 2,
  "-": 2,
  "*": 3,
  "/": 3,
  "%": 3,
};

/** Words that CEL keeps for itself; they may be fields, not names. */
const reserved = new Set(
  "as break const continue else for function if import in let loop namespace package return var void while".split(" "),
);

/** A node as its production writes it, before the parser adds its place and depth. */
type Bare<N = Node> = N extends Node ? Omit<N, "offset" | "length" | "depth"> : never;

/** Reads CEL text (google/cel-spec, with the optional syntax `a.?b`, `a[?b]`, `[?a]`, `{?a: b}`). Throws a {@link SyntaxProblem}. */
export function parse(source: string): Node {
  const parser = new Parser(tokenize(source));
  return parser.whole();
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #nesting = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): Node {
    if (this.#peek().kind === "end") this.#fail("an expression");
    const node = this.#expression();
    if (this.#peek().kind !== "end") this.#fail("an operator or the end");
    return node;
  }

  #expression(): Node {
    if (++this.#nesting > maxDepth) this.#tooDeep(this.#peek().offset, 1);
    const start = this.#peek().offset;
    const condition = this.#or();
    let node = condition;
    if (this.#take("?")) {
      const whenTrue = this.#or();
      this.#expect(":");
      const whenFalse = this.#expression();
      node = this.#node(start, { kind: "ternary", condition, whenTrue, whenFalse }, [condition, whenTrue, whenFalse]);
    }
    this.#nesting--;
    return node;
  }

  #or(): Node {
    return this.#chain("or", "||", () => this.#chain("and", "&&", () => this.#binary(1)));
  }

  /** Operands of a chain in one flat node, so that neither its length nor its evaluation needs a deep stack. */
  #chain(kind: "and" | "or", operator: string, operand: () => Node): Node {
    const start = this.#peek().offset;
    const first = operand();
    if (!this.#is(operator)) return first;
    const operands = [first];
    while (this.#take(operator)) operands.push(operand());
    return this.#node(start, { kind, operands }, operands);
  }

  #binary(least: number): Node {
    const start = this.#peek().offset;
    let left = this.#unary();
    for (;;) {
      const token = this.#peek();
      const operator = (token.kind === "punctuation" || (token.kind === "identifier" && !token.quoted)) && token.text;
      const binds = operator !== false && Object.hasOwn(precedence, operator) ? precedence[operator]! : 0;
      if (binds < least || binds === 0) return left;
      this.#at++;
      const right = this.#binary(binds + 1);
      left = this.#node(start, { kind: "binary", operator: operator as BinaryOperator, left, right }, [left, right]);
    }
  }

  #unary(): Node {
    const token = this.#peek();
    if (token.kind !== "punctuation" || (token.text !== "!" && token.text !== "-")) return this.#member();
    this.#at++;
    const next = this.#peek();
    if (token.text === "-" && (next.kind === "integer" || next.kind === "double")) {
      return this.#member(token.offset);
    }
    if (++this.#nesting > maxDepth) this.#tooDeep(token.offset, 1);
    const operand = this.#unary();
    this.#nesting--;
    return this.#node(token.offset, { kind: "unary", operator: token.text, operand }, [operand]);
  }

  /** A primary and what is hung on it. `minus`: where the sign of a number stands that was read before. */
  #member(minus?: number): Node {
    const start = minus ?? this.#peek().offset;
    let node = this.#primary(minus);
    for (;;) {
      if (this.#take(".")) {
        const optional = this.#take("?");
        const name = this.#peek();
        if (name.kind !== "identifier") this.#fail("a field name");
        if (name.text === "in" && !name.quoted) this.#fail("a field name");
        this.#at++;
        if (!optional && !name.quoted && this.#take("(")) {
          const args = this.#list(")", () => this.#expression());
          const call = { kind: "call", target: node, name: name.text, nameOffset: name.offset, args } as const;
          node = this.#node(start, call, [node, ...args]);
        } else {
          node = this.#node(start, { kind: "select", operand: node, field: name.text, optional }, [node]);
        }
      } else if (this.#take("[")) {
        const optional = this.#take("?");
        const index = this.#expression();
        this.#expect("]");
        node = this.#node(start, { kind: "index", operand: node, index, optional }, [node, index]);
      } else if (this.#is("{") && isDotted(node)) {
        node = this.#message(start, node);
      } else {
        return node;
      }
    }
  }

  #message(start: number, type: Node): Node {
    this.#expect("{");
    const fields = this.#list("}", () => {
      const optional = this.#take("?");
      const name = this.#peek();
      if (name.kind !== "identifier") this.#fail("a field name");
      this.#at++;
      this.#expect(":");
      return { name: name.text, offset: name.offset, value: this.#expression(), optional };
    });
    const { name, absolute } = dottedName(type);
    return this.#node(start, { kind: "message", name, absolute, fields }, [
      type,
      ...fields.map((field) => field.value),
    ]);
  }

  #primary(minus?: number): Node {
    const token = this.#peek();
    const start = minus ?? token.offset;
    switch (token.kind) {
      case "integer": {
        this.#at++;
        const value = integerValue(token, minus !== undefined);
        if (value === undefined) {
          const range = token.unsigned ? "0 to 18446744073709551615" : "-9223372036854775808 to 9223372036854775807";
          throw new SyntaxProblem(`expected an integer in the range ${range}`, start, token.end - start);
        }
        return this.#node(start, { kind: "literal", type: token.unsigned ? "uint64" : "int64", value });
      }
      case "double": {
        this.#at++;
        const value = minus === undefined ? token.value : -token.value;
        return this.#node(start, { kind: "literal", type: "double", value });
      }
      case "string":
        this.#at++;
        return this.#node(start, { kind: "literal", type: "string", value: token.value });
      case "bytes":
        this.#at++;
        return this.#node(start, { kind: "literal", type: "bytes", value: token.value });
      case "identifier":
        return this.#name(token, start);
      case "punctuation":
        return this.#bracketed(token, start);
      case "end":
        return this.#fail("an operand");
    }
  }

  #name(token: Token & { kind: "identifier" }, start: number): Node {
    if (token.quoted) this.#fail("a name without back quotes");
    this.#at++;
    if (token.text === "true" || token.text === "false")
      return this.#node(start, { kind: "literal", type: "bool", value: token.text === "true" });
    if (token.text === "null") return this.#node(start, { kind: "literal", type: "null", value: null });
    if (reserved.has(token.text)) {
      this.#at--;
      this.#fail(token.text === "in" ? "an operand" : "a name that is no reserved word");
    }
    return this.#nameOrCall(token, start, false);
  }

  #nameOrCall(token: Token & { kind: "identifier" }, start: number, absolute: boolean): Node {
    if (!this.#take("(")) return this.#node(start, { kind: "name", name: token.text, absolute });
    const args = this.#list(")", () => this.#expression());
    return this.#node(start, { kind: "call", name: token.text, nameOffset: token.offset, args }, args);
  }

  #bracketed(token: Token & { kind: "punctuation" }, start: number): Node {
    switch (token.text) {
      case "(": {
        this.#at++;
        const inner = this.#expression();
        this.#expect(")");
        return inner;
      }
      case "[": {
        this.#at++;
        const elements = this.#list("]", () => this.#element());
        return this.#node(
          start,
          { kind: "list", elements },
          elements.map((element) => element.value),
        );
      }
      case "{": {
        this.#at++;
        const entries = this.#list("}", () => {
          const optional = this.#take("?");
          const key = this.#expression();
          this.#expect(":");
          return { key, value: this.#expression(), optional };
        });
        return this.#node(
          start,
          { kind: "map", entries },
          entries.flatMap((entry) => [entry.key, entry.value]),
        );
      }
      case ".": {
        this.#at++;
        const name = this.#peek();
        if (name.kind !== "identifier" || name.quoted || reserved.has(name.text)) this.#fail("a name");
        this.#at++;
        return this.#nameOrCall(name, start, true);
      }
      default:
        return this.#fail("an operand");
    }
  }

  #element(): ElementNode {
    const optional = this.#take("?");
    return { value: this.#expression(), optional };
  }

  /** Items with commas between them, and one after the last if liked except in calls, up to the closing bracket. */
  #list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    if (this.#take(close)) return items;
    do {
      if (items.length > 0 && close !== ")" && this.#is(close)) break;
      items.push(item());
    } while (this.#take(","));
    this.#expect(close, `"," or "${close}"`);
    return items;
  }

  #node(start: number, bare: Bare, children: readonly Node[] = []): Node {
    let depth = 0;
    for (const child of children) if (child.depth > depth) depth = child.depth;
    const end = this.#at === 0 ? start : this.#tokens[this.#at - 1]!.end;
    if (depth >= maxDepth) this.#tooDeep(start, end - start);
    // Set in place: copying the fields would take longer than all the rest of parsing.
    const node = bare as Bare & { offset: number; length: number; depth: number };
    node.offset = start;
    node.length = end - start;
    node.depth = depth + 1;
    return node as Node;
  }

  #peek(): Token {
    return this.#tokens[this.#at]!;
  }

  #is(text: string): boolean {
    const token = this.#peek();
    return token.kind === "punctuation" && token.text === text;
  }

  #take(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#at++;
    return true;
  }

  #expect(text: string, expected = `"${text}"`): void {
    if (!this.#take(text)) this.#fail(expected);
  }

  #tooDeep(offset: number, length: number): never {
    throw new SyntaxProblem(`expected an expression nested at most ${maxDepth} deep`, offset, length, true);
  }

  #fail(expected: string): never {
    const token = this.#peek();
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
      return !token.quoted && reserved.has(token.text)
        ? `the reserved word "${token.text}"`
        : `"${shorten(token.text)}"`;
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

function isDotted(node: Node): boolean {
  let at = node;
  while (at.kind === "select" && !at.optional) at = at.operand;
  return at.kind === "name";
}

function dottedName(node: Node): { name: string; absolute: boolean } {
  const parts: string[] = [];
  let at = node;
  while (at.kind === "select") {
    parts.unshift(at.field);
    at = at.operand;
  }
  if (at.kind !== "name") throw new TypeError("not a dotted name");
  parts.unshift(at.name);
  return { name: parts.join("."), absolute: at.absolute };
}
