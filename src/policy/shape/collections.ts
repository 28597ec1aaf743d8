import { nearest } from "../../util/nearest.ts";
import type { Node, ScalarNode } from "../yaml/node.ts";
import type { JsonSchema, Reading, Shape } from "./shape.ts";

/** One key of a record. */
export interface Field<T> {
  readonly shape: Shape<T>;
  /** One or two sentences, for the reference and for editors. */
  readonly description: string;
  readonly required?: boolean;
  /** What holds when the key is left out, as the reference shows it. */
  readonly default?: string;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;

/** What a record reads. A key that was left out or could not be read is `undefined`; for the latter a problem was told. */
export type RecordOf<F extends Fields> = {
  readonly [K in keyof F]?: F[K] extends Field<infer T> ? T : never;
} & { readonly node: Extract<Node, { kind: "map" }> };

export interface RecordShape<F extends Fields> extends Shape<RecordOf<F>> {
  readonly fields: F;
}

/** A map with known keys. */
export function record<const F extends Fields>(expected: string, fields: F): RecordShape<F> {
  return {
    expected,
    fields,
    schema: recordSchema(fields),
    read(node, reading) {
      if (node.kind !== "map") return reading.mismatch(node, expected);
      const values = readFields(node, fields, reading, (key) => tellUnknown(reading, key, Object.keys(fields)));
      tellMissing(reading, node, expected, fields);
      return { ...values, node } as RecordOf<F>;
    },
  };
}

/** A list of values of one shape. */
export function list<T>(
  expected: string,
  item: Shape<T>,
): Shape<{ readonly items: readonly T[]; readonly node: Node }> {
  return {
    expected,
    schema: { type: "array", items: item.schema },
    read(node, reading) {
      if (node.kind !== "list") return reading.mismatch(node, expected);
      const items: T[] = [];
      for (const each of node.items) {
        const value = item.read(each, reading);
        if (value !== undefined) items.push(value);
      }
      return { items, node };
    },
  };
}

export interface NamedValue<T> {
  readonly name: string;
  readonly key: ScalarNode;
  readonly value: T;
}

/** A map whose keys are the author's own. */
export function mapOf<T>(
  expected: string,
  value: Shape<T>,
): Shape<{ readonly entries: readonly NamedValue<T>[]; readonly node: Node }> {
  return {
    expected,
    schema: { type: "object", additionalProperties: value.schema },
    read(node, reading) {
      if (node.kind !== "map") return reading.mismatch(node, expected);
      const entries: NamedValue<T>[] = [];
      for (const entry of node.entries) {
        const read = value.read(entry.value, reading);
        if (read !== undefined) entries.push({ name: entry.key.text, key: entry.key, value: read });
      }
      return { entries, node };
    },
  };
}

export function recordSchema(fields: Fields): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const [key, field] of Object.entries(fields)) {
    const left = field.default === undefined ? "" : ` Default: ${field.default}.`;
    properties[key] = { ...field.shape.schema, description: `${field.description}${left}` };
    if (field.required === true) required.push(key);
  }
  return { type: "object", properties, ...(required.length > 0 && { required }), additionalProperties: false };
}

/** Reads the keys that are known and hands the others to `unknown`. */
export function readFields(
  node: Extract<Node, { kind: "map" }>,
  fields: Fields,
  reading: Reading,
  unknown: (key: ScalarNode) => void,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { key, value } of node.entries) {
    if (!Object.hasOwn(fields, key.text)) unknown(key);
    else values[key.text] = fields[key.text]!.shape.read(value, reading);
  }
  return values;
}

export function tellUnknown(reading: Reading, key: ScalarNode, known: readonly string[]): void {
  if (reading.problems.full) return reading.problems.omit();
  const near = nearest(key.text, known);
  let hint = near === undefined ? `known keys are ${known.join(", ")}` : `did you mean "${near}"?`;
  if (key.text === "<<") hint = "merge keys are not supported; an alias may stand for a whole value";
  const message = `unknown key "${key.text.slice(0, 100)}"`;
  reading.tell(key, { code: "WEIR_POLICY_UNKNOWN_KEY", message, hint });
}

export function tellMissing(
  reading: Reading,
  node: Extract<Node, { kind: "map" }>,
  expected: string,
  fields: Fields,
): void {
  for (const [key, field] of Object.entries(fields)) {
    if (field.required !== true || node.entries.some((entry) => entry.key.text === key)) continue;
    // A key that is nearly it was told as unknown.
    if (node.entries.some((entry) => !Object.hasOwn(fields, entry.key.text) && nearest(entry.key.text, [key]) === key))
      continue;
    const message = `${expected} needs the key "${key}": ${field.shape.expected}`;
    const first = node.entries[0]?.key ?? node;
    reading.tell(first, { code: "WEIR_POLICY_SHAPE", message });
  }
}
