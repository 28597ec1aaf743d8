import type { Exemplar, MetricGroup, MetricRecorder } from "../../sdk/index.ts";
import type { Packing } from "./batch.ts";
import type { EntrySink } from "./record-buffer.ts";

/** What a recorder was given for one record. */
export interface SampleRow {
  readonly labels: readonly string[];
  /** One for each metric of the group; `NaN` where there is none. */
  readonly values: readonly number[];
  readonly exemplar?: Exemplar | undefined;
}

/** Samples of metrics that share their labels, with all that is needed to record them anywhere. */
export interface MetricSamples {
  readonly group: MetricGroup;
  readonly rows: readonly SampleRow[];
}

/** How samples are kept in a batch. JSON has no `NaN` and no infinities. */
export const metricSamples: Packing<MetricSamples> & { readonly capability: "metrics" } = {
  capability: "metrics",
  dropped: "metric_sample",
  pack: (list) =>
    list.map(({ group, rows }) => [
      [group.labels, group.metrics],
      rows.map(({ labels, values, exemplar }) => {
        const row: unknown[] = [labels, values.map(packNumber)];
        if (exemplar !== undefined) row.push(exemplar.traceId, exemplar.spanId);
        return row;
      }),
    ]),
  unpack: (packed) =>
    (packed as [[MetricGroup["labels"], MetricGroup["metrics"]], unknown[][]][]).map(([[labels, metrics], rows]) => ({
      group: { labels, metrics },
      rows: rows.map(unpackRow),
    })),
};

function packNumber(value: number): number | string | null {
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? null : String(value);
}

function unpackRow(packed: unknown[]): SampleRow {
  const [labels, values, traceId, spanId] = packed as [string[], (number | string | null)[], string?, string?];
  return {
    labels,
    values: values.map((value) => (value === null ? NaN : Number(value))),
    exemplar: traceId === undefined || spanId === undefined ? undefined : { traceId, spanId },
  };
}

/** The most rows, and the most characters of label values unless it is one row, that are kept as one entry. */
const maxRows = 1000;
const maxLength = 64 * 1024;

/** Collects the samples of one group over the records of a call, for a buffer. */
export class SampleCollector implements MetricRecorder {
  readonly #group: MetricGroup;
  readonly #sink: EntrySink<MetricSamples>;
  readonly #onClose: () => void;
  #rows: SampleRow[] = [];
  #length = 0;

  constructor(group: MetricGroup, sink: EntrySink<MetricSamples>, onClose: () => void) {
    this.#group = group;
    this.#sink = sink;
    this.#onClose = onClose;
  }

  /** How many records may be recorded now. */
  get room(): number {
    return this.#sink.room;
  }

  record(labels: readonly string[], values: readonly number[], exemplar?: Exemplar): void {
    let length = 0;
    for (const label of labels) length += label.length;
    // A label that is too long for any batch takes no others with it.
    if (this.#rows.length >= maxRows || this.#length + length > maxLength) this.flush();
    this.#rows.push({ labels: [...labels], values: [...values], exemplar });
    this.#length += length;
  }

  /** Hands on what was collected. To be called at the end of each call. */
  flush(): void {
    if (this.#rows.length === 0) return;
    const rows = this.#rows;
    this.#rows = [];
    this.#length = 0;
    this.#sink.push({ group: this.#group, rows });
  }

  close(): void {
    this.#onClose();
  }
}
