import type { Exemplar, MetricSpec } from "../metric.ts";
import { Exemplars, type SeriesExemplar } from "./exemplars.ts";
import type { LabelTable } from "./label-table.ts";

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
  /** How many counts a row has. */
  readonly #width: number;
  /** How many recorders write to it; without any, the family is dropped. */
  recorders = 0;
  /** The row of the series that takes what has no room, or -1. */
  overflowRow = -1;
  /** Whether the loss of detail was logged. */
  warned = false;
  /** Told of each observation of a histogram, for who sends them one by one. */
  observed: ((row: number, value: number) => void) | undefined;

  /** When a row was last written, in ticks from 1 on; 0: the family has no series there. */
  #seen: Uint32Array;
  /** A counter's or gauge's value, a histogram's sum. */
  #values: Float64Array;
  /** A histogram's observations by bucket, not cumulated; the last of each row is +Inf. */
  #counts: Float64Array;
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
    this.#width = this.bounds.length + 1;
    this.table = table;
    this.help = spec.help;
    this.#seen = new Uint32Array(table.capacity);
    this.#values = new Float64Array(table.capacity);
    this.#counts = new Float64Array(this.kind === "histogram" ? table.capacity * (this.bounds.length + 1) : 0);
    this.#starts = new Float64Array(table.capacity);
    this.#stopGrowing = table.onGrow((capacity) => this.#grow(capacity));
  }

  /** How many series there are. */
  get series(): number {
    return this.#series;
  }

  has(row: number): boolean {
    return this.#seen[row] !== 0;
  }

  /** Begins a series in a row where there is none. */
  admit(row: number, tick: number, nowMs: number): void {
    this.#seen[row] = tick;
    this.#starts[row] = nowMs;
    this.#series++;
    this.table.use(row);
  }

  /** Records one sample in a row that has a series. */
  record(row: number, value: number, tick: number): void {
    this.#seen[row] = tick;
    if (this.#isHistogram) {
      this.#values[row]! += value;
      this.#counts[(Math.imul(row, this.#width) + bucketOf(this.bounds, value)) | 0]!++;
      this.observed?.(row, value);
    } else if (this.#isGauge) this.#values[row] = value;
    // A counter never goes back (OpenMetrics 1.0, "Counter").
    else if (value > 0) this.#values[row]! += value;
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
    return this.#values[row]!;
  }

  /** How many observations fell into one bucket alone. */
  count(row: number, bucket: number): number {
    return this.#counts[row * (this.bounds.length + 1) + bucket]!;
  }

  /** Since when a series counts, in milliseconds since 1970: when it began, or was last taken. */
  startMs(row: number): number {
    return this.#starts[row]!;
  }

  /** Takes what a counter or histogram has recorded out of it: the series counts anew from now on. */
  take(row: number, nowMs: number): SeriesPart {
    const width = this.bounds.length + 1;
    const begin = row * width;
    const histogram = this.kind === "histogram";
    const part = {
      startMs: this.#starts[row]!,
      value: this.#values[row]!,
      counts: histogram ? [...this.#counts.subarray(begin, begin + width)] : [],
    };
    this.#values[row] = 0;
    if (histogram) this.#counts.fill(0, begin, begin + width);
    this.#starts[row] = nowMs;
    return part;
  }

  /**
   * Undoes a {@link take} of what could not be handed on. Answers whether it did: a series that is gone by now, or that
   * was taken again, does not get it back.
   */
  giveBack(row: number, part: SeriesPart, takenMs: number): boolean {
    if (!this.has(row) || this.#starts[row] !== takenMs) return false;
    this.#values[row]! += part.value;
    for (const [i, count] of part.counts.entries()) this.#counts[row * (this.bounds.length + 1) + i]! += count;
    this.#starts[row] = part.startMs;
    return true;
  }

  /** Drops every series that was last written before a tick. Returns how many. */
  dropBefore(tick: number): number {
    const seen = this.#seen;
    const rows = this.table.rows;
    let dropped = 0;
    for (let row = 0; row < rows; row++) {
      if (seen[row] === 0 || seen[row]! >= tick) continue;
      seen[row] = 0;
      this.#values[row] = 0;
      const width = this.bounds.length + 1;
      if (this.kind === "histogram") this.#counts.fill(0, row * width, (row + 1) * width);
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
    const seen = new Uint32Array(capacity);
    seen.set(this.#seen);
    this.#seen = seen;
    this.#values = grown(this.#values, capacity);
    this.#starts = grown(this.#starts, capacity);
    if (this.kind === "histogram") this.#counts = grown(this.#counts, capacity * (this.bounds.length + 1));
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

function grown(array: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(length);
  larger.set(array);
  return larger;
}
