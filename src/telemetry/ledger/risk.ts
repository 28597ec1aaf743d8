/** What the process has and would take with it. The names are those of the metrics. */
export type AtRisk =
  /** Entries of access logs that were read, and are not taken or not stored. */
  | "record"
  /** Log entries and spans that wait for an exporter, and that no buffer beside memory keeps. */
  | "log_entry"
  | "span"
  /** Samples that no whole scrape has. */
  | "scraped_sample"
  /** Samples that no export has which was taken, and that no buffer keeps. */
  | "pushed_sample"
  /** Samples that a buffer keeps and that were recorded: they are brought again, and may have been exported. */
  | "repeated_sample";

/** One place where something waits that ends with the process. */
export interface Risk {
  readonly what: AtRisk;
  /** The adapter that it waits for, by its name in `weir.yaml`; empty for what is not for one yet. */
  readonly adapter: string;
  /** How much waits there now, at most, a whole number; after the place was closed, how much was left. Never throws. */
  readonly unsafe: number;
}
