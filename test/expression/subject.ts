import { Bag, emptyMap } from "../../src/attributes/bag.ts";
import { Fault } from "../../src/attributes/fault.ts";
import { Layout } from "../../src/attributes/layout.ts";
import { standardVocabulary } from "../../src/attributes/standard-vocabulary.ts";
import type { AttributeType, StringMap, Value } from "../../src/attributes/value.ts";
import type { Attribute, Phase, Vocabulary } from "../../src/attributes/vocabulary.ts";
import { type CompileOptions, type Expression, compileExpression } from "../../src/expression/index.ts";

/** The built-in vocabulary with words for the types that it has no attribute of. */
const more: readonly (readonly [string, AttributeType])[] = [
  ["test.email", "email"],
  ["test.uri", "uri"],
  ["test.host", "dns_name"],
  ["test.bytes", "bytes"],
  ["test.double", "double"],
  ["plan", "string"],
];

const vocabulary: Vocabulary = new Map<string, Attribute>([
  ...standardVocabulary,
  ...more.map(([name, type]): [string, Attribute] => [name, { name, type, known: "check", description: "" }]),
]);

export type Attributes = Readonly<Record<string, Value | Fault>>;

export function compile(
  source: string,
  options?: CompileOptions & { readonly phase?: Phase; readonly layout?: Layout },
) {
  const layout = options?.layout ?? new Layout();
  const { phase = "report", ...rest } = options ?? {};
  return { layout, ...compileExpression(source, { vocabulary, layout, phase }, rest) };
}

/** A bag as a door fills it. */
export function fill(layout: Layout, attributes: Attributes): Bag {
  const bag = new Bag(layout);
  for (const { index, name, key, type } of layout.slots) {
    const value = attributes[name];
    if (value === undefined) continue;
    if (value instanceof Fault) {
      if (key === undefined) bag.set(index, value);
    } else if (key !== undefined) bag.set(index, (value as StringMap).get(key));
    else bag.set(index, type === "string_map" && !layout.isWhole(index) ? emptyMap : value);
  }
  return bag;
}

/** Evaluates; throws when the text is no expression. */
export function evaluate(source: string, attributes: Attributes = {}, options?: CompileOptions): unknown {
  const { layout, expression, problems } = compile(source, options);
  if (expression === undefined) throw new Error(problems!.map(({ message }) => message).join("\n"));
  return expression.evaluate(fill(layout, attributes));
}

/** What an evaluation marked in the bag: `a`, `m[k]`, and `m` for a map as a whole. */
export function readsOf(expression: Expression, layout: Layout, attributes: Attributes): string[] {
  const bag = fill(layout, attributes);
  expression.evaluate(bag);
  const { slots, dynamic, whole } = bag.reads();
  const read = layout.slots.filter(({ index }) => ((slots[index >>> 5]! >>> (index & 31)) & 1) === 1);
  const names = [
    ...read.map(({ name, key }) => (key === undefined ? name : `${name}[${key}]`)),
    ...dynamic.map(({ map, key }) => `${layout.slots[map]!.name}[${key}]`),
    ...whole.map((map) => `${layout.slots[map]!.name}[*]`),
  ];
  return names.sort();
}
