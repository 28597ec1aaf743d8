import { createHash } from "node:crypto";
import type { Node } from "./yaml/node.ts";

/** JSON with the keys of objects sorted: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === "bigint") return each.toString();
    if (typeof each !== "object" || each === null || Array.isArray(each)) return each;
    return Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}

/** A short hash over texts, each taken with its length so that no two lists of texts run together. */
export class ContentHash {
  readonly #hash = createHash("sha256");

  add(text: string): this {
    this.#hash.update(`${text.length}:`).update(text);
    return this;
  }

  /** 12 hexadecimal digits. Nothing can be added afterwards. */
  digest(): string {
    return this.#hash.digest("hex").slice(0, 12);
  }
}

/** The plain value of a node. Objects have no prototype, so that no key of a file means anything to the language. */
export function plainValue(node: Node): unknown {
  if (node.kind === "list") return node.items.map(plainValue);
  if (node.kind === "scalar") return node.value;
  const object = Object.create(null) as Record<string, unknown>;
  for (const { key, value } of node.entries) object[key.text] = plainValue(value);
  return object;
}
