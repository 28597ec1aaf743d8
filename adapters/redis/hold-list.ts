import type { Limit } from "weir/sdk";

/** Where what one charge took is remembered. */
export interface Listed {
  readonly limit: Limit;
  /** The keys of its counter and of its record. */
  readonly counter: string;
  readonly record: string;
}

/** The key of the list of what is held of a decision. Keys of counters go on with a brace. */
export function listOf(prefix: string, id: string): string {
  return `${prefix}held:${id}`;
}

/** An entry of the list, as hubs of this and later versions read it. */
export function entryOf({ limit, counter, record }: Listed): string {
  const { id, algorithm, amount, windowMs, burst, calendar } = limit;
  return JSON.stringify({ v: 1, id, algorithm, amount, windowMs, burst, calendar, counter, record });
}

/** Reads an entry; `undefined` for one of another version. */
export function listedOf(entry: string): Listed | undefined {
  const read = JSON.parse(entry) as { v: number; counter: string; record: string } & Limit;
  if (read.v !== 1) return undefined;
  const { v: _, counter, record, ...limit } = read;
  return { limit, counter, record };
}
