/** A list of numbers; lists of one shape are as long, and expected to differ in a few of them. */
export interface Shaped {
  readonly shape: string;
  readonly numbers: readonly number[];
}

/**
 * Lists of numbers of which many are alike, as are the rules of policies that were written alike. Lists of one shape have
 * a form together, which holds what is the same in all of them; what is not stands in a short row that each has for
 * itself. To read a list is to lay its row into its form: of a thousand lists that are read in turn, the processor's
 * caches need to hold one form and the rows.
 */
export class Forms {
  /** Holds all forms; what was laid last stands where {@link Forms.lay} has said, up to {@link Forms.end}. */
  readonly numbers: Int32Array;
  end = 0;
  /** Where the row of each list begins: with the place of its form. */
  readonly #starts: Int32Array;
  readonly #rows: Int32Array;

  constructor(lists: readonly Shaped[]) {
    const alike = new Map<string, number[]>();
    for (const [list, { shape }] of lists.entries()) {
      const others = alike.get(shape);
      if (others === undefined) alike.set(shape, [list]);
      else others.push(list);
    }
    const forms: number[] = [];
    const rows: number[] = [];
    this.#starts = new Int32Array(lists.length);
    for (const members of alike.values()) {
      const { numbers } = lists[members[0]!]!;
      const others = members.slice(1);
      const own: number[] = [];
      for (let place = 0; place < numbers.length && others.length > 0; place++)
        if (others.some((list) => lists[list]!.numbers[place] !== numbers[place])) own.push(place);
      const form = forms.length;
      forms.push(numbers.length, own.length);
      for (const place of own) forms.push(place);
      for (const number of numbers) forms.push(number);
      for (const list of members) {
        this.#starts[list] = rows.length;
        rows.push(form);
        for (const place of own) rows.push(lists[list]!.numbers[place]!);
      }
    }
    this.numbers = new Int32Array(forms);
    this.#rows = new Int32Array(rows);
  }

  /** Lays a list out and answers where it begins in {@link Forms.numbers}. It stands there until the next one is laid. */
  lay(list: number): number {
    const { numbers } = this;
    const rows = this.#rows;
    const row = this.#starts[list]!;
    const form = rows[row]!;
    const own = numbers[form + 1]!;
    const begin = form + 2 + own;
    for (let i = 1; i <= own; i++) numbers[begin + numbers[form + 1 + i]!] = rows[row + i]!;
    this.end = begin + numbers[form]!;
    return begin;
  }
}
