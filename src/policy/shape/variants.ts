import type { Node } from "../yaml/node.ts";
import { readFields, recordSchema, tellMissing, tellUnknown } from "./collections.ts";
import type { Field, Fields } from "./collections.ts";
import type { Reading, Shape } from "./shape.ts";

/** By kind, the keys that only rules of that kind have; the key of the kind's own name says that a rule is of it. */
export type Kinds = Readonly<Record<string, Fields>>;

type ValueOf<F> = F extends Field<infer T> ? T : never;
type KeysOf<K extends Kinds> = { [N in keyof K]: keyof K[N] }[keyof K];

/**
 * What is read of a map of several kinds: its kind, and the keys of all kinds, of which only those of its own can be
 * set.
 */
export type VariantOf<C extends Fields, K extends Kinds> = {
  readonly [P in keyof C | KeysOf<K>]?: P extends keyof C
    ? ValueOf<C[P]>
    : { [N in keyof K]: P extends keyof K[N] ? ValueOf<K[N][P]> : never }[keyof K];
} & {
  readonly kind: keyof K & string;
  readonly node: Extract<Node, { kind: "map" }>;
};

export interface VariantsShape<C extends Fields, K extends Kinds> extends Shape<VariantOf<C, K>> {
  readonly common: C;
  readonly kinds: K;
}

/** A map that has exactly one of several keys, which say what it is. */
export function variants<const C extends Fields, const K extends Kinds>(
  expected: string,
  common: C,
  kinds: K,
): VariantsShape<C, K> {
  const names = Object.keys(kinds);
  const all: Fields = Object.assign({}, common, ...Object.values(kinds));
  return {
    expected,
    common,
    kinds,
    schema: { oneOf: names.map((kind) => ({ title: kind, ...recordSchema({ ...kinds[kind], ...common }) })) },
    read(node, reading) {
      if (node.kind !== "map") return reading.mismatch(node, expected);
      const present = node.entries.filter((entry) => names.includes(entry.key.text));
      const unknown = node.entries.filter((entry) => !Object.hasOwn(all, entry.key.text));
      if (present.length === 0) {
        // The key that was meant is probably among those that are not known.
        for (const entry of unknown) tellUnknown(reading, entry.key, Object.keys(all));
        if (unknown.length === 0) tellCount(reading, node, expected, names);
        return undefined;
      }
      if (present.length > 1)
        return tellCount(
          reading,
          present[1]!.key,
          expected,
          names,
          present.map((e) => e.key.text),
        );
      const kind = present[0]!.key.text;
      const fields = { ...common, ...kinds[kind] };
      const values = readFields(node, fields, reading, (key) => {
        const others = names.filter((name) => Object.hasOwn(kinds[name]!, key.text));
        if (others.length === 0) return tellUnknown(reading, key, Object.keys(fields));
        const message = `the key "${key.text}" belongs to ${others.join(" and ")}; this ${expected.replace(/^an? /, "")} is of the kind ${kind}`;
        reading.tell(key, {
          code: "WEIR_POLICY_UNKNOWN_KEY",
          message,
          hint: `keys of ${kind}: ${Object.keys(fields).join(", ")}`,
        });
      });
      tellMissing(reading, node, `${expected} of the kind ${kind}`, fields);
      return { ...values, kind, node } as VariantOf<C, K>;
    },
  };
}

function tellCount(
  reading: Reading,
  node: Node,
  expected: string,
  names: readonly string[],
  present: readonly string[] = [],
): undefined {
  const has = present.length === 0 ? "none" : present.join(" and ");
  const message = `${expected} has exactly one of the keys ${names.join(", ")}; this one has ${has}`;
  const place = node.kind === "map" ? (node.entries[0]?.key ?? node) : node;
  reading.tell(place, { code: "WEIR_POLICY_SHAPE", message });
}
