import { setImmediate } from "node:timers/promises";
import type { KeyUsage, Limit, Usage } from "weir/sdk";
import type { Extras } from "./extras.ts";
import { startOf, type KeyTables } from "./key-tables.ts";

export interface UsageOptions {
  readonly tables: KeyTables;
  readonly extras: Extras;
  readonly clock: () => number;
}

/** How many keys are looked at before others get their turn. */
const turn = 2000;

/** What people ask of the counters in memory. Long looks are taken in turns with charges. */
export function createUsage({ tables, extras, clock }: UsageOptions): Usage {
  function usageOf(limit: Limit, key: string, place: number): KeyUsage {
    const table = tables.of(limit);
    const { counter } = table;
    const [state, o, now] = [table.page(place), table.offset(place), clock()];
    const used = counter.capacity(limit) - counter.available(state, o, limit, now);
    return { key, used, resetMs: counter.resetMs(state, o, limit, now) };
  }

  /** Calls `each` for every key that begins with a prefix and of which something is taken. */
  async function visit(limit: Limit, prefix: string, each: (usage: KeyUsage, place: number) => void): Promise<number> {
    const table = tables.of(limit);
    let seen = 0;
    let looked = 0;
    for (const found of table.keysWith(prefix)) {
      if (++looked % turn === 0) await setImmediate();
      if (found === undefined) {
        looked += turn / 2;
        continue;
      }
      const [key, place] = found;
      // It may have been let go, and its place given to another, since others had their turn.
      if (table.find(key, startOf(limit)) !== place) continue;
      seen++;
      const usage = usageOf(limit, key, place);
      if (usage.used > 0) each(usage, place);
    }
    return seen;
  }

  return {
    held: (limit) => tables.sizeOf(limit),

    async look({ limit, key }) {
      const place = tables.of(limit).find(key, startOf(limit));
      return place < 0 ? { key, used: 0, resetMs: 0 } : usageOf(limit, key, place);
    },

    async top(limit, prefix, most) {
      let keys: KeyUsage[] = [];
      const cut = (): void => {
        keys = keys.sort((a, b) => b.used - a.used).slice(0, most);
      };
      const seen = await visit(limit, prefix, (usage) => {
        keys.push(usage);
        if (keys.length >= 2 * most + 1000) cut();
      });
      cut();
      return { keys, seen, complete: true };
    },

    async reset({ limit, key }) {
      const table = tables.of(limit);
      const place = table.find(key, startOf(limit));
      if (place >= 0) table.clear(place);
      extras.set(key, 0, 0);
    },

    async resetAll(limit, prefix) {
      let cleared = 0;
      await visit(limit, prefix, (_usage, place) => {
        tables.of(limit).clear(place);
        cleared++;
      });
      extras.clear(prefix);
      return cleared;
    },

    async grant({ key }, extra, untilMs) {
      extras.set(key, extra, untilMs);
    },
  };
}
