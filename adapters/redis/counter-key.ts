import type { Counted } from "weir/sdk";
import type { Store } from "./connection.ts";

/**
 * The Redis key of an exact count. The braces are the hash tag: a count and the deduplication ids of its charges lie in
 * one slot, and on a cluster so do the counts of a group (Redis Cluster specification, "Hash tags"). No escaped text has
 * a brace, so braces tell kinds of keys apart.
 */
export function counterKeys(
  { isCluster }: Pick<Store, "isCluster">,
  prefix: string,
): (count: Pick<Counted, "key" | "group">) => string {
  return ({ key, group }) =>
    group === undefined || !isCluster ? `${prefix}{${escaped(key)}}` : `${prefix}{${escaped(group)}}}${escaped(key)}}`;
}

/**
 * A text as part of a Redis key, still told apart from every other: without a brace that would end the hash tag, and
 * without halves of surrogate pairs, which all look alike in UTF-8.
 */
export function escaped(text: string): string {
  return text.replace(/[%}\p{Surrogate}]/gu, (unit) => `%${unit.charCodeAt(0).toString(16)};`);
}

/** The text that {@link escaped} made this of. */
export function unescaped(text: string): string {
  return text.replace(/%([0-9a-f]+);/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
