import type { Attribute } from "../attributes/vocabulary.ts";
import { nearest } from "../util/nearest.ts";
import { readAttribute } from "./attribute-reads.ts";
import { type Compilation, type Variable, useKey } from "./compilation.ts";
import { TypeValue, celTypeName } from "./dynamic.ts";
import { dottedName, type NameNode, type Node, type SelectNode } from "./node.ts";
import { type Part, constantPart, unboxed } from "./part.ts";
import { types } from "./typing.ts";
import { isWellKnown } from "./well-known.ts";

/** Names of types as values, beside those of messages. */
const typeNames = new Set(
  "bool bytes double duration int list map null_type optional_type string timestamp type uint google.protobuf.Timestamp google.protobuf.Duration net.IP net.CIDR".split(
    " ",
  ),
);

/** What a dotted name means, as far as it goes. */
type Meaning =
  | { readonly kind: "attribute"; readonly attribute: Attribute }
  | { readonly kind: "variable"; readonly variable: Variable }
  | { readonly kind: "type"; readonly name: string }
  | { readonly kind: "enum"; readonly value: number };

/** The name that a node spells, when it does and it does not begin with a macro's variable. */
export function globalName(c: Compilation, node: Node): string | undefined {
  const name = dottedName(node);
  if (name === undefined || (!name.absolute && c.local(name.parts[0]!) !== undefined)) return undefined;
  return name.parts.join(".");
}

/** Every full name that a name may stand for, innermost namespace first (cel-spec, langdef.md, "Name Resolution"). */
export function candidates(c: Compilation, name: string, absolute: boolean): string[] {
  const container = c.extras.container;
  if (absolute || container === undefined || container === "") return [name];
  const scopes = container.split(".");
  return [...scopes.map((_, i) => `${scopes.slice(0, scopes.length - i).join(".")}.${name}`), name];
}

/** What the whole of a dotted node means, and nothing less of it. */
function meaningOf(c: Compilation, node: Node): Meaning | undefined {
  const chain = dottedName(node);
  if (chain === undefined || (!chain.absolute && c.local(chain.parts[0]!) !== undefined)) return undefined;
  for (const name of candidates(c, chain.parts.join("."), chain.absolute)) {
    const variable = c.extras.variables?.get(name);
    if (variable !== undefined) return { kind: "variable", variable };
    const attribute = c.vocabulary.get(name);
    if (attribute !== undefined) return { kind: "attribute", attribute };
    if (typeNames.has(name) || isWellKnown(name) || c.extras.messages?.has(name) === true)
      return { kind: "type", name };
    const value = c.extras.messages?.enumValue(name);
    if (value !== undefined) return { kind: "enum", value };
  }
  return undefined;
}

/** The attribute that a node names, if it names one. */
export function attributeOf(c: Compilation, node: Node): Attribute | undefined {
  const meaning = meaningOf(c, node);
  return meaning?.kind === "attribute" ? meaning.attribute : undefined;
}

/** The string map attribute that a node names, if it names one. */
export function mapAttributeOf(c: Compilation, node: Node): Attribute | undefined {
  if (node.kind !== "name" && node.kind !== "select") return undefined;
  const attribute = attributeOf(c, node);
  return attribute?.type === "string_map" ? attribute : undefined;
}

/** Compiles a name or a dotted name; `undefined` when the node is a selection on a value. */
export function compileName(c: Compilation, node: NameNode | SelectNode): Part | undefined {
  if (node.kind === "name" && !node.absolute) {
    const local = c.local(node.name);
    if (local !== undefined) return unboxed(local.type, () => local.cell.value);
  }
  const meaning = meaningOf(c, node);
  switch (meaning?.kind) {
    case "attribute":
      return readAttribute(c, meaning.attribute, node);
    case "variable":
      return constantValue(meaning.variable);
    case "type":
      return constantPart(types.type, new TypeValue(typeValueName(meaning.name)));
    case "enum":
      return constantPart(types.int, meaning.value);
    case undefined:
      return startsWithValue(c, node) ? undefined : unknownName(c, node);
  }
}

function typeValueName(name: string): string {
  if (name === "timestamp" || name === "duration") return celTypeName({ kind: name });
  return name;
}

/** Variables stay readable at run time only, so that tests of unchecked errors see them there. */
function constantValue(variable: Variable): Part {
  return { type: variable.type, run: () => variable.value };
}

/** Whether some beginning of a dotted name means a value, so that the rest are fields of it. */
function startsWithValue(c: Compilation, node: Node): boolean {
  for (let at: Node = node; ; at = at.operand) {
    if (at.kind !== "name" && at.kind !== "select") return true;
    if (at.kind === "select" && at.optional) return true;
    if (at.kind === "name" && !at.absolute && c.local(at.name) !== undefined) return true;
    if (meaningOf(c, at) !== undefined) return true;
    if (at.kind === "name") return false;
  }
}

/** Whether a node is a dotted name of which not even the beginning means a value. */
export function isUnknownName(c: Compilation, node: Node): boolean {
  return !startsWithValue(c, node);
}

function unknownName(c: Compilation, node: NameNode | SelectNode): Part {
  const name = dottedName(node)!.parts.join(".");
  const longer = [...c.vocabulary.keys()].filter((known) => known.startsWith(`${name}.`));
  const message =
    longer.length > 0
      ? `expected an attribute, found ${JSON.stringify(name)}, with which the names of ${longer.length} attributes begin`
      : `expected an attribute, found ${JSON.stringify(clip(name))}`;
  const suggestion = longer.length === 1 ? longer[0] : nearest(name, c.vocabulary.keys());
  return c.problem(node, message, { code: "WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE", suggestion });
}

function clip(name: string): string {
  return name.length > 80 ? `${name.slice(0, 80)}...` : name;
}

/** For {@link presenceTests}: the key of {@link useKey} for what `has(node)` tests. */
export function presenceKey(c: Compilation, node: Node): string | undefined {
  if (node.kind !== "name" && node.kind !== "select" && node.kind !== "index") return undefined;
  if (node.kind !== "index") {
    const attribute = attributeOf(c, node);
    if (attribute !== undefined) return useKey(attribute.name);
  }
  if (node.kind === "name") return undefined;
  const map = mapAttributeOf(c, node.operand);
  if (map === undefined) return undefined;
  if (node.kind === "select") return useKey(map.name, node.field);
  return node.index.kind === "literal" && node.index.type === "string" ? useKey(map.name, node.index.value) : undefined;
}
