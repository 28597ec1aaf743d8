import { Bag, emptyMap } from "../attributes/bag.ts";
import { completionOf } from "../attributes/derived.ts";
import { Fault } from "../attributes/fault.ts";
import { Layout } from "../attributes/layout.ts";
import type { StringMap, Value } from "../attributes/value.ts";
import type { Vocabulary } from "../attributes/vocabulary.ts";
import { box } from "../expression/dynamic.ts";
import { type ExpressionProblem, type Type, compileExpression } from "../expression/index.ts";
import { type TypedJson, typedJson } from "./typed-json.ts";

/** What became of one expression. */
export type Evaluation =
  | {
      readonly kind: "value";
      readonly type: Type;
      readonly value: TypedJson;
      /** What was read: `a`, `-b` absent, `m[k]`, `-m[k]`; sorted. */
      readonly referenced: readonly string[];
    }
  | { readonly kind: "problems"; readonly problems: readonly ExpressionProblem[] }
  | { readonly kind: "fault"; readonly message: string; readonly referenced: readonly string[] };

/** Compiles an expression and evaluates it once. Attributes that the vocabulary does not have cannot be read. */
export function evaluateOnce(
  expression: string,
  vocabulary: Vocabulary,
  attributes: ReadonlyMap<string, Value | Fault>,
): Evaluation {
  const layout = new Layout();
  const compiled = compileExpression(expression, { vocabulary, layout, phase: "report" });
  if (compiled.problems !== undefined) return { kind: "problems", problems: compiled.problems };
  const { type, evaluate } = compiled.expression;
  const bag = fill(layout, attributes);
  const value = evaluate(bag);
  const referenced = referencesOf(bag);
  if (value === undefined) return { kind: "fault", message: absence(referenced), referenced };
  if (value instanceof Fault) return { kind: "fault", message: value.message, referenced };
  const json = typedJson(type, box(type.kind, value));
  if (json === undefined) return { kind: "fault", message: "the result holds too many values to be shown", referenced };
  return { kind: "value", type, value: json, referenced };
}

function fill(layout: Layout, attributes: ReadonlyMap<string, Value | Fault>): Bag {
  const bag = new Bag(layout);
  for (const slot of layout.slots) {
    const value = attributes.get(slot.name);
    if (value === undefined) continue;
    if (slot.key !== undefined)
      bag.set(slot.index, value instanceof Fault ? value : (value as StringMap).get(slot.key));
    else if (slot.type === "string_map" && !layout.isWhole(slot.index) && !(value instanceof Fault))
      bag.set(slot.index, emptyMap);
    else bag.set(slot.index, value);
  }
  completionOf(layout)?.(bag);
  return bag;
}

/** What was read of a bag, as {@link Evaluation} has it. */
function referencesOf(bag: Bag): string[] {
  const { slots } = bag.layout;
  const { slots: bits, dynamic, whole } = bag.reads();
  const found = new Set<string>();
  for (const { index, name, key, map } of slots) {
    if (((bits[index >>> 5]! >>> (index & 31)) & 1) === 0) continue;
    const present = bag.isGiven(index);
    const inMap = key !== undefined && bag.isGiven(map!);
    found.add(`${present ? "" : "-"}${name}${inMap ? `[${key}]` : ""}`);
  }
  for (const { map, key, present } of dynamic) {
    const { name } = slots[map]!;
    found.add(bag.isGiven(map) ? `${present ? "" : "-"}${name}[${key}]` : `-${name}`);
  }
  for (const map of whole) found.add(`${bag.isGiven(map) ? "" : "-"}${slots[map]!.name}`);
  return [...found].sort();
}

function absence(referenced: readonly string[]): string {
  const absent = referenced.filter((name) => name.startsWith("-")).map((name) => name.slice(1));
  return absent.length === 1
    ? `${absent[0]} is absent`
    : `the expression has no value because of what is absent: ${absent.join(", ")}`;
}
