import type { JsonValue, LogEntry, Methods, Span } from "../sdk/index.ts";

/** What a queue holds, and how it is spoken of. */
export interface Cargo<T> {
  /** The adapter's method that takes it. */
  readonly capability: "logs" | "spans";
  /** What it is called where what is dropped is counted. */
  readonly dropped: "log_entry" | "span";
  readonly noun: string;
  /** A cheap estimate of what one holds in memory, in bytes. */
  sizeOf(one: T): number;
}

/** Cargo of which kind does not matter. */
export type AnyCargo = Pick<Cargo<never>, "capability">;

/** Instances that export: by each kind of cargo, the method that takes it. */
export type ExportingInstance = { readonly [C in AnyCargo["capability"]]?: Methods<never>[C] };

export const logEntries: Cargo<LogEntry> = {
  capability: "logs",
  dropped: "log_entry",
  noun: "log entries",
  sizeOf: ({ fields }) => 128 + sizeOfValues(fields),
};

export const spans: Cargo<Span> = {
  capability: "spans",
  dropped: "span",
  noun: "spans",
  sizeOf: ({ attributes }) => 384 + sizeOfValues(attributes),
};

function sizeOfValues(values: Readonly<Record<string, JsonValue>>): number {
  let size = 0;
  for (const name in values) {
    const value = values[name]!;
    size +=
      32 + (typeof value === "string" ? value.length : typeof value === "object" ? JSON.stringify(value).length : 8);
  }
  return size;
}
