import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

const fileName = "readers.json";

/** How far each reader of a disk journal has come: the number of the first record that it has not done with. */
export class Places {
  readonly #folder: string;
  readonly #places: Map<string, Place>;

  constructor(folder: string, known: ReadonlyMap<string, number>) {
    this.#folder = folder;
    this.#places = new Map([...known].map(([reader, next]) => [reader, { next, done: new Set() }]));
  }

  /** Reads the file of a folder. One that is missing or broken knows nobody: readers then begin with what is oldest. */
  static async read(folder: string): Promise<{ readonly places: Places; readonly problem?: unknown }> {
    try {
      const text = await readFile(join(folder, fileName), "utf8");
      const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
      const valid = entries.filter((entry): entry is [string, number] => Number.isSafeInteger(entry[1]));
      return { places: new Places(folder, new Map(valid)) };
    } catch (error) {
      const places = new Places(folder, new Map());
      return (error as NodeJS.ErrnoException).code === "ENOENT" ? { places } : { places, problem: error };
    }
  }

  /** Writes the file anew. The place that a crash brings back is an older one, and what lies between is read again. */
  async save(): Promise<void> {
    const text = JSON.stringify(Object.fromEntries([...this.#places].map(([reader, { next }]) => [reader, next])));
    const path = join(this.#folder, fileName);
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  }

  /** Where a reader stands; one that is new begins at `oldest`, and none stands before it. */
  begin(reader: string, oldest: number): number {
    const place = this.#places.get(reader);
    if (place === undefined) this.#places.set(reader, { next: oldest, done: new Set() });
    else if (place.next < oldest) this.#moveTo(place, oldest);
    return Math.max(place?.next ?? oldest, oldest);
  }

  /** Notes that a reader has done with a record. Answers whether that moved its place. */
  done(reader: string, record: number): boolean {
    const place = this.#places.get(reader);
    if (place === undefined || record < place.next) return false;
    place.done.add(record);
    const before = place.next;
    while (place.done.delete(place.next)) place.next++;
    return place.next > before;
  }

  /** The first record that some reader has not done with; `undefined` when there is no reader. */
  get least(): number | undefined {
    return this.#places.size === 0 ? undefined : Math.min(...[...this.#places.values()].map(({ next }) => next));
  }

  /** The first record that no reader has come past; `undefined` when there is no reader. */
  get most(): number | undefined {
    return this.#places.size === 0 ? undefined : Math.max(...[...this.#places.values()].map(({ next }) => next));
  }

  /** Moves readers on that stand before a record that is the oldest now. */
  skipTo(oldest: number): void {
    for (const place of this.#places.values()) if (place.next < oldest) this.#moveTo(place, oldest);
  }

  /** Forgets all but these. Answers whom. */
  keep(readers: readonly string[]): readonly string[] {
    const gone = [...this.#places.keys()].filter((reader) => !readers.includes(reader));
    for (const reader of gone) this.#places.delete(reader);
    return gone;
  }

  #moveTo(place: Place, oldest: number): void {
    place.next = oldest;
    for (const record of place.done) if (record < oldest) place.done.delete(record);
    while (place.done.delete(place.next)) place.next++;
  }
}

interface Place {
  next: number;
  /** Records beyond `next` that are done. */
  readonly done: Set<number>;
}
