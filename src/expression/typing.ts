import type { Type } from "./type.ts";

/** Types without parts, by kind, so that they need not be made again and again. */
export const types = {
  bool: { kind: "bool" },
  bytes: { kind: "bytes" },
  cidr: { kind: "cidr" },
  double: { kind: "double" },
  duration: { kind: "duration" },
  dyn: { kind: "dyn" },
  int: { kind: "int64" },
  ip: { kind: "ip" },
  null: { kind: "null" },
  string: { kind: "string" },
  timestamp: { kind: "timestamp" },
  type: { kind: "type" },
  uint: { kind: "uint64" },
} as const satisfies Record<string, Type>;

/**
 * The type of what an empty list holds: nothing yet, so it goes with any other type. It stands in for the type
 * variables of CEL's checker and is `dyn` wherever it is left over.
 */
export const free: Type = { kind: "dyn" };

export function listOf(element: Type): Type & { kind: "list" } {
  return { kind: "list", element };
}

export function mapOf(key: Type, value: Type): Type & { kind: "map" } {
  return { kind: "map", key, value };
}

export function optionalOf(value: Type): Type & { kind: "optional" } {
  return { kind: "optional", value };
}

const names: Partial<Record<Type["kind"], string>> = { int64: "int", uint64: "uint" };

/** A type as messages and documents call it: `int`, `list(string)`, `string_map`. */
export function typeName(type: Type): string {
  switch (type.kind) {
    case "list":
      return `list(${typeName(type.element)})`;
    case "map":
      return `map(${typeName(type.key)}, ${typeName(type.value)})`;
    case "optional":
      return `optional(${typeName(type.value)})`;
    case "message":
      return type.name;
    default:
      return names[type.kind] ?? type.kind;
  }
}

/** Whether a type is text that has rules of equality of its own. Everywhere else it is a string. */
export function isNamedText(type: Type): boolean {
  return type.kind === "email" || type.kind === "uri" || type.kind === "dns_name";
}

/** A string map seen as what it is in CEL. */
export function asMap(type: Type): (Type & { kind: "map" }) | undefined {
  if (type.kind === "string_map") return mapOf(types.string, types.string);
  return type.kind === "map" ? type : undefined;
}

/** Whether a value of type `from` may stand where `to` is wanted; with `dyn` on either side that is seen at run time. */
export function assignable(from: Type, to: Type): boolean {
  if (from.kind === "dyn" || to.kind === "dyn") return true;
  if (from.kind === "null" && (to.kind === "message" || to.kind === "timestamp" || to.kind === "duration")) return true;
  if (isNamedText(from) && to.kind === "string") return true;
  const toMap = asMap(to);
  const fromMap = asMap(from);
  if (toMap !== undefined && fromMap !== undefined)
    return assignable(fromMap.key, toMap.key) && assignable(fromMap.value, toMap.value);
  if (from.kind === "list" && to.kind === "list") return assignable(from.element, to.element);
  if (from.kind === "optional" && to.kind === "optional") return assignable(from.value, to.value);
  if (from.kind === "message" && to.kind === "message") return from.name === to.name;
  return from.kind === to.kind;
}

/** The narrowest type that holds values of both, or `undefined` when only `dyn` does although neither is `dyn`. */
export function join(a: Type, b: Type): Type | undefined {
  if (a === free) return b;
  if (b === free) return a;
  if (a.kind === "dyn" || b.kind === "dyn") return types.dyn;
  if (a.kind === "list" && b.kind === "list") return listOf(join(a.element, b.element) ?? types.dyn);
  if (a.kind === "optional" && b.kind === "optional") return optionalOf(join(a.value, b.value) ?? types.dyn);
  if (a.kind === "null" || b.kind === "null") {
    const other = a.kind === "null" ? b : a;
    return assignable(types.null, other) || other.kind === "optional" ? other : undefined;
  }
  const aMap = asMap(a);
  const bMap = asMap(b);
  if (aMap !== undefined && bMap !== undefined && (a.kind === "map" || b.kind === "map"))
    return mapOf(join(aMap.key, bMap.key) ?? types.dyn, join(aMap.value, bMap.value) ?? types.dyn);
  if (a.kind !== b.kind && (a.kind === "string" || isNamedText(a)) && (b.kind === "string" || isNamedText(b)))
    return types.string;
  return assignable(a, b) && assignable(b, a) ? a : undefined;
}

/** Whether values of the type are held as `Dynamic`, to be looked at when they are used. */
export function isDyn(type: Type): boolean {
  return type.kind === "dyn";
}
