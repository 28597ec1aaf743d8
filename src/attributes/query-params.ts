import { Fault } from "./fault.ts";
import type { StringMap } from "./value.ts";

/** The parameters of a query. */
export interface QueryParams {
  /** The first value of each name. */
  readonly first: StringMap;
  /** The names that come with several values: some services take the first, some the last. */
  readonly ambiguous: ReadonlySet<string>;
}

const none: ReadonlySet<string> = new Set();

const fragment = new Fault("request.path has a fragment, which no request has: to some it is a part of the query");

/**
 * The parameters of a request target's query, decoded as forms are: `+` is a blank, `%xx` a byte of UTF-8, and what is no
 * such escape stays as it is. A fault where a fragment follows (RFC 9112, 3.2): what it holds may be parameters to some.
 */
export function queryParams(target: string): QueryParams | Fault {
  if (target.includes("#")) return fragment;
  const first = new Map<string, string>();
  let ambiguous: Set<string> | undefined;
  const start = target.indexOf("?");
  if (start < 0) return { first, ambiguous: none };
  for (const [name, value] of new URLSearchParams(target.slice(start + 1))) {
    const before = first.get(name);
    if (before === undefined) first.set(name, value);
    else if (before !== value) (ambiguous ??= new Set()).add(name);
  }
  return { first, ambiguous: ambiguous ?? none };
}
