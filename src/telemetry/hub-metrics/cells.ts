/** One series of a hub metric. */
export interface Cell {
  readonly labels: readonly string[];
  value: number;
}

/** The most series of one hub metric. Label values come from files and from code, so only a mistake gets there. */
const maxCells = 20_000;

const overflow = "other";

/**
 * Numbers by up to three label values. Adding costs three look-ups in small maps, none for the series of the last time,
 * and no allocation once a series is there; beyond the most series, samples go to one whose labels say `other`.
 */
export class Cells<C extends Cell = Cell> {
  readonly #root = new Map<string, Map<string, Map<string, C>>>();
  readonly #all: C[] = [];
  #last: C | undefined;
  readonly #make: (labels: readonly string[]) => C;

  constructor(make: (labels: readonly string[]) => C) {
    this.#make = make;
  }

  /** Every series, in the order in which they came. */
  get all(): readonly C[] {
    return this.#all;
  }

  /** The series of these label values; a metric with fewer labels leaves the last ones empty. */
  at(a: string, b = "", c = ""): C {
    const labels = this.#last?.labels;
    if (labels !== undefined && labels[0] === a && labels[1] === b && labels[2] === c) return this.#last!;
    return (this.#last = this.#root.get(a)?.get(b)?.get(c) ?? this.#add(a, b, c));
  }

  #add(a: string, b: string, c: string): C {
    if (this.#all.length >= maxCells && a !== overflow) return this.at(overflow, overflow, overflow);
    let second = this.#root.get(a);
    if (second === undefined) this.#root.set(a, (second = new Map()));
    let third = second.get(b);
    if (third === undefined) second.set(b, (third = new Map()));
    const cell = this.#make([a, b, c]);
    third.set(c, cell);
    this.#all.push(cell);
    return cell;
  }
}

/** A series of a counter. */
export function counterCell(labels: readonly string[]): Cell {
  return { labels, value: 0 };
}
