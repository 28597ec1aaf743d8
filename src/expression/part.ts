import type { Bag } from "../attributes/bag.ts";
import { Fault } from "../attributes/fault.ts";
import type { TextTest } from "./expression.ts";
import { type Dynamic, box, dynamicTypeName, typeOf, unbox } from "./dynamic.ts";
import type { Type } from "./type.ts";
import { asMap, isDyn, isNamedText } from "./typing.ts";

/**
 * A compiled piece of an expression. It gives the value as its static type holds it: a double is a number and a uint an
 * {@link Int64} where the type says so, and wrapped where it says `dyn` (see {@link Dynamic}). `undefined` is absence.
 */
export type Run = (bag: Bag) => unknown;

export interface Part {
  readonly type: Type;
  readonly run: Run;
  /** Set when the value does not depend on the request. */
  readonly constant?: { readonly value: unknown };
  /** Set when the part is nothing but a slot of the bag. */
  readonly slot?: number;
  /** Set when the part is `has()` of a slot; `run` is then one function for all expressions of a layout. */
  readonly presenceOf?: number;
  /** Set when the part begins with a shared operand of `&&`: see `Expression.guard`. */
  readonly guard?: Run;
  /** Set when the part is a test of a text: see `Expression.textTest`. */
  readonly textTest?: TextTest | undefined;
}

export function constantPart(type: Type, value: unknown): Part {
  return { type, run: () => value, constant: { value } };
}

/** Whether an evaluation ended without a value. */
export function isMissing(value: unknown): value is undefined | Fault {
  return value === undefined || value instanceof Fault;
}

/** The part with its value held as {@link Dynamic}. */
export function boxed(part: Part): Run {
  const { kind } = part.type;
  if (kind !== "double" && kind !== "uint64") return part.run;
  if (part.constant !== undefined) {
    const value = box(kind, part.constant.value);
    return () => value;
  }
  const { run } = part;
  return (bag) => {
    const value = run(bag);
    return isMissing(value) ? value : box(kind, value);
  };
}

/** The part's value held as `type` holds it. The checker has seen that it is assignable; a `dyn` is tested here at run time. */
export function coerced(part: Part, type: Type): Run {
  if (isDyn(type)) return boxed(part);
  const { run } = part;
  if (!isDyn(part.type) && (part.type.kind !== "null" || type.kind === "null")) return run;
  return (bag) => {
    const value = run(bag) as Dynamic | undefined | Fault;
    if (isMissing(value)) return value;
    if (!accepts(type, value))
      return new Fault(`no such overload: expected ${type.kind}, found ${dynamicTypeName(value)}`);
    return unbox(value);
  };
}

/** A part of a static type from a run that gives {@link Dynamic} values known to be of that type. */
export function unboxed(type: Type, run: Run): Part {
  if (type.kind !== "double" && type.kind !== "uint64") return { type, run };
  return {
    type,
    run: (bag) => {
      const value = run(bag) as Dynamic | undefined | Fault;
      return isMissing(value) ? value : unbox(value);
    },
  };
}

/** Whether a value is of a type, as far as it can be seen without looking into lists and maps. */
export function accepts(type: Type, value: Dynamic): boolean {
  if (isDyn(type)) return true;
  const found = typeOf(value);
  if (isNamedText(type)) return found.kind === "string";
  if (asMap(type) !== undefined) return found.kind === "map";
  if (type.kind === "message") return found.kind === "message" && found.name === type.name;
  return found.kind === type.kind;
}
