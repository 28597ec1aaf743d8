/** Keys of one limit, counted. */
interface Owner {
  readonly id: string;
  keys: number;
}

/** How many keys all tables of an instance hold together. */
export interface Census {
  readonly maxKeys: number;
  readonly maxKeysPerLimit: number;
  total: number;
  readonly owners: Map<string, Owner>;
}

const pageBits = 9;
const pageMask = (1 << pageBits) - 1;
/** How many places are looked at for each new key, and how many when there is no room. */
const sweepAlways = 2;
const sweepWhenFull = 1024;

/**
 * The state of many keys: `width` numbers each, in pages of plain numbers, found through one map. No timer and no
 * object a key.
 *
 * A key may be let go after the time in its first number, because it is then the same as a new one. A hand goes round
 * the places and lets such keys go: two places for each new key, up to 1,024 when there is no room. A key before that
 * time is never let go: a limit would be forgotten.
 */
export class KeyTable {
  /** How many numbers the state of a key has. */
  readonly width: number;
  readonly #census: Census;
  readonly #places = new Map<string, number>();
  readonly #keys: (string | undefined)[] = [];
  readonly #owners: (Owner | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #pages: Float64Array[] = [];
  #hand = 0;

  constructor(width: number, census: Census) {
    this.width = width;
    this.#census = census;
  }

  get size(): number {
    return this.#places.size;
  }

  /** The place of a key, or -1. */
  find(key: string): number {
    return this.#places.get(key) ?? -1;
  }

  /** The numbers among which a place's state is. */
  page(place: number): Float64Array {
    return this.#pages[place >>> pageBits]!;
  }

  /** Where in its page a place's state begins. */
  offset(place: number): number {
    return (place & pageMask) * this.width;
  }

  /** Gives a key a place, all zeros, or answers -1: the limit, or the instance, holds as many busy keys as it may. */
  add(key: string, limit: string, now: number): number {
    const census = this.#census;
    this.sweep(sweepAlways, now);
    const owned = census.owners.get(limit)?.keys ?? 0;
    if (census.total >= census.maxKeys || owned >= census.maxKeysPerLimit) {
      this.sweep(sweepWhenFull, now);
      if (census.total >= census.maxKeys || (census.owners.get(limit)?.keys ?? 0) >= census.maxKeysPerLimit) return -1;
    }
    let owner = census.owners.get(limit);
    if (owner === undefined) census.owners.set(limit, (owner = { id: limit, keys: 0 }));
    owner.keys++;
    census.total++;
    const place = this.#free.pop() ?? this.#keys.length;
    if (place >>> pageBits >= this.#pages.length) this.#pages.push(new Float64Array(this.width << pageBits));
    this.#places.set(key, place);
    this.#keys[place] = key;
    this.#owners[place] = owner;
    const o = this.offset(place);
    this.page(place).fill(0, o, o + this.width);
    return place;
  }

  /** Looks at the next `count` places and lets go of the keys there that are as good as new. */
  sweep(count: number, now: number): void {
    for (let i = Math.min(count, this.#keys.length); i > 0; i--) {
      if (this.#hand >= this.#keys.length) this.#hand = 0;
      const place = this.#hand++;
      const key = this.#keys[place];
      // Not at that very moment either: a batch may still be undone that has changed the state at `now`.
      if (key === undefined || this.page(place)[this.offset(place)]! >= now) continue;
      const owner = this.#owners[place]!;
      if (--owner.keys === 0) this.#census.owners.delete(owner.id);
      this.#census.total--;
      this.#places.delete(key);
      this.#keys[place] = undefined;
      this.#owners[place] = undefined;
      this.#free.push(place);
    }
  }
}
