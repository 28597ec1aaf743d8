import type { Algorithm, Charge } from "weir/sdk";
import type { Counter } from "./counter.ts";
import { hashOf, KeyIndex } from "./key-index.ts";

const pageBits = 9;
const pagePlaces = 1 << pageBits;
const pageMask = pagePlaces - 1;
/** How many places the first page has room for at first: most limits of a large set have few keys. */
const fewestPlaces = 8;

/**
 * The counts of one limit: a state for each key, in pages of plain numbers. No timer and no object a key. A hand goes
 * round the places and finds those that can be let go.
 */
export class KeyTable {
  /** How many numbers are kept for each key: its state, when it was last asked for, and its hash. */
  readonly width: number;
  /** The limit's id, and how it counts. */
  readonly limit: string;
  readonly algorithm: Algorithm;
  readonly counter: Counter;
  /** Where behind the start of a key's state it says when it was last asked for. */
  readonly usedAt: number;
  readonly #seed: number;
  readonly #keys: (string | undefined)[] = [];
  readonly #index = new KeyIndex(this.#keys);
  readonly #free: number[] = [];
  readonly #pages: Float64Array[] = [];
  #hand = 0;

  constructor(limit: string, algorithm: Algorithm, counter: Counter, seed: number) {
    this.limit = limit;
    this.algorithm = algorithm;
    this.counter = counter;
    this.width = counter.width + 2;
    this.usedAt = counter.width;
    this.#seed = seed;
  }

  get size(): number {
    return this.#keys.length - this.#free.length;
  }

  /** The place of a key, or -1. `from`: how many characters all keys of its limit begin with. */
  find(key: string, from: number): number {
    return this.#index.find(key, hashOf(key, from, this.#seed));
  }

  /**
   * The place of a charge's key, or -1. Where the charge has a hint, that is believed if the key is there, and set if not.
   * The table then keeps the text of the charge in place of its own: next time their addresses are compared, not letters.
   */
  findFor(charge: Charge, from: number): number {
    const { key, hint } = charge;
    if (hint === undefined) return this.find(key, from);
    // `===` reads both texts before it compares their addresses, of which one that was not used of late is a cache miss.
    if (hint >= 0 && Object.is(this.#keys[hint], key)) return hint;
    const place = this.find(key, from);
    if (place >= 0) this.#keys[place] = key;
    charge.hint = place;
    return place;
  }

  /** The numbers among which a place's state is. Until a key is added: the first page may then be another one. */
  page(place: number): Float64Array {
    return this.#pages[place >>> pageBits]!;
  }

  /** Where in its page a place's state begins. */
  offset(place: number): number {
    return (place & pageMask) * this.width;
  }

  /** Notes that a key was asked for. */
  use(place: number, now: number): void {
    this.page(place)[this.offset(place) + this.usedAt] = now;
  }

  /** Gives a key that is not there a place, with a state of zeros. */
  add(key: string, from: number, now: number): number {
    const place = this.#free.pop() ?? this.#keys.length;
    this.#makeRoom(place);
    const hash = hashOf(key, from, this.#seed);
    this.#keys[place] = copyOf(key);
    this.#index.add(place, hash);
    const page = this.page(place);
    const o = this.offset(place);
    page.fill(0, o, o + this.usedAt);
    page[o + this.usedAt] = now;
    page[o + this.usedAt + 1] = hash;
    return place;
  }

  /**
   * Looks at the next `count` places and lets go of the keys there that are as good as new, because the time in the first
   * number of their state is over, and that nobody has asked for since `unusedSince`. Answers how many those were.
   */
  tidy(count: number, now: number, unusedSince: number): number {
    let freed = 0;
    for (let i = Math.min(count, this.#keys.length); i > 0; i--) {
      const place = this.#next();
      if (this.#keys[place] === undefined) continue;
      const page = this.page(place);
      const o = this.offset(place);
      if (page[o]! >= now || page[o + this.usedAt]! >= unusedSince) continue;
      this.#letGo(place);
      freed++;
    }
    return freed;
  }

  /**
   * Of the next `count` places, lets go of the key that was not asked for the longest, if that was before `unusedSince`.
   * What is at work is not idle, however long nobody has asked.
   */
  dropIdle(count: number, unusedSince: number, now: number): boolean {
    let oldest = -1;
    let oldestAt = unusedSince;
    for (let i = Math.min(count, this.#keys.length); i > 0; i--) {
      const place = this.#next();
      if (this.#keys[place] === undefined) continue;
      const page = this.page(place);
      const o = this.offset(place);
      if (this.algorithm === "concurrency" && page[o]! >= now) continue;
      const usedAt = page[o + this.usedAt]!;
      if (usedAt < oldestAt) [oldest, oldestAt] = [place, usedAt];
    }
    if (oldest < 0) return false;
    this.#letGo(oldest);
    return true;
  }

  /** The keys that begin with `prefix`, with their places; `undefined` after every 1,024 others. */
  *keysWith(prefix: string): Generator<readonly [key: string, place: number] | undefined> {
    let passed = 0;
    for (let place = 0; place < this.#keys.length; place++) {
      const key = this.#keys[place];
      if (key?.startsWith(prefix) === true) yield [key, place];
      else if (++passed % 1024 === 0) yield undefined;
    }
  }

  /** Makes the state of a place that of a key which nobody has used; it is let go when its turn comes. */
  clear(place: number): void {
    const o = this.offset(place);
    this.page(place).fill(0, o, o + this.usedAt);
  }

  #next(): number {
    if (this.#hand >= this.#keys.length) this.#hand = 0;
    return this.#hand++;
  }

  #letGo(place: number): void {
    this.#index.remove(place, this.page(place)[this.offset(place) + this.usedAt + 1]!);
    this.#keys[place] = undefined;
    this.#free.push(place);
  }

  #makeRoom(place: number): void {
    const at = place >>> pageBits;
    const page = this.#pages[at];
    if (page === undefined) {
      this.#pages.push(new Float64Array((at === 0 ? fewestPlaces : pagePlaces) * this.width));
    } else if (this.offset(place) >= page.length) {
      const larger = new Float64Array(page.length * 2);
      larger.set(page);
      this.#pages[at] = larger;
    }
  }
}

/**
 * The same text as one piece of memory. V8 holds a text that was put together, or cut out of another one, by references,
 * which would live as long as the key and are one more miss of the processor's caches each time that it is compared.
 */
function copyOf(key: string): string {
  return [key.slice(0, 1), key.slice(1)].join("");
}
