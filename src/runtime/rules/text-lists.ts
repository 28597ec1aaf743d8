/**
 * A text gets a row of bits when one list in so many has it: then the row takes no more memory than its places in them. A
 * list is a set of its own when one use in so many is of it: so there are few of them.
 */
const ofMany = 32;

const none: readonly never[] = [];

/** A list, and how many conditions ask it. */
export interface UsedList {
  readonly texts: readonly string[];
  readonly uses: number;
}

/**
 * Lists of texts, and what is in which. Lists of many rules have most of their texts in common: such a text has a row of
 * bits, one a list, which requests for any of the rules look at and which therefore stays in the processor's caches. The
 * few that a list has for itself stand in the list. A list that very many rules share, being written alike in them, is there
 * once, and a set of its own.
 */
export class TextLists {
  /** The texts that have rows, by the numbers of these. Apart from the others, so that few requests look among those. */
  readonly #common: ReadonlyMap<string, number>;
  /** The other texts, by numbers of their own. */
  readonly #rest: ReadonlyMap<string, number>;
  readonly #rows: Int32Array;
  readonly #rowWords: number;
  /** For each list where its own texts begin in {@link TextLists.#own}, and at last where those of the last one end. */
  readonly #starts: Int32Array;
  readonly #own: Int32Array;
  /** For each list that is a set of its own which one of {@link TextLists.#sets} it is, and 1; else 0. */
  readonly #setOf: Uint8Array;
  readonly #sets: ReadonlySet<string>[] = [];

  constructor(all: readonly UsedList[]) {
    const uses = all.reduce((sum, list) => sum + list.uses, 0);
    this.#setOf = new Uint8Array(all.length);
    const lists = all.map(({ texts, uses: own }, list) => {
      if (own * ofMany < uses) return texts;
      this.#setOf[list] = this.#sets.push(new Set(texts));
      return none;
    });
    const counts = new Map<string, number>();
    for (const texts of lists) for (const text of new Set(texts)) counts.set(text, (counts.get(text) ?? 0) + 1);
    const isCommon = (text: string): boolean => counts.get(text)! * ofMany >= lists.length;
    const numbered = (texts: readonly string[]): ReadonlyMap<string, number> =>
      new Map(texts.map((text, number) => [text, number]));
    this.#common = numbered([...counts.keys()].filter(isCommon));
    this.#rest = numbered([...counts.keys()].filter((text) => !isCommon(text)));
    this.#rowWords = (lists.length + 31) >>> 5;
    this.#rows = new Int32Array(this.#common.size * this.#rowWords);
    this.#starts = new Int32Array(lists.length + 1);
    const own: number[] = [];
    for (const [list, texts] of lists.entries()) {
      for (const text of new Set(texts)) {
        const row = this.#common.get(text);
        if (row === undefined) own.push(this.#rest.get(text)!);
        else this.#rows[this.#wordOf(row, list)]! |= 1 << (list & 31);
      }
      this.#starts[list + 1] = own.length;
    }
    this.#own = Int32Array.from(own);
  }

  /** Whether the list at this position has the text. */
  has(list: number, text: string): boolean {
    const set = this.#setOf[list]!;
    if (set !== 0) return this.#sets[set - 1]!.has(text);
    const row = this.#common.get(text);
    if (row !== undefined) return (this.#rows[this.#wordOf(row, list)]! & (1 << (list & 31))) !== 0;
    const number = this.#rest.get(text);
    if (number === undefined) return false;
    const end = this.#starts[list + 1]!;
    for (let i = this.#starts[list]!; i < end; i++) if (this.#own[i] === number) return true;
    return false;
  }

  #wordOf(row: number, list: number): number {
    return row * this.#rowWords + (list >>> 5);
  }
}
