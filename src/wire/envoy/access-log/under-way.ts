import { createHash } from "node:crypto";

interface Remembered<T> {
  readonly value: T;
  readonly startMs: number;
}

/** A longer id is kept as its hash. */
const maxId = 256;

/** How many of those that ended are remembered, so that an entry which one of them overtook is known as such. */
const maxEnded = 4096;

/**
 * What is remembered of requests or connections that still last, from one entry to the next. Of fixed size: of too many,
 * the one that was not heard of for longest is forgotten.
 */
export class UnderWay<T> {
  readonly #found = new Map<string, Remembered<T>>();
  readonly #ended = new Set<string>();
  /** The same in the order in which they ended, the next to be forgotten at {@link UnderWay.#next}: a set would look for it. */
  readonly #endings: string[] = [];
  #next = 0;
  readonly #max: number;
  /** What began before this may have been told of without being remembered, in epoch milliseconds. */
  #knownSinceMs: number;

  /** `nowMs`: when the hub began to take entries. `max`: how many are remembered. */
  constructor(nowMs: number, max = 65_536) {
    this.#knownSinceMs = nowMs;
    this.#max = max;
  }

  get size(): number {
    return this.#found.size;
  }

  get(id: string): T | undefined {
    return this.#found.get(keyOf(id))?.value;
  }

  /** Whether it is among those that ended last. */
  hasEnded(id: string): boolean {
    return this.#ended.size > 0 && this.#ended.has(keyOf(id));
  }

  /** Whether one that is not remembered may have been told of before: it is older than this table, or than one that had to be forgotten. */
  mayLack(startMs: number): boolean {
    return startMs < this.#knownSinceMs;
  }

  /** Remembers one, and that it was heard of. */
  put(id: string, value: T, startMs: number): void {
    const key = keyOf(id);
    // Heard of last: the end of the order.
    if (!this.#found.delete(key) && this.#found.size >= this.#max) {
      const [oldest, forgotten] = this.#found.entries().next().value!;
      this.#found.delete(oldest);
      this.#knownSinceMs = Math.max(this.#knownSinceMs, forgotten.startMs + 1);
    }
    this.#found.set(key, { value, startMs });
  }

  /** It has ended. */
  end(id: string): void {
    const key = keyOf(id);
    this.#found.delete(key);
    if (this.#ended.has(key)) return;
    const forgotten = this.#endings[this.#next];
    if (forgotten !== undefined) this.#ended.delete(forgotten);
    this.#endings[this.#next] = key;
    this.#next = (this.#next + 1) % maxEnded;
    this.#ended.add(key);
  }
}

/** The end of an id is what tells connections apart, so none of it is cut. */
function keyOf(id: string): string {
  return id.length <= maxId ? id : createHash("sha256").update(id).digest("base64url");
}
