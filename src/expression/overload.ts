import type { Duration } from "../attributes/duration.ts";
import type { Fault } from "../attributes/fault.ts";
import type { Cidr, Ip } from "../attributes/ip.ts";
import type { Timestamp } from "../attributes/timestamp.ts";
import type { Int64 } from "../attributes/value.ts";
import type { Dynamic, DynamicMapLike, Optional, TypeValue } from "./dynamic.ts";
import type { Meter } from "./meter.ts";
import type { PatternCache } from "./pattern.ts";
import type { Type } from "./type.ts";

/** What functions may need beside their arguments. */
export interface Tools {
  readonly meter: Meter;
  readonly patterns: PatternCache;
}

/** How a type's values are held in TypeScript. */
interface RawByKind {
  bool: boolean;
  bytes: Uint8Array;
  cidr: Cidr;
  double: number;
  duration: Duration;
  dyn: Dynamic;
  int64: Int64;
  ip: Ip;
  list: readonly Dynamic[];
  map: DynamicMapLike;
  null: null;
  optional: Optional;
  string: string;
  timestamp: Timestamp;
  type: TypeValue;
  uint64: Int64;
}

type Raw<T extends Type> = T["kind"] extends keyof RawByKind ? RawByKind[T["kind"]] : Dynamic;
type RawAll<P extends readonly Type[]> = { [K in keyof P]: Raw<P[K]> };

export type Apply = (...values: never[]) => unknown;

/** One way to call a function. */
export interface Overload {
  /** As it is written, with its namespace: `size`, `optional.of`. Operators are called by their sign: `+`. */
  readonly name: string;
  /** `value.name(...)`: the value is the first parameter. */
  readonly method: boolean;
  readonly params: readonly Type[];
  readonly result: Type;
  /** The result's type where it depends on the arguments' types; `undefined`: these types do not go together. */
  readonly refine?: (args: readonly Type[]) => Type | undefined;
  /**
   * Makes the function. `constants` holds the values of arguments that are constants, `undefined` for the others, so that
   * what they cost is paid once. A fault says that a constant is wrong, which is a problem of the expression.
   */
  readonly bind: (tools: Tools, constants: readonly unknown[]) => Apply | Fault;
  /** Whether a fault of a call with nothing but constants is a problem of the expression. */
  readonly checked: boolean;
}

interface Options {
  readonly refine?: (args: readonly Type[]) => Type | undefined;
  readonly checked?: boolean;
}

/** A function `name(...)`. */
export function fn<const P extends readonly Type[], R extends Type>(
  name: string,
  params: P,
  result: R,
  apply: (...values: RawAll<P>) => Raw<R> | Fault,
  options?: Options,
): Overload {
  return { name, method: false, params, result, bind: () => apply as Apply, checked: false, ...options };
}

/** A method `first.name(...)`. */
export function method<const P extends readonly Type[], R extends Type>(
  name: string,
  params: P,
  result: R,
  apply: (...values: RawAll<P>) => Raw<R> | Fault,
  options?: Options,
): Overload {
  return { ...fn(name, params, result, apply, options), method: true };
}

/** The same overload with a function that is made from tools and constant arguments. */
export function bound<const P extends readonly Type[], R extends Type>(
  overload: { readonly name: string; readonly method: boolean; readonly params: P; readonly result: R } & Options,
  bind: (
    tools: Tools,
    constants: { [K in keyof P]: Raw<P[K]> | undefined },
  ) => ((...values: RawAll<P>) => Raw<R> | Fault) | Fault,
): Overload {
  return { checked: false, ...overload, bind: bind as unknown as Overload["bind"] };
}
