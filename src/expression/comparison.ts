import type { Duration } from "../attributes/duration.ts";
import { Fault } from "../attributes/fault.ts";
import { type Ip, compareBytes } from "../attributes/ip.ts";
import type { Timestamp } from "../attributes/timestamp.ts";
import type { Compilation } from "./compilation.ts";
import { type Dynamic, isList, isMap, lookup, dynamicTypeName } from "./dynamic.ts";
import { compareNumbers, compareText, dynamicCompare, dynamicEquals } from "./equality.ts";
import type { TextTest } from "./expression.ts";
import { negated } from "./logic.ts";
import { keyInAttribute, mapAttributeOf } from "./names.ts";
import { type NamedText, sameNamedText } from "./named-text.ts";
import type { BinaryNode } from "./node.ts";
import { type Part, type Run, boxed, coerced, isMissing } from "./part.ts";
import type { Type } from "./type.ts";
import { asMap, assignable, isNamedText, typeName, types } from "./typing.ts";

/** Tests two values as their static type holds them. */
type Test = (a: never, b: never) => boolean | Fault;

/** Evaluates both sides in order and tests them. */
function both(left: Run, right: Run, test: Test): Run {
  const compare = test as (a: unknown, b: unknown) => boolean | Fault;
  return (bag) => {
    const a = left(bag);
    if (isMissing(a)) return a;
    const b = right(bag);
    return isMissing(b) ? b : compare(a, b);
  };
}

const identical: Test = (a, b) => a === b;

/** Equality of values of one static type; types that are not here are compared as `dyn`. */
const equalities: Partial<Record<Type["kind"], Test>> = {
  string: identical,
  bool: identical,
  int64: identical,
  uint64: identical,
  double: identical,
  timestamp: (a: Timestamp, b: Timestamp) => a.compare(b) === 0,
  duration: (a: Duration, b: Duration) => a.compare(b) === 0,
  ip: (a: Ip, b: Ip) => a.equals(b),
  bytes: (a: Uint8Array, b: Uint8Array) => compareBytes(a, b) === 0,
};

/** `==` and `!=`. */
export function compileEquality(c: Compilation, node: BinaryNode): Part {
  const left = c.part(node.left);
  const right = c.part(node.right);
  if (!comparable(left.type, right.type) && c.extras.unchecked !== true) {
    const hint = castHint(left.type, right.type);
    return c.problem(
      node,
      `expected ${node.operator} between two values of one type, found ${pairName(left, right)}${hint}`,
    );
  }
  const run = equalsConstant(left, right) ?? equalsConstant(right, left) ?? both(...equalityTest(c, left, right));
  const test = isText(left, right.constant?.value) ?? isText(right, left.constant?.value);
  if (node.operator === "==") return { type: types.bool, run, textTest: test };
  return { type: types.bool, run: not(run), textTest: negated(test) };
}

function comparable(a: Type, b: Type): boolean {
  if (assignable(a, b) || assignable(b, a)) return true;
  return a.kind === b.kind && (a.kind === "list" || a.kind === "map" || a.kind === "optional");
}

function castHint(a: Type, b: Type): string {
  const other = a.kind === "string" ? b : b.kind === "string" ? a : undefined;
  const castable = ["ip", "timestamp", "duration"].includes(other?.kind ?? "");
  return castable ? `; write ${other!.kind}("...") for a constant` : "";
}

function pairName(left: Part, right: Part): string {
  return `${typeName(left.type)} and ${typeName(right.type)}`;
}

function not(run: Run): Run {
  return (bag) => {
    const value = run(bag);
    return typeof value === "boolean" ? !value : value;
  };
}

/** A slot of texts against a constant one. */
function isText({ slot, type, run }: Part, text: unknown): TextTest | undefined {
  if (slot === undefined || type.kind !== "string" || typeof text !== "string") return undefined;
  return { kind: "equals", slot, texts: [text], negated: false, otherwise: run };
}

/** The hottest test there is: a slot against a constant. */
function equalsConstant(part: Part, other: Part): Run | undefined {
  const { slot, run } = part;
  if (slot === undefined || other.constant === undefined || part.type.kind !== other.type.kind) return undefined;
  const expected = other.constant.value;
  switch (part.type.kind) {
    case "string":
      return (bag) => {
        const value = bag.get(slot);
        return typeof value === "string" ? value === expected : run(bag);
      };
    case "int64":
    case "bool":
      return (bag) => {
        const value = bag.get(slot);
        return isMissing(value) ? value : value === expected;
      };
    default:
      return undefined;
  }
}

function equalityTest(c: Compilation, left: Part, right: Part): [Run, Run, Test] {
  const named = isNamedText(left.type) ? left.type : isNamedText(right.type) ? right.type : undefined;
  const texts = [left, right].every((part) => part.type.kind === "string" || part.type.kind === named?.kind);
  if (named !== undefined && texts) return [left.run, right.run, sameNamedText(named.kind as NamedText)];
  const test = left.type.kind === right.type.kind ? equalities[left.type.kind] : undefined;
  if (test !== undefined) return [left.run, right.run, test];
  const { meter } = c;
  return [boxed(left), boxed(right), ((a: Dynamic, b: Dynamic) => dynamicEquals(a, b, meter)) as Test];
}

type Compare = (a: never, b: never) => number;

/** Order of values of one static type. Numbers compare across types too. */
const orders: Partial<Record<Type["kind"], Compare>> = {
  string: compareText,
  bool: (a: boolean, b: boolean) => Number(a) - Number(b),
  timestamp: (a: Timestamp, b: Timestamp) => a.compare(b),
  duration: (a: Duration, b: Duration) => a.compare(b),
  bytes: compareBytes,
};

const outcomes = {
  "<": (order: number) => order < 0,
  "<=": (order: number) => order <= 0,
  ">": (order: number) => order > 0,
  ">=": (order: number) => order >= 0,
};

/** `<`, `<=`, `>` and `>=`. */
export function compileOrder(c: Compilation, node: BinaryNode & { operator: keyof typeof outcomes }): Part {
  const left = c.part(node.left);
  const right = c.part(node.right);
  const holds = outcomes[node.operator];
  const bothNumbers = isNumber(left.type) && isNumber(right.type);
  if (bothNumbers) return { type: types.bool, run: numberOrder(left, right, node.operator) };
  if (left.type.kind === "dyn" || right.type.kind === "dyn") {
    const test = (a: Dynamic, b: Dynamic): boolean | Fault => {
      const order = dynamicCompare(a, b);
      return typeof order === "number" ? holds(order) : order;
    };
    return { type: types.bool, run: both(boxed(left), boxed(right), test as Test) };
  }
  const order = orders[isNamedText(left.type) ? "string" : left.type.kind] as
    ((a: unknown, b: unknown) => number) | undefined;
  if (order === undefined || !sameOrder(left.type, right.type))
    return c.problem(
      node,
      `expected ${node.operator} between two numbers, strings, timestamps or durations, found ${pairName(left, right)}${castHint(left.type, right.type)}`,
    );
  const test = (a: unknown, b: unknown): boolean => holds(order(a, b));
  return { type: types.bool, run: both(left.run, right.run, test as Test) };
}

function sameOrder(a: Type, b: Type): boolean {
  return a.kind === b.kind || [a, b].every((type) => type.kind === "string" || isNamedText(type));
}

function isNumber(type: Type): boolean {
  return type.kind === "int64" || type.kind === "uint64" || type.kind === "double";
}

function numberOrder(left: Part, right: Part, operator: keyof typeof outcomes): Run {
  const bound = right.constant?.value;
  if (left.slot !== undefined && typeof bound === "number") return slotOrder(left.slot, bound, operator);
  const holds = outcomes[operator];
  const test = (a: number | bigint, b: number | bigint): boolean => holds(compareNumbers(a, b));
  return both(left.run, right.run, test as Test);
}

/** A slot against a constant number: `response.code >= 500`. */
function slotOrder(slot: number, bound: number, operator: keyof typeof outcomes): Run {
  switch (operator) {
    case "<":
      return (bag) => {
        const value = bag.get(slot);
        return isMissing(value) ? value : (value as number) < bound;
      };
    case "<=":
      return (bag) => {
        const value = bag.get(slot);
        return isMissing(value) ? value : (value as number) <= bound;
      };
    case ">":
      return (bag) => {
        const value = bag.get(slot);
        return isMissing(value) ? value : (value as number) > bound;
      };
    case ">=":
      return (bag) => {
        const value = bag.get(slot);
        return isMissing(value) ? value : (value as number) >= bound;
      };
  }
}

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
