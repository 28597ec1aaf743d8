import type { JsonValue, LogEntry, Methods, Span } from "../../sdk/index.ts";
import { packEntries, unpackEntries } from "../buffer/packed-entries.ts";

/** What a queue holds, and how it is spoken of. */
export interface Cargo<T> {
  /** The adapter's method that takes it. */
  readonly capability: "logs" | "spans";
  /** What it is called where what is dropped is counted. */
  readonly dropped: "log_entry" | "span";
  readonly noun: string;
  /** A cheap estimate of what one holds in memory, in bytes. */
  sizeOf(one: T): number;
  /** What a buffer beside memory keeps of a list of them, as JSON takes it. */
  pack(list: readonly T[]): unknown;
  /** What {@link pack} was made of, which other hubs may have made. `id` is unlike that of any other list. Throws when it is none. */
  unpack(packed: unknown, id: string): readonly T[];
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
  pack: packEntries,
  unpack: unpackEntries,
};

export const spans: Cargo<Span> = {
  capability: "spans",
  dropped: "span",
  noun: "spans",
  sizeOf: ({ attributes, name, message = "" }) => 384 + name.length + message.length + sizeOfValues(attributes),
  // A span has identifiers of its own.
  pack: (list) => list,
  unpack: (packed) => packed as readonly Span[],
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
