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

  /** Writes down the state of a place. */
  note(table: KeyTable, place: number): void {
    const { width } = table;
    const page = table.page(place);
    const o = table.offset(place);
    if (this.#length + width > this.#before.length) {
      const larger = new Float64Array(this.#before.length * 2);
      larger.set(this.#before);
      this.#before = larger;
    }
    for (let i = 0; i < width; i++) this.#before[this.#length + i] = page[o + i]!;
    this.#length += width;
    this.#tables[this.#count] = table;
    this.#places[this.#count++] = place;
  }

  /** Makes all places what they were, the last change first. */
  undo(): void {
    while (this.#count > 0) {
      const table = this.#tables[--this.#count]!;
      const place = this.#places[this.#count]!;
      this.#length -= table.width;
      table.page(place).set(this.#before.subarray(this.#length, this.#length + table.width), table.offset(place));
    }
  }
}
