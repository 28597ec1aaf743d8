import type { Budget, Limit } from "../../sdk/index.ts";
import type { Count } from "./count.ts";
import type { ProxyBucket } from "./proxy-bucket.ts";

/** A count that is divided among proxies, as far as this hub does it. Rates are units a second, bursts units at once. */
export interface DividedCount {
  /** `policy/rule` */
  readonly rule: string;
  readonly limit: Limit;
  /** The key of the count, as charges have it, and what it begins with. */
  readonly key: string;
  readonly keyPrefix: string;
  /** What the limit allows, over all hubs. */
  readonly budget: Budget;
  /** What of it this hub divides. */
  readonly share: Budget;
  /** What of that proxies have. */
  readonly assigned: Budget;
  /** What they could use, units a second. */
  readonly needed: number;
  readonly proxies: readonly ProxyShare[];
}

/** The part of one bucket of one proxy. */
export interface ProxyShare {
  /** The client's name, or the proxy's address. */
  readonly client: string;
  /** Requests a second and at once that it was told; `undefined` before it was told anything. */
  readonly assigned: Budget | "allow" | "deny" | undefined;
  /** Requests that it reported, a second. */
  readonly needed: number;
}

/** What people can see of what is divided among proxies, and change. */
export interface DividedCounts {
  /** How many counts and buckets each rule has that has any. */
  sizes(): ReadonlyMap<string, { readonly keys: number; readonly buckets: number }>;
  /** The counts of a rule. */
  of(rule: string): readonly DividedCount[];
  /**
   * Forgets what of counts has passed: their burst is there anew, but for what proxies have of it. Of one key, or of all.
   * Answers of how many.
   */
  reset(rule: string, isMeant: (key: string) => boolean): number;
}

/** Shows the counts and buckets of an apportioner. */
export function dividedCounts(
  counts: ReadonlyMap<string, Count>,
  buckets: readonly Iterable<ProxyBucket>[],
  nowMs: () => number,
): DividedCounts {
  function* countsOf(rule: string): Generator<Count> {
    for (const count of counts.values()) if (count.rule.id === rule) yield count;
  }
  return {
    sizes() {
      const sizes = new Map<string, { keys: number; buckets: number }>();
      for (const { rule, ledger } of counts.values()) {
        let size = sizes.get(rule.id);
        if (size === undefined) sizes.set(rule.id, (size = { keys: 0, buckets: 0 }));
        size.keys++;
        for (const { isLeft } of ledger.claims) if (!isLeft) size.buckets++;
      }
      return sizes;
    },
    of(rule) {
      const found = new Map<Count, ProxyShare[]>();
      for (const count of countsOf(rule)) {
        count.ledger.settle(nowMs());
        found.set(count, []);
      }
      if (found.size === 0) return [];
      for (const places of buckets)
        for (const bucket of places) for (const { count } of bucket.parts) found.get(count)?.push(shareOf(bucket));
      return [...found].map(([count, proxies]) => {
        const {
          ledger,
          of: { counted },
          budget,
        } = count;
        const { budget: share, granted: assigned, demand: needed } = ledger;
        return { rule, ...counted, budget, share, assigned, needed, proxies };
      });
    },
    reset(rule, isMeant) {
      let changed = 0;
      for (const {
        of: { counted },
        ledger,
      } of countsOf(rule)) {
        if (!isMeant(counted.key)) continue;
        ledger.settle(nowMs());
        ledger.refill();
        changed++;
      }
      return changed;
    },
  };
}

function shareOf({ client, assignment, budget, demand, hasTokens }: ProxyBucket): ProxyShare {
  const assigned = assignment?.kind === "tokens" ? (hasTokens ? budget : undefined) : assignment?.kind;
  return { client, assigned, needed: demand };
}
