/**
 * Gives each label value a small integer, so that series are found and compared by integers. A value is held while
 * some series uses it; its integer is then given to another.
 */
export class Interner {
  readonly #ids = new Map<string, number>();
  readonly #texts: (string | undefined)[] = [];
  readonly #uses: number[] = [];
  readonly #free: number[] = [];
  #version = 0;

  /** Changes whenever an integer was taken from its value: what was remembered of integers before is void. */
  get version(): number {
    return this.#version;
  }

  /** How many values are held. */
  get size(): number {
    return this.#ids.size;
  }

  /** The integer of a value that some series uses. */
  find(text: string): number | undefined {
    return this.#ids.get(text);
  }

  text(id: number): string {
    return this.#texts[id]!;
  }

  /** The value's integer, used once more than before. */
  hold(text: string): number {
    let id = this.#ids.get(text);
    if (id === undefined) {
      id = this.#free.pop() ?? this.#texts.length;
      const own = copyOf(text);
      this.#ids.set(own, id);
      this.#texts[id] = own;
      this.#uses[id] = 0;
    }
    this.#uses[id]!++;
    return id;
  }

  /** Undoes one {@link hold}. */
  release(id: number): void {
    if (--this.#uses[id]! > 0) return;
    this.#ids.delete(this.#texts[id]!);
    this.#texts[id] = undefined;
    this.#free.push(id);
    this.#version++;
  }
}

/** The text in memory of its own: V8 keeps part of a string as a view that holds all of it, which may be a megabyte. */
function copyOf(text: string): string {
  return Buffer.from(text).toString();
}
