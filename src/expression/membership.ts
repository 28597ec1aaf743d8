import { Fault } from "../attributes/fault.ts";
import type { Ip } from "../attributes/ip.ts";
import { keyInAttribute } from "./attribute-reads.ts";
import { both, castHint, comparable, type Test } from "./comparison.ts";
import type { Compilation } from "./compilation.ts";
import { type Dynamic, dynamicTypeName, isList, isMap, lookup } from "./dynamic.ts";
import { dynamicEquals } from "./equality.ts";
import type { TextTest } from "./expression.ts";
import { mapAttributeOf } from "./names.ts";
import { type NamedText, sameNamedText } from "./named-text.ts";
import type { BinaryNode } from "./node.ts";
import { boxed, coerced, isMissing, type Part, type Run } from "./part.ts";
import type { Type } from "./type.ts";
import { asMap, assignable, isNamedText, typeName, types } from "./typing.ts";

/** `in`: an element of a list, a key of a map, an address of a range. */
export function compileIn(c: Compilation, node: BinaryNode): Part {
  const left = c.part(node.left);
  const attribute = mapAttributeOf(c, node.right);
  if (attribute !== undefined && typeof left.constant?.value === "string" && left.type.kind === "string")
    return keyInAttribute(c, attribute, left.constant.value, node);
  const right = c.part(node.right);
  const holder = right.type.kind === "list" ? right.type.element : asMap(right.type)?.key;
  if (right.type.kind === "cidr" && assignable(left.type, types.ip)) {
    const test = (ip: Ip, range: { contains(ip: Ip): boolean }): boolean => range.contains(ip);
    return { type: types.bool, run: both(coerced(left, types.ip), right.run, test as Test) };
  }
  if (holder === undefined && right.type.kind !== "dyn")
    return c.problem(node.right, `expected a list, a map or a cidr after "in", found ${typeName(right.type)}`);
  if (holder !== undefined && !comparable(left.type, holder))
    return c.problem(
      node,
      `expected ${typeName(holder)} before "in", found ${typeName(left.type)}${castHint(left.type, holder)}`,
    );
  const run = inConstants(left, right) ?? both(boxed(left), boxed(right), memberTest(c, left.type, holder) as Test);
  return { type: types.bool, run, textTest: isOneOf(left, right) };
}

/** A slot of texts among constant ones. */
function isOneOf({ slot, type, run }: Part, right: Part): TextTest | undefined {
  const items = right.constant?.value;
  if (slot === undefined || type.kind !== "string" || right.type.kind !== "list" || !isList(items)) return undefined;
  if (!items.every((item) => typeof item === "string")) return undefined;
  return { kind: "equals", slot, texts: items, negated: false, otherwise: run };
}

/** A slot among constants: `source.namespace in ["a", "b"]`. */
function inConstants(left: Part, right: Part): Run | undefined {
  const items = right.constant?.value;
  if (right.type.kind !== "list" || !isList(items) || left.type.kind !== right.type.element.kind) return undefined;
  if (left.type.kind !== "string" && left.type.kind !== "int64") return undefined;
  const set = new Set<unknown>(items);
  const { run, slot } = left;
  if (slot !== undefined && left.type.kind === "string")
    return (bag) => {
      const value = bag.get(slot);
      return typeof value === "string" ? set.has(value) : run(bag);
    };
  return (bag) => {
    const value = run(bag);
    return isMissing(value) ? value : set.has(value);
  };
}

function memberTest(
  c: Compilation,
  item: Type,
  holder: Type | undefined,
): (item: Dynamic, all: Dynamic) => boolean | Fault {
  const { meter } = c;
  const named = isNamedText(item) ? item : holder !== undefined && isNamedText(holder) ? holder : undefined;
  const same =
    named === undefined
      ? (a: Dynamic, b: Dynamic): boolean | Fault => dynamicEquals(a, b, meter)
      : (sameNamedText(named.kind as NamedText) as (a: unknown, b: unknown) => boolean | Fault);
  return (value, all) => {
    if (isMap(all)) return lookup(all, value) !== undefined;
    if (!isList(all)) return new Fault(`no such overload: ${dynamicTypeName(value)} in ${dynamicTypeName(all)}`);
    for (const element of all) {
      const found = same(value, element);
      if (found !== false) return found;
    }
    return false;
  };
}
