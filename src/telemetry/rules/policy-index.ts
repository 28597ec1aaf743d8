import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { Expression } from "../../expression/expression.ts";

/** What an index sorts. */
export interface Matched {
  /** Left out: matches every record. */
  readonly match?: Expression<boolean>;
}

/**
 * Finds the policies that may match a record by one equality test of each, so that a thousand policies for a thousand
 * services cost about what one does.
 */
export class PolicyIndex<P extends Matched> {
  readonly #always: readonly P[];
  readonly #slots: readonly { readonly slot: number; readonly byValue: Map<string, P[]>; readonly all: readonly P[] }[];

  constructor(policies: readonly P[]) {
    const bySlot = new Map<number, { slot: number; byValue: Map<string, P[]>; all: P[] }>();
    const always: P[] = [];
    // The slot with the most different values leaves the fewest policies to look at.
    const spread = new Map<number, Set<string>>();
    for (const { slot, value } of policies.flatMap((policy) => policy.match?.equalities ?? [])) {
      spread.set(slot, (spread.get(slot) ?? new Set()).add(value));
    }
    for (const policy of policies) {
      const equalities = [...(policy.match?.equalities ?? [])];
      const best = equalities.sort((a, b) => spread.get(b.slot)!.size - spread.get(a.slot)!.size)[0];
      if (best === undefined) {
        always.push(policy);
        continue;
      }
      let entry = bySlot.get(best.slot);
      if (entry === undefined) bySlot.set(best.slot, (entry = { slot: best.slot, byValue: new Map(), all: [] }));
      entry.all.push(policy);
      const same = entry.byValue.get(best.value);
      if (same === undefined) entry.byValue.set(best.value, [policy]);
      else same.push(policy);
    }
    this.#always = always;
    this.#slots = [...bySlot.values()];
  }

  /** Calls `visit` with each policy whose `match` still has to be evaluated; the others do not match. */
  candidates(bag: Bag, visit: (policy: P) => void): void {
    for (const policy of this.#always) visit(policy);
    for (const { slot, byValue, all } of this.#slots) {
      const value = bag.peek(slot);
      // A fault is for each `match` to judge, and to count.
      const found = typeof value === "string" ? byValue.get(value) : value instanceof Fault ? all : undefined;
      if (found !== undefined) for (const policy of found) visit(policy);
    }
  }
}
