import type { Algorithm, Limit } from "weir/sdk";
import type { Counter } from "./counter.ts";
import { KeyTable } from "./key-table.ts";

export interface KeyBounds {
  readonly maxKeys: number;
  readonly maxKeysPerLimit: number;
}

/** How many places are looked at for each new key, in its own limit's table and in another one. */
const tidyAlways = 2;
/** How long a key is kept that is as good as new: who comes again soon finds its place. */
const keptMs = 1000;
/** How many places are looked at when there is no room, and in how many tables. */
const tidyWhenFull = 32;
const tablesWhenFull = 8;
/** A key that was asked for in this time is busy and never dropped. */
export const busyMs = 10_000;

/** How many of the limits that were asked for last have their tables at hand: requests mostly have few, and the same ones. */
const atHand = 4;

/**
 * The tables of all limits, and the bounds that they keep together.
 *
 * A key is let go when it is as good as new: when the time in the first number of its state is over. When there is no
 * room such keys go at once; then the one, of those looked at, that nobody has asked for the longest. A busy key never
 * goes: the new one is refused instead.
 */
export class KeyTables {
  readonly #counters: Readonly<Record<Algorithm, Counter>>;
  readonly #bounds: KeyBounds;
  readonly #seed: number;
  readonly #dropped: (limit: string) => void;
  readonly #byLimit: Readonly<Record<Algorithm, Map<string, KeyTable>>>;
  readonly #tables: KeyTable[] = [];
  /** Limits that were asked for last, each with its table at the same place of the other list. */
  readonly #lastLimits: Limit[] = [];
  readonly #lastTables: KeyTable[] = [];
  #nextLast = 0;
  /** Which table has its turn to make room for the key of another one. */
  #turn = 0;
  #total = 0;

  /**
   * @param seed a number that who chooses keys does not know
   * @param dropped called with its limit for each key whose count is forgotten before its time
   */
  constructor(
    counters: Readonly<Record<Algorithm, Counter>>,
    bounds: KeyBounds,
    seed: number,
    dropped: (limit: string) => void,
  ) {
    this.#counters = counters;
    this.#bounds = bounds;
    this.#seed = seed;
    this.#dropped = dropped;
    const maps = Object.keys(counters).map((algorithm) => [algorithm, new Map<string, KeyTable>()]);
    this.#byLimit = Object.fromEntries(maps) as Record<Algorithm, Map<string, KeyTable>>;
  }

  /** How many keys all tables hold. */
  get total(): number {
    return this.#total;
  }

  /** How many keys of a limit are held. */
  sizeOf({ id, algorithm }: Limit): number {
    return this.#byLimit[algorithm].get(id)?.size ?? 0;
  }

  /** The table of a limit. A limit that counts in another way has another one. */
  of(limit: Limit): KeyTable {
    const limits = this.#lastLimits;
    for (let i = 0; i < limits.length; i++) if (limits[i] === limit) return this.#lastTables[i]!;
    const { id, algorithm } = limit;
    const table = this.#byLimit[algorithm].get(id) ?? this.#open(id, algorithm);
    this.#lastLimits[this.#nextLast] = limit;
    this.#lastTables[this.#nextLast] = table;
    this.#nextLast = (this.#nextLast + 1) % atHand;
    return table;
  }

  /** Gives a key that is not in its limit's table a place there, or answers -1: there are as many busy keys as may be. */
  add(limit: Limit, key: string, now: number): number {
    const table = this.of(limit);
    this.#tidy(table, tidyAlways, now, now - keptMs);
    this.#tidyAnother(table, now);
    if (!this.#hasRoom(table) && !this.#makeRoom(table, now)) return -1;
    this.#total++;
    return table.add(key, startOf(limit), now);
  }

  #hasRoom({ size }: KeyTable): boolean {
    return this.#total < this.#bounds.maxKeys && size < this.#bounds.maxKeysPerLimit;
  }

  /** A limit that has all the keys that it may have makes room by itself, others by those that have many. */
  #makeRoom(table: KeyTable, now: number): boolean {
    if (this.#tidy(table, tidyWhenFull, now, now) && this.#hasRoom(table)) return true;
    if (table.size >= this.#bounds.maxKeysPerLimit) return this.#dropIdle(table, now);
    let largest = table;
    for (let i = Math.min(tablesWhenFull, this.#tables.length); i > 0; i--) {
      const other = this.#nextTable();
      if (this.#tidy(other, tidyWhenFull, now, now)) return true;
      if (other.size > largest.size) largest = other;
    }
    return this.#dropIdle(largest, now);
  }

  #tidy(table: KeyTable, places: number, now: number, unusedSince: number): boolean {
    const freed = table.tidy(places, now, unusedSince);
    this.#total -= freed;
    return freed > 0;
  }

  #dropIdle(table: KeyTable, now: number): boolean {
    if (!table.dropIdle(tidyWhenFull, now - busyMs, now)) return false;
    this.#total--;
    this.#dropped(table.limit);
    return true;
  }

  /** Tables of limits to which no keys are added are tidied for those to which some are, and closed when they are empty. */
  #tidyAnother(table: KeyTable, now: number): void {
    const other = this.#nextTable();
    if (other === table) return;
    this.#tidy(other, tidyAlways, now, now - keptMs);
    if (other.size > 0) return;
    this.#byLimit[other.algorithm].delete(other.limit);
    this.#forgetLast();
    this.#tables[this.#tables.indexOf(other)] = this.#tables.at(-1)!;
    this.#tables.pop();
  }

  #forgetLast(): void {
    this.#lastLimits.length = 0;
    this.#lastTables.length = 0;
    this.#nextLast = 0;
  }

  #nextTable(): KeyTable {
    if (this.#turn >= this.#tables.length) this.#turn = 0;
    return this.#tables[this.#turn++]!;
  }

  #open(limit: string, algorithm: Algorithm): KeyTable {
    const table = new KeyTable(limit, algorithm, this.#counters[algorithm], this.#seed);
    this.#byLimit[algorithm].set(limit, table);
    this.#tables.push(table);
    return table;
  }
}

/** How many characters the keys of a limit begin with: no hash needs to look at them. */
export function startOf({ keyPrefix }: Limit): number {
  return keyPrefix?.length ?? 0;
}
