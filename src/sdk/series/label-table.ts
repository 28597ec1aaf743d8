import { Interner } from "./interner.ts";

const initialRows = 64;

/**
 * The label sets of all families with the same label names: each a row, found by its values. Rows are tuples of
 * integers in one typed array behind an open-addressing index (linear probing, at most half full), so a look-up
 * allocates nothing.
 */
export class LabelTable {
  readonly names: readonly string[];
  readonly #interner: Interner;
  /** Row after row, one integer a label. */
  #tuples: Int32Array;
  #hashes: Int32Array;
  /** How many families have a series in the row; 0: the row is free. */
  #uses: Int32Array;
  /** The scrape during which the row was made: that scrape leaves it out. */
  #born: Float64Array;
  /** Row + 1 at the place of its hash; 0: empty. */
  #index: Int32Array;
  #capacity = initialRows;
  /** Rows that were ever used. */
  #rows = 0;
  #live = 0;
  readonly #free: number[] = [];
  readonly #listeners = new Set<(capacity: number) => void>();
  /** Each row's labels as text, once somebody wanted it. */
  #texts: (string | undefined)[] = [];
  #textLength = 0;

  constructor(names: readonly string[], interner: Interner) {
    this.names = names;
    this.#interner = interner;
    this.#tuples = new Int32Array(initialRows * names.length);
    this.#hashes = new Int32Array(initialRows);
    this.#uses = new Int32Array(initialRows);
    this.#born = new Float64Array(initialRows);
    this.#index = new Int32Array(initialRows * 2);
  }

  /** How many rows there may be before the arrays grow. */
  get capacity(): number {
    return this.#capacity;
  }

  /** One more than the last row that was ever used. */
  get rows(): number {
    return this.#rows;
  }

  /** How many rows are in use. */
  get live(): number {
    return this.#live;
  }

  /** Calls back when rows beyond the capacity so far are to come. Returns how to stop that. */
  onGrow(listener: (capacity: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The row of a tuple, or -1. `hash` is the sum of its {@link labelHash}es, as 32 bits. */
  find(tuple: Int32Array, hash: number): number {
    const width = tuple.length;
    const index = this.#index;
    const mask = index.length - 1;
    const tuples = this.#tuples;
    for (let at = spread(hash) & mask; ; at = (at + 1) & mask) {
      const row = (index[at]! - 1) | 0;
      if (row < 0) return -1;
      if (this.#hashes[row] !== hash) continue;
      const start = Math.imul(row, width);
      let i = 0;
      while (i < width && tuples[(start + i) | 0] === tuple[i]) i = (i + 1) | 0;
      if (i === width) return row;
    }
  }

  /** Makes a row of values that have none yet. It is to be used at least once, or it stays for ever. */
  add(values: readonly string[], scrape: number): number {
    const row = this.#free.pop() ?? this.#rows++;
    if (row === this.#capacity) this.#grow();
    let hash = 0;
    const start = row * this.names.length;
    for (let i = 0; i < this.names.length; i++) {
      const id = this.#interner.hold(values[i]!);
      this.#tuples[start + i] = id;
      hash = (hash + labelHash(i, id)) | 0;
    }
    this.#hashes[row] = hash;
    this.#born[row] = scrape;
    this.#uses[row] = 0;
    this.#live++;
    this.#place(row);
    return row;
  }

  /** One more family has a series in this row. */
  use(row: number): void {
    this.#uses[row]!++;
  }

  /** One family less has a series in this row; without any, the row is free. */
  release(row: number): void {
    if (--this.#uses[row]! > 0) return;
    this.#unplace(row);
    const start = row * this.names.length;
    for (let i = 0; i < this.names.length; i++) this.#interner.release(this.#tuples[start + i]!);
    this.#textLength -= this.#texts[row]?.length ?? 0;
    this.#texts[row] = undefined;
    this.#live--;
    this.#free.push(row);
  }

  /** Whether the row was there before the scrape began. */
  isOlder(row: number, scrape: number): boolean {
    return this.#born[row]! < scrape;
  }

  /** The text of one label of a row. */
  value(row: number, label: number): string {
    return this.#interner.text(this.#tuples[row * this.names.length + label]!);
  }

  /**
   * The row's labels as text, which is kept while the row is in use: a table has one `format`.
   *
   * @param format makes the text of one label
   */
  labels(row: number, format: (name: string, value: string) => string): string {
    const known = this.#texts[row];
    if (known !== undefined) return known;
    // Joined, which makes one flat string: one put together piece by piece keeps all its pieces.
    const text = this.names.map((name, i) => format(name, this.value(row, i))).join(",");
    if (this.#textLength < maxKeptText) {
      this.#texts[row] = text;
      this.#textLength += text.length;
    }
    return text;
  }

  #place(row: number): void {
    const mask = this.#index.length - 1;
    let at = spread(this.#hashes[row]!) & mask;
    while (this.#index[at] !== 0) at = (at + 1) & mask;
    this.#index[at] = row + 1;
  }

  /** Takes a row out of the index and moves up those behind it (Knuth, 6.4, algorithm R), so that no gaps are left. */
  #unplace(row: number): void {
    const index = this.#index;
    const mask = index.length - 1;
    let hole = spread(this.#hashes[row]!) & mask;
    while (index[hole] !== row + 1) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; index[at] !== 0; at = (at + 1) & mask) {
      const home = spread(this.#hashes[index[at]! - 1]!) & mask;
      // The entry may move into the hole unless its home lies behind the hole, on the way to where it is.
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        index[hole] = index[at]!;
        hole = at;
      }
    }
    index[hole] = 0;
  }

  #grow(): void {
    this.#capacity *= 2;
    this.#tuples = grown(this.#tuples, this.#capacity * this.names.length);
    this.#hashes = grown(this.#hashes, this.#capacity);
    this.#uses = grown(this.#uses, this.#capacity);
    const born = new Float64Array(this.#capacity);
    born.set(this.#born);
    this.#born = born;
    const old = this.#index;
    this.#index = new Int32Array(this.#capacity * 2);
    for (const entry of old) if (entry !== 0) this.#place(entry - 1);
    for (const listener of this.#listeners) listener(this.#capacity);
  }
}

/** The most text of labels kept from one scrape to the next, in characters a table; beyond it text is made anew. */
const maxKeptText = 16 * 1024 * 1024;

/** What the integer of one label adds to the hash of a tuple: that is the sum over its labels, so it follows each that changes. */
export function labelHash(label: number, id: number): number {
  const mixed = Math.imul(id ^ Math.imul(label + 1, 0x9e3779b1), 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
}

/** Brings the high bits of a hash to where the index looks. */
function spread(hash: number): number {
  return hash ^ (hash >>> 16);
}

function grown(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length);
  larger.set(array);
  return larger;
}
