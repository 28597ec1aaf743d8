import { Fault } from "../attributes/fault.ts";
import { readComputedKey, readKey, readOptional, testPresence } from "./attribute-reads.ts";
import type { Compilation } from "./compilation.ts";
import {
  Double,
  type Dynamic,
  Optional,
  Uint,
  dynamicTypeName,
  isList,
  isMap,
  isMessage,
  lookup,
  none,
} from "./dynamic.ts";
import { attributeOf, compileName, isUnknownName, mapAttributeOf } from "./names.ts";
import type { IndexNode, Node, SelectNode } from "./node.ts";
import { type Part, boxed, coerced, isMissing, unboxed } from "./part.ts";
import type { Type } from "./type.ts";
import { asMap, assignable, optionalOf, typeName, types } from "./typing.ts";

/** `a.b`, `a.?b`: an attribute's name, a key of a map, a field of a message. */
export function compileSelect(c: Compilation, node: SelectNode): Part {
  const map = mapAttributeOf(c, node.operand);
  if (map !== undefined)
    return node.optional ? readOptional(c, map, node.field, node) : readKey(c, map, node.field, node);
  if (node.optional) {
    const attribute = attributeOf(c, { ...node, optional: false });
    if (attribute !== undefined) return readOptional(c, attribute, undefined, node);
  } else {
    const named = compileName(c, node);
    if (named !== undefined) return named;
  }
  const operand = c.part(node.operand);
  const type = fieldType(c, node, operand.type);
  return access(operand, () => node.field, type, node.optional);
}

/** `a[b]`, `a[?b]`: an element of a list, a value of a map. */
export function compileIndex(c: Compilation, node: IndexNode): Part {
  const map = mapAttributeOf(c, node.operand);
  const index = c.part(node.index);
  if (map !== undefined) {
    if (!assignable(index.type, types.string))
      return c.problem(node.index, `expected a string as key of ${map.name}, found ${typeName(index.type)}`);
    const key = index.constant?.value;
    if (typeof key === "string") return node.optional ? readOptional(c, map, key, node) : readKey(c, map, key, node);
    const read = readComputedKey(c, map, coerced(index, types.string), node);
    if (!node.optional) return read;
    const { run } = read;
    return {
      type: optionalOf(types.string),
      run: (bag) => {
        const value = run(bag);
        return value === undefined ? none : value instanceof Fault ? value : new Optional(value as string);
      },
    };
  }
  const operand = c.part(node.operand);
  const type = elementType(c, node, operand.type, index.type);
  return access(operand, boxed(index), type, node.optional);
}

/** `has(a.b)`, also `has(a["b"])` and `has(a)` for attributes. */
export function compileHas(c: Compilation, node: Node): Part {
  const attribute = node.kind === "name" || node.kind === "select" ? attributeOf(c, node) : undefined;
  if (attribute !== undefined) return testPresence(c, attribute, undefined, node);
  if (node.kind === "select" || node.kind === "index") {
    const map = mapAttributeOf(c, node.operand);
    if (map !== undefined) {
      if (node.kind === "select") return testPresence(c, map, node.field, node);
      const index = c.part(node.index);
      if (typeof index.constant?.value === "string") return testPresence(c, map, index.constant.value, node);
      const { run } = compileIndex(c, { ...node, optional: true });
      return { type: types.bool, run: hasValue(run) };
    }
    // A name that is unknown is reported as a whole, not only its beginning.
    if (node.kind === "select" && isUnknownName(c, node)) return c.part(node);
    const operand = c.part(node.operand);
    if (node.kind === "select") fieldType(c, node, operand.type);
    const key = node.kind === "select" ? () => node.field : boxed(c.part(node.index));
    const run = boxed(operand);
    return {
      type: types.bool,
      run: (bag) => {
        const value = run(bag) as Dynamic | undefined | Fault;
        if (isMissing(value)) return value;
        const field = key(bag) as Dynamic | undefined | Fault;
        if (isMissing(field)) return field;
        return has(value, field);
      },
    };
  }
  return c.problem(node, `expected a field or a key in has(), such as has(a.b) or has(a["b"])`);
}

function hasValue(run: Part["run"]): Part["run"] {
  return (bag) => {
    const value = run(bag);
    return value instanceof Optional ? value.value !== undefined : value;
  };
}

function has(value: Dynamic, field: Dynamic): boolean | Fault {
  if (value instanceof Optional) return value.value === undefined ? false : has(value.value, field);
  if (typeof value === "object" && value !== null && isMessage(value))
    return typeof field === "string" ? value.has(field) : new Fault("no such field");
  const found = find(value, field);
  return found instanceof Fault ? found : found !== undefined;
}

/** What a value holds under a key; `undefined` when nothing, a fault when it is no thing to look into. */
function find(value: Dynamic, key: Dynamic): Dynamic | undefined | Fault {
  if (isMap(value)) return lookup(value, key);
  if (isList(value)) {
    const at = key instanceof Uint || key instanceof Double ? key.value : key;
    if (typeof at !== "number" && typeof at !== "bigint")
      return new Fault(`no such overload: list[${dynamicTypeName(key)}]`);
    if (key instanceof Double && !Number.isInteger(at)) return new Fault(`invalid index: ${at} is not whole`);
    return value[Number(at)];
  }
  if (typeof value === "object" && value !== null && typeof key === "string" && isMessage(value)) return value.get(key);
  return new Fault(`no such overload: ${dynamicTypeName(value)}[${dynamicTypeName(key)}]`);
}

/** A selection or index on any value, where an optional operand makes an optional result. */
function access(operand: Part, key: Part["run"], type: Type, optional: boolean): Part {
  const run = boxed(operand);
  const read = (bag: Parameters<typeof run>[0]): unknown => {
    const value = run(bag) as Dynamic | undefined | Fault;
    if (isMissing(value)) return value;
    const at = key(bag) as Dynamic | undefined | Fault;
    if (isMissing(at)) return at;
    const inOptional = value instanceof Optional;
    const inner = inOptional ? value.value : value;
    if (inner === undefined) return none;
    const found = (optional || inOptional) && isMessage(inner) ? findSet(inner, at) : find(inner, at);
    if (found instanceof Fault) return found;
    if (inOptional || optional) return found === undefined ? none : new Optional(found);
    if (found !== undefined) return found;
    return new Fault(isList(inner) ? `index out of bounds: ${keyText(at)}` : `no such key: ${keyText(at)}`);
  };
  return unboxed(type, read);
}

/** A field of a message for `?.`: nothing when it is not set. */
function findSet(message: Dynamic, key: Dynamic): Dynamic | undefined | Fault {
  const set = has(message, key);
  return set === true ? find(message, key) : set === false ? undefined : set;
}

/** The type of `operand.field`. */
function fieldType(c: Compilation, node: SelectNode, operand: Type): Type {
  if (operand.kind === "optional") return optionalOf(unwrap(fieldType(c, { ...node, optional: false }, operand.value)));
  const type = plainFieldType(c, node, operand);
  return node.optional ? optionalOf(type) : type;
}

function unwrap(type: Type): Type {
  return type.kind === "optional" ? type.value : type;
}

function plainFieldType(c: Compilation, node: SelectNode, operand: Type): Type {
  const map = asMap(operand);
  if (map !== undefined) {
    if (assignable(types.string, map.key)) return map.value;
    return c.problem(node, `expected a key of type ${typeName(map.key)}, found the string "${node.field}"`).type;
  }
  if (operand.kind === "dyn") return types.dyn;
  if (operand.kind === "message") {
    const type = c.extras.messages?.fieldType(operand.name, node.field);
    return type ?? c.problem(node, `${operand.name} has no field ${node.field}`).type;
  }
  return c.problem(node, `expected a map or a message before ".${node.field}", found ${typeName(operand)}`).type;
}

/** The type of `operand[index]`. */
function elementType(c: Compilation, node: IndexNode, operand: Type, index: Type): Type {
  if (operand.kind === "optional")
    return optionalOf(unwrap(elementType(c, { ...node, optional: false }, operand.value, index)));
  const type = plainElementType(c, node, operand, index);
  return node.optional ? optionalOf(type) : type;
}

function plainElementType(c: Compilation, node: IndexNode, operand: Type, index: Type): Type {
  const map = asMap(operand);
  if (map !== undefined) {
    if (assignable(index, map.key)) return map.value;
    return c.problem(node.index, `expected a key of type ${typeName(map.key)}, found ${typeName(index)}`).type;
  }
  if (operand.kind === "list") {
    if (assignable(index, types.int)) return operand.element;
    return c.problem(node.index, `expected an int as index of a list, found ${typeName(index)}`).type;
  }
  if (operand.kind === "dyn") return types.dyn;
  return c.problem(node, `expected a list or a map before "[", found ${typeName(operand)}`).type;
}

/** A key as messages show it. */
function keyText(key: Dynamic): string {
  return typeof key === "string" ? JSON.stringify(key.slice(0, 80)) : String(key);
}
