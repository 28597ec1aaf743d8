/**
 * The numbers of one metric's series, row by row: a value, when it was last written, and a histogram's counts. What one
 * sample touches lies side by side, since the rows of some thousand series are more than a processor keeps close: a
 * sample of the usual buckets then waits for one line of memory, where columns made it wait for three. A count has 32 bits
 * for the same reason; what goes beyond is kept apart.
 */
export class SeriesRows {
  /** How many counts a row has. */
  readonly #width: number;
  /** How many 64 bits a row takes: its value, then its tick and counts, of 32 bits each. */
  readonly #stride: number;
  #values: Float64Array;
  /** The same memory. */
  #cells: Int32Array;
  /** By cell, how often its count went through 2^32. */
  readonly #carries = new Map<number, number>();

  /** `width` is how many counts a row has. */
  constructor(capacity: number, width: number) {
    this.#width = width;
    this.#stride = 1 + ((1 + width + 1) >> 1);
    this.#values = new Float64Array(capacity * this.#stride);
    this.#cells = new Int32Array(this.#values.buffer);
  }

  /** When a row was last written, in ticks from 1 on; 0: never. */
  seen(row: number): number {
    return this.#cells[this.#cell(row)]!;
  }

  setSeen(row: number, tick: number): void {
    this.#cells[this.#cell(row)] = tick;
  }

  value(row: number): number {
    return this.#values[Math.imul(row, this.#stride)]!;
  }

  setValue(row: number, value: number): void {
    this.#values[Math.imul(row, this.#stride)] = value;
  }

  addValue(row: number, value: number): void {
    this.#values[Math.imul(row, this.#stride)]! += value;
  }

  count(row: number, index: number): number {
    const cell = this.#cell(row) + 1 + index;
    return (this.#cells[cell]! >>> 0) + (this.#carries.get(cell) ?? 0) * 2 ** 32;
  }

  increment(row: number, index: number): void {
    const cell = (this.#cell(row) + 1 + index) | 0;
    const next = (this.#cells[cell]! + 1) | 0;
    this.#cells[cell] = next;
    if (next === 0) this.#carries.set(cell, (this.#carries.get(cell) ?? 0) + 1);
  }

  /** Adds to a count: an integer from 0 on. */
  addCount(row: number, index: number, by: number): void {
    const cell = this.#cell(row) + 1 + index;
    const total = this.count(row, index) + by;
    this.#cells[cell] = total % 2 ** 32;
    if (total >= 2 ** 32) this.#carries.set(cell, Math.floor(total / 2 ** 32));
  }

  /** A row's counts. */
  counts(row: number): number[] {
    return Array.from({ length: this.#width }, (_, index) => this.count(row, index));
  }

  /** Makes a row's value and counts 0. */
  clear(row: number): void {
    const first = this.#cell(row) + 1;
    this.setValue(row, 0);
    this.#cells.fill(0, first, first + this.#width);
    if (this.#carries.size > 0) for (let i = 0; i < this.#width; i++) this.#carries.delete(first + i);
  }

  grow(capacity: number): void {
    const larger = new Float64Array(capacity * this.#stride);
    larger.set(this.#values);
    this.#values = larger;
    this.#cells = new Int32Array(larger.buffer);
  }

  #cell(row: number): number {
    return (Math.imul(row, this.#stride) * 2 + 2) | 0;
  }
}
