import type { Exemplar, MetricSpec } from "../metric.ts";
import { Exemplars, type SeriesExemplar } from "./exemplars.ts";
import type { LabelTable } from "./label-table.ts";
import { SeriesRows } from "./rows.ts";

/** What was recorded in one series from `startMs` on: a sum or value, and a histogram's buckets, not cumulated. */
export interface SeriesPart {
  readonly startMs: number;
  readonly value: number;
  readonly counts: readonly number[];
}

/** One metric and its series: a value, or a histogram's buckets, for each row of the label table that it has. */
export class SeriesFamily {
  readonly name: string;
  readonly kind: MetricSpec["kind"];
  /** Upper bounds of a histogram, without +Inf. */
  readonly bounds: readonly number[];
  readonly table: LabelTable;
  help: string;
  readonly #isHistogram: boolean;
  readonly #isGauge: boolean;
  /** How many recorders write to it; without any, the family is dropped. */
  recorders = 0;
  /** The row of the series that takes what has no room, or -1. */
  overflowRow = -1;
  /** Whether the loss of detail was logged. */
  warned = false;
  /** Told of each observation of a histogram, for who sends them one by one. */
  observed: ((row: number, value: number) => void) | undefined;

  /** A counter's or gauge's value, a histogram's sum and its observations by bucket, not cumulated; the last is +Inf. */
  readonly #rows: SeriesRows;
  /** Since when a row's series counts, in milliseconds since 1970. */
  #starts: Float64Array;
  #series = 0;
  /** Made with the first of them: most metrics have none. */
  #exemplars: Exemplars | undefined;
  readonly #stopGrowing: () => void;

  constructor(spec: MetricSpec, name: string, table: LabelTable) {
    this.name = name;
    this.kind = spec.kind;
    this.bounds = spec.kind === "histogram" ? [...(spec.buckets ?? [])] : [];
    this.#isHistogram = spec.kind === "histogram";
    this.#isGauge = spec.kind === "gauge";
    this.table = table;
    this.help = spec.help;
    this.#rows = new SeriesRows(table.capacity, this.#isHistogram ? this.bounds.length + 1 : 0);
    this.#starts = new Float64Array(table.capacity);
    this.#stopGrowing = table.onGrow((capacity) => this.#grow(capacity));
  }

  /** How many series there are. */
  get series(): number {
    return this.#series;
  }

  has(row: number): boolean {
    return this.#rows.seen(row) !== 0;
  }

  /** Begins a series in a row where there is none. */
  admit(row: number, tick: number, nowMs: number): void {
    this.#rows.setSeen(row, tick);
    this.#starts[row] = nowMs;
    this.#series++;
    this.table.use(row);
  }

  /** Records one sample in a row that has a series. */
  record(row: number, value: number, tick: number): void {
    const rows = this.#rows;
    rows.setSeen(row, tick);
    if (this.#isHistogram) {
      rows.addValue(row, value);
      rows.increment(row, bucketOf(this.bounds, value));
      this.observed?.(row, value);
    } else if (this.#isGauge) rows.setValue(row, value);
    // A counter never goes back (OpenMetrics 1.0, "Counter").
    else if (value > 0) rows.addValue(row, value);
  }

  /** Keeps the trace that a sample is of, as the last one of its counter or bucket. */
  note(row: number, value: number, { traceId, spanId }: Exemplar, timeMs: number): void {
    if (this.kind === "gauge") return;
    const bucket = this.kind === "histogram" ? bucketOf(this.bounds, value) : 0;
    (this.#exemplars ??= new Exemplars()).set(row * (this.bounds.length + 1) + bucket, {
      traceId,
      spanId,
      value,
      timeMs,
    });
  }

  /** The last exemplar of a counter, or of one bucket of a histogram. */
  exemplar(row: number, bucket = 0): SeriesExemplar | undefined {
    return this.#exemplars?.get(row * (this.bounds.length + 1) + bucket);
  }

  /** A counter's or gauge's value, a histogram's sum. */
  value(row: number): number {
    return this.#rows.value(row);
  }

  /** How many observations fell into one bucket alone. */
  count(row: number, bucket: number): number {
    return this.#rows.count(row, bucket);
  }

  /** Since when a series counts, in milliseconds since 1970: when it began, or was last taken. */
  startMs(row: number): number {
    return this.#starts[row]!;
  }

  /** Takes what a counter or histogram has recorded out of it: the series counts anew from now on. */
  take(row: number, nowMs: number): SeriesPart {
    const rows = this.#rows;
    const part = { startMs: this.#starts[row]!, value: rows.value(row), counts: rows.counts(row) };
    rows.clear(row);
    this.#starts[row] = nowMs;
    return part;
  }

  /**
   * Undoes a {@link take} of what could not be handed on. Answers whether it did: a series that is gone by now, or that
   * was taken again, does not get it back.
   */
  giveBack(row: number, part: SeriesPart, takenMs: number): boolean {
    if (!this.has(row) || this.#starts[row] !== takenMs) return false;
    this.#rows.addValue(row, part.value);
    for (const [i, count] of part.counts.entries()) this.#rows.addCount(row, i, count);
    this.#starts[row] = part.startMs;
    return true;
  }

  /** Drops every series that was last written before a tick. Returns how many. */
  dropBefore(tick: number): number {
    const numbers = this.#rows;
    const width = this.bounds.length + 1;
    const { rows } = this.table;
    let dropped = 0;
    for (let row = 0; row < rows; row++) {
      const seen = numbers.seen(row);
      if (seen === 0 || seen >= tick) continue;
      numbers.setSeen(row, 0);
      numbers.clear(row);
      if (this.#exemplars !== undefined) for (let i = 0; i < width; i++) this.#exemplars.delete(row * width + i);
      if (row === this.overflowRow) this.overflowRow = -1;
      this.table.release(row);
      this.#series--;
      dropped++;
    }
    return dropped;
  }

  /** Drops all series and lets go of the table. */
  close(): void {
    this.dropBefore(Infinity);
    this.#stopGrowing();
  }

  #grow(capacity: number): void {
    this.#rows.grow(capacity);
    const starts = new Float64Array(capacity);
    starts.set(this.#starts);
    this.#starts = starts;
  }
}

/** The first bucket whose upper bound is not below the value. */
function bucketOf(bounds: readonly number[], value: number): number {
  let low = 0;
  let high = bounds.length;
  while (high - low > 8) {
    const middle = (low + high) >>> 1;
    if (bounds[middle]! < value) low = middle + 1;
    else high = middle;
  }
  while (low < high && bounds[low]! < value) low++;
  return low;
}
