import { RE2JS } from "re2js";
import { Fault } from "../attributes/fault.ts";
import { type Meter, tooCostly } from "./meter.ts";

/** The most characters of a pattern that stands in a policy. */
const maxPatternLength = 4096;

/** The most characters of a pattern that is computed, which may be a caller's. */
const maxComputedLength = 256;

/** The most computed patterns that are kept compiled. */
const maxComputed = 64;

/** Longer texts are not remembered. */
const maxRememberedLength = 128;

/** The most texts remembered by one pattern, and by all patterns of a cache together. */
const maxRemembered = 256;
const maxRememberedInAll = 16_384;

/** Tests a text against a pattern, in time linear in the text's length. A fault when the meter does not allow it. */
export type Pattern = (text: string, meter: Meter) => boolean | Fault;

/**
 * Patterns by their text, each compiled once however many rules have it, with a bounded memory of what they said of
 * short texts: in service traffic the same few values come again and again.
 */
export class PatternCache {
  readonly #patterns = new Map<string, Pattern>();
  readonly #computed = new Map<string, Pattern | Fault>();
  readonly #memories: Map<string, boolean>[] = [];
  #remembered = 0;

  /** How many texts are remembered at the moment. */
  get remembered(): number {
    return this.#remembered;
  }

  /** A pattern in RE2 syntax, found anywhere in the text unless it is anchored. A fault says why it is none. */
  regex(source: string): Pattern | Fault {
    const known = this.#patterns.get(source);
    if (known !== undefined) return known;
    const pattern = this.#compile(source, maxPatternLength, true);
    if (!(pattern instanceof Fault)) this.#patterns.set(source, pattern);
    return pattern;
  }

  /** The same for a pattern that is known only at run time. */
  computed(source: string): Pattern | Fault {
    const known = this.#computed.get(source);
    if (known !== undefined) return known;
    const pattern = this.#compile(source, maxComputedLength, false);
    if (source.length <= maxComputedLength) {
      if (this.#computed.size >= maxComputed) this.#computed.clear();
      this.#computed.set(source, pattern);
    }
    return pattern;
  }

  #compile(source: string, maxLength: number, remember: boolean): Pattern | Fault {
    if (source.length > maxLength) return new Fault(`expected a pattern of at most ${maxLength} characters`);
    const plain = plainPattern(source);
    if (plain !== undefined) return plain;
    let regex: RE2JS;
    try {
      regex = RE2JS.compile(source);
    } catch (error) {
      return new Fault(`expected a pattern in RE2 syntax: ${error instanceof Error ? error.message : String(error)}`);
    }
    const size = regex.programSize();
    if (size > 10_000) return new Fault(`expected a smaller pattern: it makes ${size} instructions`);
    const test: Pattern = (text, meter) => (meter.spend((text.length * size) >>> 8) ? regex.test(text) : tooCostly);
    return remember ? this.#remembering(test) : test;
  }

  #remembering(test: Pattern): Pattern {
    const memory = new Map<string, boolean>();
    this.#memories.push(memory);
    return (text, meter) => {
      if (text.length > maxRememberedLength) return test(text, meter);
      const known = memory.get(text);
      if (known !== undefined) return known;
      const result = test(text, meter);
      if (result instanceof Fault) return result;
      if (memory.size >= maxRemembered) {
        this.#remembered -= memory.size;
        memory.clear();
      }
      if (this.#remembered >= maxRememberedInAll) this.#forget();
      memory.set(text, result);
      this.#remembered++;
      return result;
    };
  }

  #forget(): void {
    for (const memory of this.#memories) memory.clear();
    this.#remembered = 0;
  }
}

/** Characters that mean themselves, or a mark made to mean itself. */
const plainText = /^(\^?)((?:[^\\^$.|?*+()[\]{}]|\\[-./+*?$^|()[\]{}\\])*)(\$|\.\*)?$/su;

/** A pattern that is nothing but text, perhaps anchored or with `.*` after it, as a function of strings. */
function plainPattern(source: string): Pattern | undefined {
  const m = plainText.exec(source);
  if (m === null) return undefined;
  const text = m[2]!.replaceAll(/\\(.)/gsu, "$1");
  const atStart = m[1] !== "";
  if (m[3] === "$") return atStart ? (s) => s === text : (s) => s.endsWith(text);
  return atStart ? (s) => s.startsWith(text) : (s) => s.includes(text);
}

/** `*`: any run of characters but `/`; `**`: any run at all; `?`: one character but `/`. The rest is itself. */
export function globSource(glob: string): string {
  const body = glob.replaceAll(/\*\*|\*|\?|[\\^$.|+()[\]{}]/g, (mark) => {
    if (mark === "**") return "(?s:.*)";
    if (mark === "*") return "[^/]*";
    if (mark === "?") return "[^/]";
    return `\\${mark}`;
  });
  return `^${body}$`;
}
