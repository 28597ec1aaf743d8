import type { ExpositionFormat } from "../util/exposition.ts";

export type MetricKind = "counter" | "gauge" | "histogram";

/** One metric as a policy defines it. */
export interface MetricSpec {
  /** A name that Prometheus takes: `[a-zA-Z_:][a-zA-Z0-9_:]*`. */
  readonly name: string;
  readonly kind: MetricKind;
  readonly help: string;
  /** For histograms: upper bounds, strictly ascending, without +Inf. */
  readonly buckets?: readonly number[];
}

/** Metrics that share their labels, so that an adapter looks a series up once for all of them. */
export interface MetricGroup {
  /** Label names, in the order in which values come. */
  readonly labels: readonly string[];
  readonly metrics: readonly MetricSpec[];
}

/** The trace that a sample is of (OpenMetrics 1.0, "Exemplars"). */
export interface Exemplar {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
}

/** Takes the samples of one group. */
export interface MetricRecorder {
  /**
   * Records one sample for each metric of the group: a counter adds the value, a gauge takes it on, a histogram
   * observes it. `NaN` stands for "no sample of this metric". Called on the hot path: it must return at once and may
   * not keep the arrays. `exemplar` names the trace that the samples are of, where one is known and wanted.
   *
   * `changed` is a hint that spares comparing: where its bit i is 0 (1 is the lowest), and `labels` is the array of the
   * call before, label i says what it said then. Labels from the 33rd on may always have changed; left out: all may.
   */
  record(labels: readonly string[], values: readonly number[], exemplar?: Exemplar, changed?: number): void;
  /** Called when no policy set uses the recorder any more. */
  close?(): void;
}

/** How a scrape wants its text. The closing `# EOF` of OpenMetrics is written by whoever joins the texts of a scrape. */
export interface Exposition {
  readonly format: ExpositionFormat;
  /** Whether the whole answer was handed to a scraper, once that is known. Left out, or pending for ever: nobody knows. */
  readonly taken?: Promise<boolean>;
}
