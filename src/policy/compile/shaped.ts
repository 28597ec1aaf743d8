/** The same keys, each of which must be named and may be `undefined`. */
type Named<T> = { readonly [K in keyof Required<T>]: T[K] | undefined };

/**
 * An object of which every key is named, those that are left out as `undefined`: objects that are made in one place
 * then share one hidden class, which is what code that reads thousands of them on the hot path needs. For the same
 * reason a spread must not come first in the literal: V8 gives each clone a class of its own.
 */
export function shaped<T>(value: Named<T>): T {
  return value as T;
}
