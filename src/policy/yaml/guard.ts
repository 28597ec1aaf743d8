import { CST, Lexer } from "yaml";

/** Why a text is not given to the YAML parser, and where. */
export interface Refusal {
  readonly offset: number;
  readonly length: number;
  readonly message: string;
}

/** Brackets within brackets. */
const maxFlowDepth = 32;
/** The column up to which keys and items may begin; every level of nesting begins further right. */
const maxIndent = 128;
/** Characters of one key or value. */
const maxScalar = 65_536;
/** Tokens for each character, line ends left out. What people write has fewer; a text of nothing but errors has more. */
const maxDensity = 0.65;

/**
 * The lexer of the YAML library, which stops at what the parser behind it would spend its stack or minutes of time on.
 * The text must hold no control characters: the lexer marks scalars and documents with such.
 */
export class GuardedLexer {
  /** Set when the text was not read to its end. */
  refusal: Refusal | undefined;

  *lex(text: string): Generator<string, void> {
    const tokensAllowed = 1000 + text.length * maxDensity;
    let offset = 0;
    let lineStart = 0;
    let flow = 0;
    let tokens = 0;
    // Whether nothing but indentation and indicators stands on the line so far.
    let leading = true;
    let isScalar = false;
    for (const token of new Lexer().lex(text)) {
      if (token === CST.DOCUMENT || token === CST.FLOW_END || token === CST.SCALAR) {
        isScalar = token === CST.SCALAR;
        yield token;
        continue;
      }
      const type = isScalar ? "scalar" : CST.tokenType(token);
      isScalar = false;
      if (type !== "newline" && ++tokens > tokensAllowed)
        return this.#refuse(offset, "the file has too many parts for its size");
      const isBlank = type === "space" || type === "newline" || type === "comment";
      if (!isBlank) {
        if (token.length > maxScalar) return this.#refuse(offset, `a value has more than ${maxScalar} characters`);
        if (type === "flow-map-start" || type === "flow-seq-start") flow++;
        if (type === "flow-map-end" || type === "flow-seq-end") flow = Math.max(0, flow - 1);
        if (flow > maxFlowDepth || (flow === 0 && leading && offset - lineStart > maxIndent))
          return this.#refuse(offset, "values are nested too deeply");
        leading &&= type === "seq-item-ind" || type === "explicit-key-ind" || type === "map-value-ind";
      }
      yield token;
      offset += token.length;
      const lastBreak = token.lastIndexOf("\n");
      if (lastBreak < 0) continue;
      lineStart = offset - (token.length - lastBreak - 1);
      leading = true;
    }
  }

  #refuse(offset: number, message: string): void {
    this.refusal = { offset, length: 1, message };
  }
}
