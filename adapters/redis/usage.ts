import type { KeyUsage, Limit, Usage } from "weir/sdk";
import type { Store } from "./connection.ts";
import { escaped, limitArgs, unescaped, type QuotaOptions } from "./quota.ts";

/** How many counters one script looks at: few, because Redis does nothing else meanwhile. */
const keysAtOnce = 200;

/** The most keys of which the use is looked up for one question. */
const maxLooked = 100_000;

/**
 * What people ask of the counters in Redis. Keys are found by SCAN, in small steps, over all that the server holds: with
 * millions of keys that takes a while, and never holds up charges.
 */
export function createUsage(store: Store, { prefix, now, clock }: QuotaOptions): Usage {
  const time = (): string => (clock === undefined ? "" : String(clock()));
  const keyOf = (key: string): string => `${prefix}{${escaped(key)}}`;
  const limitOf = (limit: Limit): (string | number)[] => [time(), ...limitArgs(limit, now)];

  /** The counters whose keys begin with a prefix, some at a time, by their names in Redis; none twice. */
  async function* counters(start: string, signal: AbortSignal): AsyncGenerator<string[]> {
    const seen = new Set<string>();
    for await (const keys of store.keysWith(`${prefix}{${escaped(start)}`)) {
      signal.throwIfAborted();
      // What has something behind the brace belongs to a charge.
      const found = keys.filter(
        (key) => key.endsWith("}") && key.indexOf("}", prefix.length) === key.length - 1 && !seen.has(key),
      );
      if (found.length === 0) continue;
      if (seen.size < maxLooked) for (const key of found) seen.add(key);
      yield found;
    }
  }

  async function usageOf(limit: Limit, keys: readonly string[]): Promise<KeyUsage[]> {
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

  return {
    look: async (limit, key) => (await usageOf(limit, [keyOf(key)]))[0]!,

    async top(limit, start, most, { signal }) {
      let keys: KeyUsage[] = [];
      let seen = 0;
      let complete = true;
      for await (const found of counters(start, signal)) {
        seen += found.length;
        const taken = (await usageOf(limit, found)).filter(({ used }) => used > 0);
        keys = [...keys, ...taken].sort((a, b) => b.used - a.used).slice(0, most);
        if (seen < maxLooked) continue;
        complete = false;
        break;
      }
      return { keys, seen, complete };
    },

    reset: (_limit, key) => store.forget(keyOf(key)),

    async resetAll(_limit, start, { signal }) {
      let cleared = 0;
      for await (const found of counters(start, signal)) {
        await Promise.all(found.map((key) => store.forget(key)));
        cleared += found.length;
      }
      return cleared;
    },

    grant: (limit, key, extra, untilMs) => store.grant(keyOf(key), [...limitOf(limit), extra, untilMs]),
  };
}
