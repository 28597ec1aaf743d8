import type { Layout } from "../attributes/layout.ts";
import { ownText } from "../util/own-texts.ts";
import type { Part } from "./part.ts";
import { PatternCache } from "./pattern.ts";

/**
 * What the expressions of a layout, which is to say of a policy set, have in common, so that thousands of rules that
 * differ in a word do not each hold, and bring into the processor's caches, what is the same in all of them.
 */
export class Shared {
  readonly patterns = new PatternCache();
  /** The tests of presence, by slot. */
  readonly presence = new Map<number, Part>();
  /** The reads of attributes and of their keys, by slot. */
  readonly reads = new Map<number, Part>();
  readonly #texts = new Map<string, string>();

  /** The one string for a text, in memory of its own: what was cut out of a file is slower to compare. */
  text(text: string): string {
    let own = this.#texts.get(text);
    if (own === undefined) this.#texts.set((own = ownText(text)), own);
    return own;
  }
}

/** They go with their layout. */
const sharedOf = new WeakMap<Layout, Shared>();

export function sharedBy(layout: Layout): Shared {
  let shared = sharedOf.get(layout);
  if (shared === undefined) sharedOf.set(layout, (shared = new Shared()));
  return shared;
}
