import type { KeyUsage, Limit, Usage } from "weir/sdk";
import type { Store } from "./connection.ts";
import { createDraw, leasesSuffix, question } from "./draw.ts";
import { escaped, limitArgs, unescaped, type QuotaOptions } from "./quota.ts";

/** How many counters one script looks at: few, because Redis does nothing else meanwhile. */
const keysAtOnce = 200;

/** The most keys of which the use is looked up for one question. */
const maxLooked = 100_000;

/**
 * What people ask of the counters in Redis. Keys are found by SCAN, in small steps, over all that the server holds: with
 * millions of keys that takes a while, and never holds up charges.
 */
export function createUsage(store: Store, options: QuotaOptions): Usage {
  const { prefix, now, clock } = options;
  const time = (): string => (clock === undefined ? "" : String(clock()));
  const draw = createDraw(store, options);
  /** What stands behind the brace: what is not exact lies on keys of its own. */
  const suffixOf = ({ consistency }: Limit): string => (consistency === undefined ? "" : leasesSuffix);
  const keyOf = (limit: Limit, key: string): string => `${prefix}{${escaped(key)}}${suffixOf(limit)}`;
  const limitOf = (limit: Limit): (string | number)[] => [time(), ...limitArgs(limit, now)];

  /** The counters whose keys begin with a prefix, some at a time, by their names in Redis; none twice. */
  async function* counters(limit: Limit, start: string, signal: AbortSignal): AsyncGenerator<string[]> {
    const seen = new Set<string>();
    const end = `}${suffixOf(limit)}`;
    for await (const keys of store.keysWith(`${prefix}{${escaped(start)}`)) {
      signal.throwIfAborted();
      // What has something else behind the brace belongs to a charge.
      const found = keys.filter(
        (key) => key.endsWith(end) && key.indexOf("}", prefix.length) === key.length - end.length && !seen.has(key),
      );
      if (found.length === 0) continue;
      if (seen.size < maxLooked) for (const key of found) seen.add(key);
      yield found;
    }
  }

  async function usageOf(limit: Limit, keys: readonly string[]): Promise<KeyUsage[]> {
    const names = keys.map((key) => unescaped(key.slice(prefix.length + 1, key.lastIndexOf("}"))));
    if (limit.consistency !== undefined) return Promise.all(names.map((name) => sharedUsageOf(limit, name)));
    // Keys of a cluster lie in different slots, and a script takes those of one.
    const size = store.isCluster ? 1 : keysAtOnce;
    const parts = Array.from({ length: Math.ceil(keys.length / size) }, (_, i) => keys.slice(i * size, (i + 1) * size));
    const answers = await Promise.all(
      parts.map(async (part) => {
        const numbers = await store.usage(part, limitOf(limit));
        return part.map((key, i) => ({
          key: unescaped(key.slice(prefix.length + 1, -1)),
          used: numbers[i * 2]!,
          resetMs: numbers[i * 2 + 1]!,
        }));
      }),
    );
    return answers.flat();
  }

  /** Of a count whose units hubs take ahead: those that they hold are taken. */
  async function sharedUsageOf(limit: Limit, key: string): Promise<KeyUsage> {
    const { free, resetMs } = await draw(limit, key, question);
    const capacity = limit.algorithm === "token-bucket" ? limit.burst : limit.amount;
    return { key, used: Math.max(0, capacity - free), resetMs };
  }

  return {
    look: async (limit, key) => (await usageOf(limit, [keyOf(limit, key)]))[0]!,

    async top(limit, start, most, { signal }) {
      let keys: KeyUsage[] = [];
      let seen = 0;
      let complete = true;
      for await (const found of counters(limit, start, signal)) {
        seen += found.length;
        const taken = (await usageOf(limit, found)).filter(({ used }) => used > 0);
        keys = [...keys, ...taken].sort((a, b) => b.used - a.used).slice(0, most);
        if (seen < maxLooked) continue;
        complete = false;
        break;
      }
      return { keys, seen, complete };
    },

    reset: (limit, key) => store.forget(keyOf(limit, key)),

    async resetAll(limit, start, { signal }) {
      let cleared = 0;
      for await (const found of counters(limit, start, signal)) {
        await Promise.all(found.map((key) => store.forget(key)));
        cleared += found.length;
      }
      return cleared;
    },

    async grant(limit, key, extra, untilMs) {
      if (limit.consistency !== undefined)
        throw new Error(`a limit of consistency ${limit.consistency} takes no grants beyond it`);
      await store.grant(keyOf(limit, key), [...limitOf(limit), extra, untilMs]);
    },
  };
}
