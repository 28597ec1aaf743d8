/** What a table holds: an odd number, and room for the table's link to the next one. */
export interface Numbered<T> {
  readonly id: number;
  next: T | undefined;
}

const fewestPlaces = 8;
/** With more than these, a table that is empty becomes small again. */
const usualPlaces = 128;

/**
 * The streams that are open on a connection, by their numbers. Not a `Map`, which makes a new table with every few
 * comings and goings, each known to the one before: once such a table is old, V8 takes all that come after it for alive
 * as well, with what they held, and the whole heap has to be collected again and again.
 */
export class StreamTable<T extends Numbered<T>> implements Iterable<T> {
  /** The first of the streams whose numbers lead to a place; the others follow by their links. */
  #places: (T | undefined)[] = placesFor(fewestPlaces);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    let stream = this.#places[this.#placeOf(id)];
    while (stream !== undefined && stream.id !== id) stream = stream.next;
    return stream;
  }

  /** Adds a stream whose number is not there. */
  add(stream: T): void {
    if (this.#size === this.#places.length) this.#grow();
    this.#size++;
    this.#link(stream);
  }

  /** Takes a stream out, if it is there. */
  delete(stream: T): void {
    const place = this.#placeOf(stream.id);
    let before: T | undefined;
    let at = this.#places[place];
    while (at !== stream) {
      if (at === undefined) return;
      before = at;
      at = at.next;
    }
    if (before === undefined) this.#places[place] = stream.next;
    else before.next = stream.next;
    stream.next = undefined;
    this.#size--;
    if (this.#size === 0 && this.#places.length > usualPlaces) this.#places = placesFor(fewestPlaces);
  }

  clear(): void {
    for (const stream of this) this.delete(stream);
  }

  /** The streams that are there now, whatever happens to them meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    const all: T[] = [];
    for (let stream of this.#places) for (; stream !== undefined; stream = stream.next) all.push(stream);
    return all.values();
  }

  /** Numbers of streams that are open at the same time follow each other, so few lead to the same place. */
  #placeOf(id: number): number {
    return (id >>> 1) & (this.#places.length - 1);
  }

  #link(stream: T): void {
    const place = this.#placeOf(stream.id);
    stream.next = this.#places[place];
    this.#places[place] = stream;
  }

  #grow(): void {
    const all = [...this];
    this.#places = placesFor(this.#places.length * 2);
    for (const stream of all) this.#link(stream);
  }
}

function placesFor(count: number): undefined[] {
  return new Array<undefined>(count).fill(undefined);
}
