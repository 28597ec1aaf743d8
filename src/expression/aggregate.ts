import { Fault } from "../attributes/fault.ts";
import type { Compilation } from "./compilation.ts";
import { type Dynamic, DynamicMap, Optional, box, dynamicTypeName } from "./dynamic.ts";
import { candidates } from "./names.ts";
import type { ElementNode, ListNode, MapNode, MessageNode, Node } from "./node.ts";
import { type Part, type Run, boxed, constantPart, isMissing, unboxed } from "./part.ts";
import type { Type } from "./type.ts";
import { assignable, free, join, listOf, mapOf, typeName, types } from "./typing.ts";
import { isWellKnown, makeWellKnown, wellKnownField, wellKnownType } from "./well-known.ts";

interface Element {
  readonly run: Run;
  readonly type: Type;
  readonly part: Part;
  readonly optional: boolean;
}

/** An element of a list, a value of a map or of a message. */
function element(c: Compilation, node: ElementNode): Element {
  const part = c.part(node.value);
  if (!node.optional) return { part, run: boxed(part), type: part.type, optional: false };
  if (part.type.kind !== "optional" && part.type.kind !== "dyn")
    c.problem(node.value, `expected an optional after "?", found ${typeName(part.type)}`);
  const type = part.type.kind === "optional" ? part.type.value : types.dyn;
  return { part, run: boxed(part), type, optional: true };
}

/** The value to put in, `undefined` for an optional that is none, or why there is no value. */
function elementValue(value: Dynamic, optional: boolean): Dynamic | undefined | Fault {
  if (!optional) return value;
  return value instanceof Optional
    ? value.value
    : new Fault(`expected an optional after "?", found ${dynamicTypeName(value)}`);
}

/** The type that holds all of several: what they have in common, or `dyn`. */
function common(parts: readonly Type[]): Type {
  return parts.reduce((all, type) => join(all, type) ?? types.dyn, free);
}

export function compileList(c: Compilation, node: ListNode): Part {
  const elements = node.elements.map((item) => element(c, item));
  const type = listOf(common(elements.map((item) => item.type)));
  const constants = elements.map((item) =>
    item.optional || item.part.constant === undefined
      ? undefined
      : { value: box(item.part.type.kind, item.part.constant.value) },
  );
  if (constants.every((constant) => constant !== undefined))
    return constantPart(
      type,
      constants.map((constant) => constant.value),
    );
  return {
    type,
    run: (bag) => {
      const list: Dynamic[] = [];
      for (const { run, optional } of elements) {
        const given = run(bag) as Dynamic | undefined | Fault;
        if (isMissing(given)) return given;
        const value = elementValue(given, optional);
        if (value instanceof Fault) return value;
        if (value !== undefined) list.push(value);
      }
      return list;
    },
  };
}

export function compileMap(c: Compilation, node: MapNode): Part {
  const entries = node.entries.map((entry) => ({ key: keyPart(c, entry.key), ...element(c, entry) }));
  const type = mapOf(common(entries.map((entry) => entry.key.type)), common(entries.map((entry) => entry.type)));
  return {
    type,
    run: (bag) => {
      const map = new DynamicMap();
      for (const { key, run, optional } of entries) {
        const k = key.run(bag) as Dynamic | undefined | Fault;
        if (isMissing(k)) return k;
        const given = run(bag) as Dynamic | undefined | Fault;
        if (isMissing(given)) return given;
        const value = elementValue(given, optional);
        if (value instanceof Fault) return value;
        if (value === undefined) continue;
        const fault = map.add(k, value);
        if (fault !== undefined) return fault;
      }
      return map;
    },
  };
}

const keyKinds: readonly Type["kind"][] = ["string", "int64", "uint64", "bool", "dyn", "email", "uri", "dns_name"];

function keyPart(c: Compilation, node: Node): { readonly type: Type; readonly run: Run } {
  const part = c.part(node);
  if (!keyKinds.includes(part.type.kind))
    return c.problem(node, `expected a string, an int, a uint or a bool as key of a map, found ${typeName(part.type)}`);
  return { type: part.type, run: boxed(part) };
}

export function compileMessage(c: Compilation, node: MessageNode): Part {
  const messages = c.extras.messages;
  const name = candidates(c, node.name, node.absolute).find(
    (candidate) => isWellKnown(candidate) || messages?.has(candidate) === true,
  );
  const fields = node.fields.map((field) => ({ name: field.name, ...element(c, field) }));
  if (name === undefined) return c.problem(node, `expected the name of a message type, found ${node.name}`);
  const known = isWellKnown(name);
  for (const [i, field] of fields.entries()) {
    const at = { offset: node.fields[i]!.offset, length: field.name.length };
    const expected = known ? wellKnownField(name, field.name) : messages!.fieldType(name, field.name);
    if (expected === undefined) return c.problem(at, `${name} has no field ${field.name}`);
    if (!assignable(field.type, expected) && field.type.kind !== "null")
      return c.problem(
        node.fields[i]!.value,
        `expected ${typeName(expected)} for ${field.name}, found ${typeName(field.type)}`,
      );
  }
  const create = known ? makeWellKnown : messages!.create.bind(messages);
  const type = wellKnownType(name) ?? messages!.literalType(name);
  return unboxed(type, (bag) => {
    const given: [string, Dynamic][] = [];
    for (const field of fields) {
      const value = field.run(bag) as Dynamic | undefined | Fault;
      if (isMissing(value)) return value;
      const inner = elementValue(value, field.optional);
      if (inner instanceof Fault) return inner;
      if (inner !== undefined) given.push([field.name, inner]);
    }
    return create(name, given);
  });
}
