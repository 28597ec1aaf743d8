import type { Duration } from "../attributes/duration.ts";
import type { Fault } from "../attributes/fault.ts";
import { type Ip, compareBytes } from "../attributes/ip.ts";
import type { Timestamp } from "../attributes/timestamp.ts";
import type { Compilation } from "./compilation.ts";
import type { Dynamic } from "./dynamic.ts";
import { compareNumbers, compareText, dynamicCompare, dynamicEquals } from "./equality.ts";
import type { TextTest } from "./expression.ts";
import { negated } from "./logic.ts";
import { type NamedText, sameNamedText } from "./named-text.ts";
import type { BinaryNode } from "./node.ts";
import { type Part, type Run, boxed, isMissing } from "./part.ts";
import type { Type } from "./type.ts";
import { assignable, isNamedText, typeName, types } from "./typing.ts";

/** Tests two values as their static type holds them. */
export type Test = (a: never, b: never) => boolean | Fault;

/** Evaluates both sides in order and tests them. */
export function both(left: Run, right: Run, test: Test): Run {
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

/** Whether values of two static types may be compared. */
export function comparable(a: Type, b: Type): boolean {
  if (assignable(a, b) || assignable(b, a)) return true;
  return a.kind === b.kind && (a.kind === "list" || a.kind === "map" || a.kind === "optional");
}

/** What to write instead, where one side is a constant of another type. */
export function castHint(a: Type, b: Type): string {
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
