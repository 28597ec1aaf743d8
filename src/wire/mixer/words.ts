import { globalWords } from "./dictionary.ts";
import type { AttributeTable } from "./attribute-table.ts";
import type { NumberedWords } from "./numbered-words.ts";
import type { WordCache } from "./word-cache.ts";

const nothing = Buffer.alloc(0);

/** The tag of field 1, delimited. */
export const wordTag = 0x0a;

/** How many words a list keeps room for after a message that had more. */
const usualWords = 1024;

/**
 * A list of words that indices below 0 point into: of one message, of one batch, or of a stream. The first word added
 * is -1, the second -2. Words that were added as bytes become strings when they are first asked for; until then the
 * list holds on to their buffer.
 *
 * A word that repeats a global word takes its place: as the name of an attribute or the key of a map, the global index
 * of that word then means nothing (as in Mixer).
 */
export class Words {
  count = 0;
  #buffer: Buffer = nothing;
  /** Shows the whole memory that the buffer is a part of. Messages share memory, so that one view does for many. */
  #view: DataView = new DataView(nothing.buffer);
  #memory: ArrayBufferLike = nothing.buffer;
  #starts = new Int32Array(64);
  #ends = new Int32Array(64);
  #symbols = new Int32Array(64);
  #texts: (string | undefined)[] = [];
  readonly #cache: WordCache;
  /** The table that symbols are told by, and how many words were told so far. */
  #table: AttributeTable | undefined;
  #bound = 0;
  readonly #repeated = new Uint8Array(globalWords.length);
  /** Whether any global word is repeated. */
  repeats = false;

  constructor(cache: WordCache) {
    this.#cache = cache;
  }

  /** Shows the whole memory of the buffer that was last given to {@link Words.reset}. */
  get view(): DataView {
    return this.#view;
  }

  /** Empties the list. Words added as bytes from now on are parts of `buffer`. */
  reset(buffer: Buffer = nothing): void {
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      const memory = buffer.buffer;
      if (memory !== this.#memory) {
        this.#memory = memory;
        this.#view = new DataView(memory);
      }
    }
    this.count = 0;
    this.#unbind();
    if (this.#starts.length > usualWords) {
      this.#starts = new Int32Array(64);
      this.#ends = new Int32Array(64);
      this.#symbols = new Int32Array(64);
      this.#texts = [];
    }
  }

  /**
   * Adds the words that stand in the buffer from `start` on, each a tag of one byte and a length, for as long as they
   * are short. Gives the position behind the last one.
   */
  addRun(start: number, end: number): number {
    const buffer = this.#buffer;
    let pos = start;
    while (pos + 1 < end && buffer[pos] === wordTag) {
      const length = buffer[pos + 1]!;
      const stop = pos + 2 + length;
      if (length > 0x7f || stop > end) break;
      this.addBytes(pos + 2, stop);
      pos = stop;
    }
    return pos;
  }

  addBytes(start: number, end: number): void {
    const at = this.#grow();
    this.#starts[at] = start;
    this.#ends[at] = end;
    this.#texts[at] = undefined;
  }

  addText(text: string): void {
    this.#texts[this.#grow()] = text;
  }

  /** Makes symbols of the words, for decoding with this table. */
  bind(table: AttributeTable): void {
    if (this.#table !== table) {
      this.#unbind();
      this.#table = table;
    }
    const { count } = this;
    if (this.#bound === count) return;
    const view = this.#view;
    const offset = this.#buffer.byteOffset;
    const starts = this.#starts;
    const ends = this.#ends;
    const symbols = this.#symbols;
    for (let at = this.#bound; at < count; at++) {
      const text = this.#texts[at];
      const symbol =
        text === undefined
          ? table.symbolOfBytes(view, offset + starts[at]!, offset + ends[at]!)
          : table.symbolOfText(text);
      symbols[at] = symbol;
      if (symbol >= 0 && symbol < globalWords.length) {
        this.#repeated[symbol] = 1;
        this.repeats = true;
      }
    }
    this.#bound = count;
  }

  /** The symbol of the word at an index below 0, which must be in the list; -1 when it is none. */
  symbol(index: number): number {
    return this.#symbols[-index - 1]!;
  }

  /** Whether the list repeats this global word, so that its global index does not name anything. */
  isRepeated(global: number): boolean {
    return this.#repeated[global] === 1;
  }

  /** Whether an index points to a word, here or globally. */
  has(index: number): boolean {
    return index >= 0 ? index < globalWords.length : -index <= this.count;
  }

  /** The word at an index, or `undefined` when it points nowhere. */
  text(index: number): string | undefined {
    if (index >= 0) return globalWords[index];
    const at = -index - 1;
    if (at >= this.count) return undefined;
    return (this.#texts[at] ??= this.#cache.text(this.#buffer, this.#view, this.#starts[at]!, this.#ends[at]!));
  }

  /** The number of the word at an index, where it was added as bytes and is one of `numbered`; else -1. */
  numberIn(numbered: NumberedWords, index: number): number {
    const at = -index - 1;
    if (index >= 0 || at >= this.count || this.#texts[at] !== undefined) return -1;
    const { byteOffset } = this.#buffer;
    return numbered.find(this.#view, byteOffset + this.#starts[at]!, byteOffset + this.#ends[at]!);
  }

  #grow(): number {
    if (this.count === this.#starts.length) {
      this.#starts = doubled(this.#starts);
      this.#ends = doubled(this.#ends);
      this.#symbols = doubled(this.#symbols);
    }
    return this.count++;
  }

  #unbind(): void {
    this.#bound = 0;
    this.#table = undefined;
    if (!this.repeats) return;
    this.#repeated.fill(0);
    this.repeats = false;
  }
}

function doubled(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
