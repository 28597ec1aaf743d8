import type { KeyTable } from "./key-table.ts";

/** The states that a batch has changed, as they were before: for the case that it is refused. Used again for each batch. */
export class Journal {
  readonly #tables: KeyTable[] = [];
  readonly #places: number[] = [];
  #before = new Float64Array(64);
  #count = 0;
  #length = 0;

  clear(): void {
    this.#count = 0;
    this.#length = 0;
  }

  /** Writes down the state of a place, which is in `page` from `o` on. */
  note(table: KeyTable, place: number, page: Float64Array, o: number): void {
    const { width } = table.counter;
    if (this.#length + width > this.#before.length) {
      const larger = new Float64Array(this.#before.length * 2);
      larger.set(this.#before);
      this.#before = larger;
    }
    const before = this.#before;
    const length = this.#length;
    for (let i = 0; i < width; i++) before[length + i] = page[o + i]!;
    this.#length = length + width;
    this.#tables[this.#count] = table;
    this.#places[this.#count++] = place;
  }

  /** Makes all places what they were, the last change first. */
  undo(): void {
    while (this.#count > 0) {
      const table = this.#tables[--this.#count]!;
      const place = this.#places[this.#count]!;
      const { width } = table.counter;
      this.#length -= width;
      table.page(place).set(this.#before.subarray(this.#length, this.#length + width), table.offset(place));
    }
  }
}
