import { globalWords } from "./dictionary.ts";
import { shapeCount, type AttributeTable } from "./attribute-table.ts";
import type { NumberedWords } from "./numbered-words.ts";
import type { WordCache } from "./word-cache.ts";

const nothing = Buffer.alloc(0);

/** The tag of field 1, delimited. */
export const wordTag = 0x0a;

/** How many words a list keeps room for after a message that had more, and how many it begins with. */
const usualWords = 1024;
const firstWords = 64;

/** What is known of a word, side by side: where its bytes begin and end, its symbol, and whether its text is known. */
const width = 4;
const widthBits = 2;
const endAt = 1;
const symbolAt = 2;
const textAt = 3;

// What a module has for itself is a constant to V8.
const shapeMask = shapeCount - 1;
const runTag = wordTag;

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
  #places = new Int32Array(firstWords * width);
  /** Of a word whose text is known. */
  #texts: string[] = [];
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

  /**
   * Empties the list. Words added as bytes from now on are parts of `buffer`. Where it is said by which table they are to
   * be told, they need not be bound to it later.
   */
  reset(buffer: Buffer = nothing, table?: AttributeTable): void {
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
    this.#table = table;
    if (this.#places.length > usualWords * width) {
      this.#places = new Int32Array(firstWords * width);
      this.#texts = [];
    }
  }

  /**
   * Adds the words that stand in the buffer from `start` on, each a tag of one byte and a length, for as long as they
   * are short. Gives the position behind the last one. The list must have been given a table.
   */
  addRun(start: number, end: number): number {
    const buffer = this.#buffer;
    const { shapes } = this.#table!;
    const last = (end - 2) | 0;
    let places = this.#places;
    let at = this.count << widthBits;
    let pos = start | 0;
    while (pos <= last && buffer[pos] === runTag) {
      const length = buffer[pos + 1]!;
      const from = (pos + 2) | 0;
      const stop = (from + length) | 0;
      if (length > 0x7f || stop > end) break;
      let symbol = -1;
      if (length < 2) symbol = this.#symbolOf(from, stop);
      else {
        // As shape() has it.
        const tail = buffer[(stop - 1) | 0]! + (buffer[(stop - 2) | 0]! << 3);
        if (shapes[(length * 37 + buffer[from]! * 5 + tail * 3) & shapeMask] !== 0) symbol = this.#symbolOf(from, stop);
      }
      if (at === places.length) places = this.#grow();
      places[at] = from;
      places[(at + endAt) | 0] = stop;
      places[(at + symbolAt) | 0] = symbol;
      places[(at + textAt) | 0] = 0;
      at = (at + width) | 0;
      pos = stop;
    }
    const count = at >> widthBits;
    if (this.#bound === this.count) this.#bound = count;
    this.count = count;
    return pos;
  }

  addBytes(start: number, end: number): void {
    const at = this.count * width;
    const places = at === this.#places.length ? this.#grow() : this.#places;
    places[at] = start;
    places[at + endAt] = end;
    places[at + textAt] = 0;
    this.count++;
  }

  addText(text: string): void {
    this.addBytes(0, 0);
    this.#texts[this.count - 1] = text;
    this.#places[(this.count - 1) * width + textAt] = 1;
  }

  /** Makes symbols of the words that have none yet, for decoding with this table. */
  bind(table: AttributeTable): void {
    if (this.#table !== table) {
      this.#unbind();
      this.#table = table;
    }
    const { count } = this;
    for (let word = this.#bound; word < count; word++) {
      const at = word * width;
      const places = this.#places;
      places[at + symbolAt] =
        places[at + textAt] === 0
          ? this.#symbolOf(places[at]!, places[at + endAt]!)
          : this.#told(table.symbolOfText(this.#texts[word]!));
    }
    this.#bound = count;
  }

  #symbolOf(start: number, end: number): number {
    const { byteOffset } = this.#buffer;
    return this.#told(this.#table!.symbolOfBytes(this.#view, byteOffset + start, byteOffset + end));
  }

  #told(symbol: number): number {
    if (symbol >= 0 && symbol < globalWords.length) {
      this.#repeated[symbol] = 1;
      this.repeats = true;
    }
    return symbol;
  }

  /** The symbol of the word at an index below 0, which must be in the list; -1 when it is none. */
  symbol(index: number): number {
    return this.#places[(-index - 1) * width + symbolAt]!;
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
    const word = -index - 1;
    if (word >= this.count) return undefined;
    const places = this.#places;
    const at = word * width;
    if (places[at + textAt] !== 0) return this.#texts[word];
    places[at + textAt] = 1;
    return (this.#texts[word] = this.#cache.text(this.#buffer, this.#view, places[at]!, places[at + endAt]!));
  }

  /** The number of the word at an index, where it was added as bytes and is one of `numbered`; else -1. */
  numberIn(numbered: NumberedWords, index: number): number {
    const word = -index - 1;
    if (index >= 0 || word >= this.count) return -1;
    const places = this.#places;
    const at = word * width;
    if (places[at + textAt] !== 0) return -1;
    const { byteOffset } = this.#buffer;
    return numbered.find(this.#view, byteOffset + places[at]!, byteOffset + places[at + endAt]!);
  }

  /** Makes room for as many words again. */
  #grow(): Int32Array<ArrayBuffer> {
    const larger = new Int32Array(this.#places.length * 2);
    larger.set(this.#places);
    return (this.#places = larger);
  }

  #unbind(): void {
    this.#bound = 0;
    this.#table = undefined;
    if (!this.repeats) return;
    this.#repeated.fill(0);
    this.repeats = false;
  }
}
