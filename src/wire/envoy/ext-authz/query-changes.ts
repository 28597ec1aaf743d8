import { queryNames } from "../../../attributes/query-params.ts";
import type { HeaderOperation } from "../../../runtime/decision.ts";

/** Changes of a query as Envoy makes them: by names as they are spelled, which it does not decode. */
export interface QueryChanges {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly remove: ReadonlySet<string>;
}

/**
 * What Envoy is to do with the query of `path`. Envoy writes names and values as it is given them, so they are encoded
 * here: a value is no way to bring in another parameter. A parameter that is changed goes however its caller has spelled
 * its name (`%70lan`), or the service would find both.
 */
export function queryChanges(operations: readonly HeaderOperation[], path: string): QueryChanges {
  const names = queryNames(path);
  const set: [string, string][] = [];
  const remove = new Set<string>();
  for (const { operation, name, value } of operations) {
    const own = encoded(name);
    if (operation === "remove") remove.add(own);
    else set.push([own, encoded(value)]);
    for (const spelled of names.get(name) ?? []) if (spelled !== own) remove.add(spelled);
  }
  return { set, remove };
}

/** Text as a part of a query: what is not unreserved (RFC 3986, 2.3) percent-encoded. */
function encoded(text: string): string {
  if (/^[\w.~-]*$/.test(text)) return text;
  const hex = (byte: number): string => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  const plain = (byte: number): boolean => /[\w.~-]/.test(String.fromCharCode(byte));
  return [...Buffer.from(text)].map((byte) => (plain(byte) ? String.fromCharCode(byte) : hex(byte))).join("");
}
