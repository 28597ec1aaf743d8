import type { Exemplar } from "../metric.ts";

/** A sample, and the trace that it is of. */
export interface SeriesExemplar extends Exemplar {
  readonly value: number;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
}

/** The most exemplars of one family: about 2 MB. */
const maxExemplars = 10_000;

/**
 * The last exemplar of each counter, or of each bucket of a histogram, by a number that stands for it. Beyond the most
 * that are kept, the ones that came first make room.
 */
export class Exemplars {
  readonly #kept = new Map<number, SeriesExemplar>();

  get(key: number): SeriesExemplar | undefined {
    return this.#kept.get(key);
  }

  set(key: number, exemplar: SeriesExemplar): void {
    if (this.#kept.size >= maxExemplars && !this.#kept.has(key)) {
      for (const first of this.#kept.keys()) {
        this.#kept.delete(first);
        break;
      }
    }
    this.#kept.set(key, exemplar);
  }

  delete(key: number): void {
    this.#kept.delete(key);
  }
}
