import type { StringMap } from "./value.ts";

/**
 * The parameters of a query (what follows the `?`), decoded as forms are: `+` is a blank, `%xx` a byte of UTF-8, and
 * what is no such escape stays as it is. The first value of each name counts.
 */
export function queryParams(query: string): StringMap {
  const params = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) if (!params.has(name)) params.set(name, value);
  return params;
}
