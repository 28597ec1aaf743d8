import type { SeriesFamily } from "weir/sdk";

/** One value of a histogram's series. */
export interface Observation {
  readonly family: SeriesFamily;
  readonly row: number;
  readonly value: number;
}

/** Values after which they are sent without waiting for their time, and the most that wait: about 3 MB. */
const sendAt = 4096;
const most = 65_536;

export interface ObservationsOptions {
  /** The part that is kept, 0 up to 1. */
  readonly rate: number;
  /** 0 up to 1. */
  readonly random: () => number;
  /** Called when there are many. */
  readonly many: () => void;
  /** Called for one that has no room. */
  readonly dropped: () => void;
}

/** What was observed and is still to be sent. */
export class Observations {
  readonly #options: ObservationsOptions;
  #waiting: Observation[] = [];

  constructor(options: ObservationsOptions) {
    this.#options = options;
  }

  /** On the hot path. */
  add(family: SeriesFamily, row: number, value: number): void {
    const { rate, random, many, dropped } = this.#options;
    if (rate < 1 && random() >= rate) return;
    if (this.#waiting.length >= most) return dropped();
    this.#waiting.push({ family, row, value });
    if (this.#waiting.length === sendAt) many();
  }

  /** All that wait, which do so no more. */
  take(): readonly Observation[] {
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }
}
