/** One line of a log rule, evaluated. Field values are JSON: IPs, durations, timestamps and bytes come as text. */
export interface LogEntry {
  /** The log's name: what stands after `log:`. */
  readonly name: string;
  /** When the hub took the report, milliseconds since 1970. */
  readonly timeMs: number;
  readonly severity: "debug" | "info" | "warning" | "error";
  /** Absent fields are left out. */
  readonly fields: Readonly<Record<string, JsonValue>>;
  /** Set where the entry may be delivered again, by this hub or another: the same id is the same entry. */
  readonly id?: string;
}

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** What became of a batch. `undefined` means that all of it was delivered. */
export type Exported = void | {
  /** How many entries or spans, from the batch's start, are done with and must not be offered again. */
  readonly delivered: number;
  /** Whether the rest may be offered again. */
  readonly retry: boolean;
  readonly reason: string;
  /**
   * For `retry`: the backend asks not to be offered the rest before so many milliseconds have passed. The hub waits at
   * least its own pause and at most 5 minutes.
   */
  readonly retryAfterMs?: number | undefined;
};
