import { Composer, isAlias, isMap, isScalar, isSeq, Parser } from "yaml";
import type { CST, Document, ParsedNode, Scalar, YAMLError } from "yaml";
import { OwnTexts } from "../../util/own-texts.ts";
import type { Problems } from "../problems.ts";
import { GuardedLexer } from "./guard.ts";
import type { Entry, Node, ScalarNode } from "./node.ts";
import { problemAt } from "./source.ts";
import type { Finding, Source } from "./source.ts";

/** Values that aliases may add to one file; a few lines of aliases of aliases could otherwise stand for billions. */
const maxAliasedValues = 100_000;

/** Lexemes that are read in one step. */
const stepLexemes = 256;

/** The documents of a YAML text that have any content. What is no YAML is told to `problems`, and its document left out. */
export function readYaml(source: Source, problems: Problems): Node[] {
  const steps = reading(source, problems, new OwnTexts());
  for (;;) {
    const { done, value } = advance(steps);
    if (done === true) return value;
  }
}

/**
 * The same in small steps. After each, `turn` may give a promise, until which nothing is done: others get their turn.
 * `texts` are shared by the files of a set.
 */
export async function readYamlInTurns(
  source: Source,
  problems: Problems,
  turn: () => Promise<void> | undefined,
  texts = new OwnTexts(),
): Promise<Node[]> {
  const steps = reading(source, problems, texts);
  for (;;) {
    const { done, value } = advance(steps);
    if (done === true) return value;
    const others = turn();
    if (others !== undefined) await others;
  }
}

/** Does one step, without stacks of errors: a broken file can have one for every character, and they cost the most. */
function advance<T>(steps: Generator<void, T>): IteratorResult<void, T> {
  const depth = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return steps.next();
  } finally {
    Error.stackTraceLimit = depth;
  }
}

function* reading(source: Source, problems: Problems, texts: OwnTexts): Generator<void, Node[]> {
  const control = /(?![\t\n\r\u0085])\p{Cc}/u.exec(source.text);
  if (control !== null) {
    const code = control[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
    const message = `the control character U+${code} is not allowed in YAML`;
    problems.add(problemAt(source, control.index, control.index + 1, syntax(message)));
    return [];
  }
  const nodes: Node[] = [];
  const guard = new GuardedLexer();
  for (const document of compose(source.text, guard)) {
    yield;
    if (document === undefined) continue;
    const tags = document.warnings.filter((warning) => warning.code === "TAG_RESOLVE_FAILED");
    const errors = [...document.errors, ...tags].sort((a, b) => a.pos[0] - b.pos[0]);
    // A tag spoils its own value; after any other error it is not known what belongs where.
    const fatal = errors.find((error) => error.code !== "TAG_RESOLVE_FAILED");
    for (const error of errors) {
      if (fatal !== undefined && error.pos[0] > fatal.pos[0]) break;
      problems.add(problemAt(source, error.pos[0], error.pos[1], explain(error, source)));
      if (error === fatal) break;
    }
    if (fatal !== undefined) continue;
    if (document.contents === null) continue;
    const node = new Reading(source, problems, texts).node(document.contents);
    if (node !== undefined && !(node.kind === "scalar" && node.value === null)) nodes.push(node);
  }
  if (guard.refusal === undefined) return nodes;
  const { offset, length, message } = guard.refusal;
  problems.add(problemAt(source, offset, offset + length, syntax(message)));
  return [];
}

/** The documents, and `undefined` every now and then. */
function* compose(text: string, guard: GuardedLexer): Generator<Document.Parsed | undefined> {
  // Keys are compared by us: the library does it by trying each with each.
  const composer = new Composer({ uniqueKeys: false, prettyErrors: false });
  for (const token of parse(text, guard)) {
    if (token === undefined) yield;
    else yield* composer.next(token) as Generator<Document.Parsed>;
  }
  yield* composer.end() as Generator<Document.Parsed>;
}

function* parse(text: string, guard: GuardedLexer): Generator<CST.Token | undefined> {
  const parser = new Parser();
  let lexemes = 0;
  for (const lexeme of guard.lex(text)) {
    yield* parser.next(lexeme);
    if (++lexemes % stepLexemes === 0) yield;
  }
  if (guard.refusal === undefined) yield* parser.end();
}

function syntax(message: string, hint?: string): Finding {
  return { code: "WEIR_YAML_SYNTAX", message, hint };
}

/** The library's messages, and what to do where that is known. */
function explain(error: YAMLError, source: Source): Finding {
  switch (error.code) {
    case "TAG_RESOLVE_FAILED": {
      const line = /^[^\r\n]*/.exec(source.text.slice(error.pos[0], error.pos[0] + 60))![0];
      return syntax(
        `a value that begins with "!" is a YAML tag, which has no meaning here`,
        `put it in quotes: '${upToItsEnd(line)}'`,
      );
    }
    case "BLOCK_AS_IMPLICIT_KEY":
      return syntax("this line has a second key", `a text that holds ": " must be in quotes`);
    case "TAB_AS_INDENT":
      return syntax("a tab cannot indent YAML", "use spaces");
    case "BAD_SCALAR_START":
      return syntax("a text cannot begin with this character", "put the text in quotes");
    case "MULTILINE_IMPLICIT_KEY":
      return syntax("a key must end on its line with a colon");
    case "BAD_INDENT":
      if (!error.message.startsWith("Flow")) break;
      return syntax("a bracket is not closed, or what stands within it is not indented");
    case "MISSING_CHAR":
      if (!error.message.endsWith("quote")) break;
      return syntax("a quote was opened and is not closed before this place");
    case "UNEXPECTED_TOKEN":
      if (!/^[[\]{},]/.test(source.text.slice(error.pos[0], error.pos[0] + 1))) break;
      return syntax("a bracket or a comma ends a text that stands within brackets", "put the text in quotes");
    case "RESOURCE_EXHAUSTION":
      return syntax("values are nested too deeply");
  }
  return syntax(`not YAML: ${error.message.slice(0, 200)}`);
}

/** What belongs to a value of a line: up to a comma, or a bracket that it has not opened. */
function upToItsEnd(line: string): string {
  let open = 0;
  for (let i = 0; i < line.length; i++) {
    if ("([{".includes(line[i]!)) open++;
    else if (open === 0 && ",)]}".includes(line[i]!)) return line.slice(0, i).trimEnd();
    else if (")]}".includes(line[i]!)) open--;
  }
  return line.trimEnd();
}

/** Makes a tree of ours from one document of the library's. */
class Reading {
  readonly #source: Source;
  readonly #problems: Problems;
  readonly #texts: OwnTexts;
  /** `undefined` while the anchor's own value is read. */
  readonly #anchors = new Map<string, { readonly node: Node; readonly values: number } | undefined>();
  #values = 0;
  #aliased = 0;

  constructor(source: Source, problems: Problems, texts: OwnTexts) {
    this.#source = source;
    this.#problems = problems;
    this.#texts = texts;
  }

  node(parsed: ParsedNode): Node | undefined {
    if (isAlias(parsed)) return this.#alias(parsed.source, parsed.range);
    // Other tags were told as errors, and the value behind them is none.
    if (parsed.tag !== undefined && !parsed.tag.startsWith("tag:yaml.org,2002:")) return undefined;
    const before = this.#values++;
    const anchor = parsed.anchor;
    if (anchor !== undefined) this.#anchors.set(anchor, undefined);
    const [start, end] = parsed.range;
    let node: Node;
    if (isMap(parsed)) {
      node = { kind: "map", entries: this.#entries(parsed.items), start, end };
    } else if (isSeq(parsed)) {
      const items = parsed.items.map((item) => this.node(item as ParsedNode));
      node = { kind: "list", items: items.filter((item) => item !== undefined), start, end };
    } else {
      node = this.#scalar(parsed);
    }
    if (anchor !== undefined) this.#anchors.set(anchor, { node, values: this.#values - before });
    return node;
  }

  #alias(name: string, [start, end]: readonly [number, number, number]): Node | undefined {
    const anchored = this.#anchors.get(name);
    if (anchored === undefined && this.#anchors.has(name))
      return this.#refuse(start, end, "an alias within the value that it stands for");
    if (anchored === undefined)
      return this.#refuse(start, end, "an alias of no anchor", `a text that begins with "*" must be in quotes`);
    const wasTold = this.#aliased > maxAliasedValues;
    this.#aliased += anchored.values;
    this.#values += anchored.values;
    if (this.#aliased <= maxAliasedValues) return anchored.node;
    // Whoever wrote that many writes more: it is told of the first.
    return wasTold ? undefined : this.#refuse(start, end, `aliases stand for more than ${maxAliasedValues} values`);
  }

  #entries(pairs: readonly { readonly key: unknown; readonly value: unknown }[]): Entry[] {
    const entries: Entry[] = [];
    const seen = new Map<string, ScalarNode>();
    for (const pair of pairs) {
      const parsed = pair.key as ParsedNode;
      if (!isScalar(parsed)) {
        this.#refuse(parsed.range[0], parsed.range[1], "a key must be a word or a quoted text");
        continue;
      }
      const key = this.#scalar(parsed as Scalar.Parsed);
      const first = seen.get(key.text);
      if (first !== undefined) {
        const message = `the key "${key.text}" stands here twice`;
        const finding: Finding = { code: "WEIR_POLICY_DUPLICATE", message, hint: "keep one of them" };
        this.#problems.add(problemAt(this.#source, key.start, key.end, finding));
        continue;
      }
      seen.set(key.text, key);
      const value = pair.value === null ? emptyAt(key.end) : this.node(pair.value as ParsedNode);
      if (value !== undefined) entries.push({ key, value });
    }
    return entries;
  }

  #scalar(parsed: Scalar.Parsed): ScalarNode {
    const [start, end] = parsed.range;
    let value = parsed.value as ScalarNode["value"];
    if (typeof value === "string") value = this.#texts.own(value);
    const text = typeof value === "string" ? value : (parsed.source ?? "");
    const style = styles[(parsed.type as Scalar.Type | undefined) ?? "PLAIN"];
    return { kind: "scalar", value, text, style, start, end };
  }

  #refuse(start: number, end: number, message: string, hint?: string): undefined {
    this.#problems.add(problemAt(this.#source, start, end, syntax(message, hint)));
  }
}

const styles: Readonly<Record<Scalar.Type, ScalarNode["style"]>> = {
  PLAIN: "plain",
  QUOTE_SINGLE: "single",
  QUOTE_DOUBLE: "double",
  BLOCK_LITERAL: "block",
  BLOCK_FOLDED: "block",
};

/** The value of a key after which nothing stands. */
function emptyAt(offset: number): ScalarNode {
  return { kind: "scalar", value: null, text: "", style: "plain", start: offset, end: offset };
}
