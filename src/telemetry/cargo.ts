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
  /** What a buffer beside memory keeps of one, as JSON takes it. */
  pack(one: T): unknown;
  /** What {@link pack} was made of, which other hubs may have made. `id` is unlike that of any other. Throws when it is none. */
  unpack(packed: unknown, id: string): T;
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
  pack: ({ name, timeMs, severity, fields }) => [name, timeMs, severity, fields],
  unpack(packed, id) {
    const [name, timeMs, severity, fields] = packed as [string, number, LogEntry["severity"], LogEntry["fields"]];
    return { name, timeMs, severity, fields, id };
  },
};

export const spans: Cargo<Span> = {
  capability: "spans",
  dropped: "span",
  noun: "spans",
  sizeOf: ({ attributes, name, message = "" }) => 384 + name.length + message.length + sizeOfValues(attributes),
  // A span has identifiers of its own.
  pack: (span) => span,
  unpack: (packed) => packed as Span,
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
