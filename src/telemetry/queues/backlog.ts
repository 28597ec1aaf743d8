export type Done = () => void;

/** How many places at the front are left empty, at least, before what stays is moved there. */
const leastGap = 1024;

/** What waits, in order. Some of it goes at a time, from the front, at a cost that does not depend on how much stays. */
export class Backlog<T> {
  #items: (T | undefined)[] = [];
  #sizes: number[] = [];
  #done: (Done | undefined)[] = [];
  /** Where the first of them is. */
  #head = 0;
  #bytes = 0;
  #unasked = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How many of them nobody asked to be told of. */
  get unasked(): number {
    return this.#unasked;
  }

  /** @param done called when it was taken */
  push(item: T, size: number, done: Done | undefined): void {
    this.#items.push(item);
    this.#sizes.push(size);
    this.#done.push(done);
    this.#bytes += size;
    if (done === undefined) this.#unasked++;
  }

  /** The first of them, which stay. */
  first(count: number): T[] {
    return this.#items.slice(this.#head, this.#head + count) as T[];
  }

  /** Takes the first of them, as many as there are. */
  take(count: number): void {
    const from = this.#head;
    const end = from + count;
    for (let i = from; i < end; i++) this.#bytes -= this.#sizes[i]!;
    const done = this.#done.slice(from, end);
    this.#items.fill(undefined, from, end);
    this.#done.fill(undefined, from, end);
    this.#head = end;
    if (end === this.#items.length || (end >= leastGap && end * 2 >= this.#items.length)) this.#close();
    for (const each of done) {
      if (each === undefined) this.#unasked--;
      else each();
    }
  }

  /** Forgets all of it. Answers how many there were that nobody asked to be told of. */
  clear(): number {
    const unasked = this.#unasked;
    this.#unasked = 0;
    this.#head = this.#items.length;
    this.#bytes = 0;
    this.#close();
    return unasked;
  }

  /** Moves what is left to the front. */
  #close(): void {
    this.#items.splice(0, this.#head);
    this.#sizes.splice(0, this.#head);
    this.#done.splice(0, this.#head);
    this.#head = 0;
  }
}
