/** What can be a member: it has room for where it stands. */
export interface Placed {
  /** Its place among the members; below 0 where it is none. */
  place: number;
}

/**
 * Objects that come and go all the time, in no order. Not a `Set`, which makes a new table with every so many comings and
 * goings, each known to the one before: once such a table is old, V8 takes all that come after it for alive as well, with
 * what they held, and the whole heap has to be collected again and again.
 */
export class Members<T extends Placed> implements Iterable<T> {
  readonly #all: T[] = [];

  get size(): number {
    return this.#all.length;
  }

  /** Adds what is no member anywhere. */
  add(member: T): void {
    member.place = this.#all.push(member) - 1;
  }

  /** Lets go of a member. What is none stays so. */
  delete(member: T): void {
    const { place } = member;
    if (this.#all[place] !== member) return;
    const last = this.#all.pop()!;
    if (last !== member) {
      this.#all[place] = last;
      last.place = place;
    }
    member.place = -1;
  }

  /** Those who are members now, whatever happens to them meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    return this.#all.slice().values();
  }
}
