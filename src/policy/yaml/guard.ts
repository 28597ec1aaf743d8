import { CST, Lexer } from "yaml";

/** Why a text is not given to the YAML parser, and where. */
export interface Refusal {
  readonly offset: number;
  readonly length: number;
  readonly message: string;
  readonly hint?: string;
}

/** Brackets within brackets. */
const maxFlowDepth = 32;
/** The column up to which keys and items may begin; every level of nesting begins further right. */
const maxIndent = 128;
/** Characters of one key or value. */
const maxScalar = 65_536;
/** Tokens of one file, unless its size explains more. */
const maxTokens = 400_000;

/**
 * Looks over a text, token by token, for what the YAML parser would spend its stack or minutes of time on, and for tags,
 * which no file of ours has. The parser is only given what passed.
 */
export function guardYaml(text: string): Refusal | undefined {
  const tokensAllowed = Math.max(maxTokens, text.length / 3);
  let offset = 0;
  let lineStart = 0;
  let flow = 0;
  let tokens = 0;
  // Whether nothing but indentation and indicators stands on the line so far.
  let leading = true;
  for (const token of new Lexer().lex(text)) {
    if (++tokens > tokensAllowed) return { offset, length: 1, message: "the file has too many parts for its size" };
    // Marks of the lexer's own; the text itself holds no control characters.
    if (token === CST.DOCUMENT || token === CST.FLOW_END) continue;
    const isScalar = token === CST.SCALAR;
    if (!isScalar && token.length > maxScalar && token.trimStart()[0] !== "#" && token.trim() !== "")
      return { offset, length: 1, message: `a value has more than ${maxScalar} characters` };
    const type = CST.tokenType(token);
    if (type === "newline") {
      offset += token.length;
      lineStart = offset;
      leading = true;
      continue;
    }
    if (type === "flow-map-start" || type === "flow-seq-start") flow++;
    if (type === "flow-map-end" || type === "flow-seq-end") flow = Math.max(0, flow - 1);
    const tooDeep =
      flow > maxFlowDepth || (flow === 0 && leading && type !== "space" && offset - lineStart > maxIndent);
    if (tooDeep && type !== "comment") return { offset, length: 1, message: "values are nested too deeply" };
    if (type === "tag" && !isScalar && token !== "!!str") return tagRefusal(offset, token);
    if (isScalar) {
      leading = false;
      continue;
    }
    if (type !== "space" && type !== "seq-item-ind" && type !== "explicit-key-ind" && type !== "map-value-ind")
      leading = false;
    offset += token.length;
    const lastBreak = token.lastIndexOf("\n");
    if (lastBreak >= 0) {
      lineStart = offset - (token.length - lastBreak - 1);
      leading = lineStart === offset;
    }
  }
  return undefined;
}

function tagRefusal(offset: number, tag: string): Refusal {
  return {
    offset,
    length: tag.length,
    message: `a value that begins with "!" is a YAML tag, which has no meaning here`,
    hint: `put the value in quotes: '${tag.length > 40 ? "!..." : tag}'`,
  };
}
