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
  for (const [name, value] of decoded(target.slice(start + 1))) {
    const before = first.get(name);
    if (before === undefined) first.set(name, value);
    else if (before !== value) (ambiguous ??= new Set()).add(name);
  }
  return { first, ambiguous: ambiguous ?? none };
}

/** The names of the parameters in a target's query, decoded, and how each is spelled there. */
export function queryNames(target: string): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map<string, Set<string>>();
  const start = target.indexOf("?");
  if (start < 0) return names;
  const query = target.slice(start + 1);
  const parts = query.split("&").filter((part) => part !== "");
  let i = 0;
  for (const name of decoded(query).keys()) {
    const spelled = parts[i++]!.split("=", 1)[0]!;
    const known = names.get(name);
    if (known === undefined) names.set(name, new Set([spelled]));
    else known.add(spelled);
  }
  return names;
}

/** A query's parameters. A question mark at its beginning is a part of the first name. */
function decoded(query: string): URLSearchParams {
  return new URLSearchParams(query.startsWith("?") ? `&${query}` : query);
}
