import { integerValue, tokenize, type Token } from "./lexer.ts";
import { type BinaryOperator, dottedName, type ElementNode, type Node } from "./node.ts";
import { SyntaxProblem } from "./syntax-problem.ts";
import { isReserved, TokenCursor } from "./token-cursor.ts";

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

/** A node as its production writes it, before the parser adds its place and depth. */
type Bare<N = Node> = N extends Node ? Omit<N, "offset" | "length" | "depth"> : never;

/** Reads CEL text (google/cel-spec, with the optional syntax `a.?b`, `a[?b]`, `[?a]`, `{?a: b}`). Throws a {@link SyntaxProblem}. */
export function parse(source: string): Node {
  const parser = new Parser(new TokenCursor(tokenize(source)));
  return parser.whole();
}

class Parser {
  readonly #tokens: TokenCursor;
  #nesting = 0;

  constructor(tokens: TokenCursor) {
    this.#tokens = tokens;
  }

  whole(): Node {
    if (this.#tokens.peek().kind === "end") this.#tokens.fail("an expression");
    const node = this.#expression();
    if (this.#tokens.peek().kind !== "end") this.#tokens.fail("an operator or the end");
    return node;
  }

  #expression(): Node {
    if (++this.#nesting > maxDepth) this.#tooDeep(this.#tokens.peek().offset, 1);
    const start = this.#tokens.peek().offset;
    const condition = this.#or();
    let node = condition;
    if (this.#tokens.take("?")) {
      const whenTrue = this.#or();
      this.#tokens.expect(":");
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
    const start = this.#tokens.peek().offset;
    const first = operand();
    if (!this.#tokens.is(operator)) return first;
    const operands = [first];
    while (this.#tokens.take(operator)) operands.push(operand());
    return this.#node(start, { kind, operands }, operands);
  }

  #binary(least: number): Node {
    const start = this.#tokens.peek().offset;
    let left = this.#unary();
    for (;;) {
      const token = this.#tokens.peek();
      const operator = (token.kind === "punctuation" || (token.kind === "identifier" && !token.quoted)) && token.text;
      const binds = operator !== false && Object.hasOwn(precedence, operator) ? precedence[operator]! : 0;
      if (binds < least || binds === 0) return left;
      this.#tokens.next();
      const right = this.#binary(binds + 1);
      left = this.#node(start, { kind: "binary", operator: operator as BinaryOperator, left, right }, [left, right]);
    }
  }

  #unary(): Node {
    const token = this.#tokens.peek();
    if (token.kind !== "punctuation" || (token.text !== "!" && token.text !== "-")) return this.#member();
    this.#tokens.next();
    const next = this.#tokens.peek();
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
    const start = minus ?? this.#tokens.peek().offset;
    let node = this.#primary(minus);
    for (;;) {
      if (this.#tokens.take(".")) {
        const optional = this.#tokens.take("?");
        const name = this.#tokens.peek();
        if (name.kind !== "identifier") this.#tokens.fail("a field name");
        if (name.text === "in" && !name.quoted) this.#tokens.fail("a field name");
        this.#tokens.next();
        if (!optional && !name.quoted && this.#tokens.take("(")) {
          const args = this.#tokens.list(")", () => this.#expression());
          const call = { kind: "call", target: node, name: name.text, nameOffset: name.offset, args } as const;
          node = this.#node(start, call, [node, ...args]);
        } else {
          node = this.#node(start, { kind: "select", operand: node, field: name.text, optional }, [node]);
        }
      } else if (this.#tokens.take("[")) {
        const optional = this.#tokens.take("?");
        const index = this.#expression();
        this.#tokens.expect("]");
        node = this.#node(start, { kind: "index", operand: node, index, optional }, [node, index]);
      } else if (this.#tokens.is("{") && dottedName(node) !== undefined) {
        node = this.#message(start, node);
      } else {
        return node;
      }
    }
  }

  #message(start: number, type: Node): Node {
    this.#tokens.expect("{");
    const fields = this.#tokens.list("}", () => {
      const optional = this.#tokens.take("?");
      const name = this.#tokens.peek();
      if (name.kind !== "identifier") this.#tokens.fail("a field name");
      this.#tokens.next();
      this.#tokens.expect(":");
      return { name: name.text, offset: name.offset, value: this.#expression(), optional };
    });
    const { parts, absolute } = dottedName(type)!;
    return this.#node(start, { kind: "message", name: parts.join("."), absolute, fields }, [
      type,
      ...fields.map((field) => field.value),
    ]);
  }

  #primary(minus?: number): Node {
    const token = this.#tokens.peek();
    const start = minus ?? token.offset;
    switch (token.kind) {
      case "integer": {
        this.#tokens.next();
        const value = integerValue(token, minus !== undefined);
        if (value === undefined) {
          const range = token.unsigned ? "0 to 18446744073709551615" : "-9223372036854775808 to 9223372036854775807";
          throw new SyntaxProblem(`expected an integer in the range ${range}`, start, token.end - start);
        }
        return this.#node(start, { kind: "literal", type: token.unsigned ? "uint64" : "int64", value });
      }
      case "double": {
        this.#tokens.next();
        const value = minus === undefined ? token.value : -token.value;
        return this.#node(start, { kind: "literal", type: "double", value });
      }
      case "string":
        this.#tokens.next();
        return this.#node(start, { kind: "literal", type: "string", value: token.value });
      case "bytes":
        this.#tokens.next();
        return this.#node(start, { kind: "literal", type: "bytes", value: token.value });
      case "identifier":
        return this.#name(token, start);
      case "punctuation":
        return this.#bracketed(token, start);
      case "end":
        return this.#tokens.fail("an operand");
    }
  }

  #name(token: Token & { kind: "identifier" }, start: number): Node {
    if (token.quoted) this.#tokens.fail("a name without back quotes");
    if (isReserved(token)) this.#tokens.fail(token.text === "in" ? "an operand" : "a name that is no reserved word");
    this.#tokens.next();
    if (token.text === "true" || token.text === "false")
      return this.#node(start, { kind: "literal", type: "bool", value: token.text === "true" });
    if (token.text === "null") return this.#node(start, { kind: "literal", type: "null", value: null });
    return this.#nameOrCall(token, start, false);
  }

  #nameOrCall(token: Token & { kind: "identifier" }, start: number, absolute: boolean): Node {
    if (!this.#tokens.take("(")) return this.#node(start, { kind: "name", name: token.text, absolute });
    const args = this.#tokens.list(")", () => this.#expression());
    return this.#node(start, { kind: "call", name: token.text, nameOffset: token.offset, args }, args);
  }

  #bracketed(token: Token & { kind: "punctuation" }, start: number): Node {
    switch (token.text) {
      case "(": {
        this.#tokens.next();
        const inner = this.#expression();
        this.#tokens.expect(")");
        return inner;
      }
      case "[": {
        this.#tokens.next();
        const elements = this.#tokens.list("]", () => this.#element());
        return this.#node(
          start,
          { kind: "list", elements },
          elements.map((element) => element.value),
        );
      }
      case "{": {
        this.#tokens.next();
        const entries = this.#tokens.list("}", () => {
          const optional = this.#tokens.take("?");
          const key = this.#expression();
          this.#tokens.expect(":");
          return { key, value: this.#expression(), optional };
        });
        return this.#node(
          start,
          { kind: "map", entries },
          entries.flatMap((entry) => [entry.key, entry.value]),
        );
      }
      case ".": {
        this.#tokens.next();
        const name = this.#tokens.peek();
        if (name.kind !== "identifier" || name.quoted || isReserved(name)) this.#tokens.fail("a name");
        this.#tokens.next();
        return this.#nameOrCall(name, start, true);
      }
      default:
        return this.#tokens.fail("an operand");
    }
  }

  #element(): ElementNode {
    const optional = this.#tokens.take("?");
    return { value: this.#expression(), optional };
  }

  #node(start: number, bare: Bare, children: readonly Node[] = []): Node {
    let depth = 0;
    for (const child of children) if (child.depth > depth) depth = child.depth;
    const end = this.#tokens.passed ?? start;
    if (depth >= maxDepth) this.#tooDeep(start, end - start);
    // Set in place: copying the fields would take longer than all the rest of parsing.
    const node = bare as Bare & { offset: number; length: number; depth: number };
    node.offset = start;
    node.length = end - start;
    node.depth = depth + 1;
    return node as Node;
  }

  #tooDeep(offset: number, length: number): never {
    throw new SyntaxProblem(`expected an expression nested at most ${maxDepth} deep`, offset, length, true);
  }
}
