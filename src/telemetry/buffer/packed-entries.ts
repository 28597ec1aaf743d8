import type { JsonValue, LogEntry } from "../../sdk/index.ts";

/** What entries of one rule have in common: name, severity, and the names of the fields. */
type Shape = readonly [name: string, severity: LogEntry["severity"], ...fields: string[]];

/**
 * Log entries as a buffer keeps them: their shapes, and one list with what is left of each entry in turn, the index of its
 * shape, its time and the values of its fields. Names and braces of every entry would make the half of a batch.
 */
type PackedEntries = readonly [shapes: readonly Shape[], values: readonly JsonValue[]];

export function packEntries(entries: readonly LogEntry[]): PackedEntries {
  const shapes: Shape[] = [];
  const values: JsonValue[] = [];
  const known = new Map<string, number>();
  let last: Shape | undefined;
  let index = -1;
  for (const entry of entries) {
    // Entries of one rule come in a row, as a rule.
    if (last === undefined || !isOf(last, entry)) {
      last = [entry.name, entry.severity, ...Object.keys(entry.fields)];
      const text = JSON.stringify(last);
      index = known.get(text) ?? shapes.push(last) - 1;
      known.set(text, index);
    }
    values.push(index, entry.timeMs);
    for (const field in entry.fields) values.push(entry.fields[field]!);
  }
  return [shapes, values];
}

/** Gives each entry an id that is its own. Throws when these are no packed entries. */
export function unpackEntries(packed: unknown, id: string): LogEntry[] {
  const [shapes, values] = packed as PackedEntries;
  if (!Array.isArray(shapes) || !Array.isArray(values)) throw new TypeError("expected shapes and values of entries");
  const blanks = shapes.map((shape) =>
    Object.fromEntries(shape.slice(2).map((field: string) => [field, null as JsonValue])),
  );
  const entries: LogEntry[] = [];
  let at = 0;
  while (at < values.length) {
    const index = values[at++] as number;
    const shape = shapes[index];
    if (!Array.isArray(shape) || at + shape.length - 1 > values.length)
      throw new TypeError("expected an entry's values");
    const timeMs = values[at++] as number;
    // A copy of what has the fields is made faster than they are added, and a field `__proto__` is one like others.
    const fields = { ...blanks[index] };
    for (let i = 2; i < shape.length; i++) fields[shape[i]!] = values[at++]!;
    entries.push({ name: shape[0], timeMs, severity: shape[1], fields, id: `${id}.${entries.length}` });
  }
  return entries;
}

function isOf(shape: Shape, { name, severity, fields }: LogEntry): boolean {
  if (name !== shape[0] || severity !== shape[1]) return false;
  let i = 2;
  for (const field in fields) if (field !== shape[i++]) return false;
  return i === shape.length;
}
