import type { Counted, KeyUsage, Limit, Usage } from "weir/sdk";
import type { Store } from "./connection.ts";
import { counterKeys, escaped, unescaped } from "./counter-key.ts";
import { createDraw, leasesSuffix, question } from "./draw.ts";
import { limitArgs, type QuotaOptions } from "./quota.ts";

/** How many counters one script looks at: few, because Redis does nothing else meanwhile. */
const keysAtOnce = 200;

/** The most keys of which the use is looked up for one question. */
const maxLooked = 100_000;

/** A count, and its key in Redis. */
interface Found {
  readonly key: string;
  readonly name: string;
}

/**
 * What people ask of the counters in Redis. Keys are found by SCAN, in small steps, over all that the server holds: with
 * millions of keys that takes a while, and never holds up charges.
 */
export function createUsage(store: Store, options: QuotaOptions): Usage {
  const { prefix, now, clock } = options;
  const time = (): string => (clock === undefined ? "" : String(clock()));
  const draw = createDraw(store, options);
  const counterOf = counterKeys(store, prefix);
  const limitOf = (limit: Limit): (string | number)[] => [time(), ...limitArgs(limit, now)];

  /** What is not exact lies on keys of its own, each by itself. */
  function nameOf({ limit, key, group }: Counted): string {
    if (limit.consistency !== undefined) return `${prefix}{${escaped(key)}}${leasesSuffix}`;
    return counterOf(group === undefined ? { key } : { key, group });
  }

  /** The key of the count that lies under a name; `undefined` for what belongs to a charge, or to another kind of limit. */
  function keyIn(name: string, { consistency }: Limit): string | undefined {
    const parts = name.slice(prefix.length + 1).split("}");
    const [first, second, third, fourth] = parts;
    if (parts.length === 2 && second === (consistency === undefined ? "" : leasesSuffix)) return unescaped(first!);
    // Of a group, on a cluster.
    const isGrouped = parts.length === 4 && second === "" && fourth === "" && consistency === undefined;
    return isGrouped ? unescaped(third!) : undefined;
  }

  /** The counters whose keys begin with a prefix, some at a time; none twice. */
  async function* counters(limit: Limit, start: string, signal: AbortSignal): AsyncGenerator<Found[]> {
    const seen = new Set<string>();
    const within = store.isCluster ? [`${prefix}{`, escaped(start)] : [`${prefix}{${escaped(start)}`];
    for await (const names of store.keysWith(...within)) {
      signal.throwIfAborted();
      const found: Found[] = [];
      for (const name of names) {
        const key = keyIn(name, limit);
        if (key === undefined || !key.startsWith(start) || seen.has(name)) continue;
        found.push({ key, name });
        if (seen.size < maxLooked) seen.add(name);
      }
      if (found.length > 0) yield found;
    }
  }

  async function usageOf(limit: Limit, counts: readonly Found[]): Promise<KeyUsage[]> {
    if (limit.consistency !== undefined) return Promise.all(counts.map(({ key }) => sharedUsageOf(limit, key)));
    // Keys of a cluster lie in different slots, and a script takes those of one.
    const size = store.isCluster ? 1 : keysAtOnce;
    const parts = Array.from({ length: Math.ceil(counts.length / size) }, (_, i) =>
      counts.slice(i * size, (i + 1) * size),
    );
    const answers = await Promise.all(
      parts.map(async (part) => {
        const names = part.map(({ name }) => name);
        const numbers = await store.usage(names, limitOf(limit));
        return part.map(({ key }, i) => ({ key, used: numbers[i * 2]!, resetMs: numbers[i * 2 + 1]! }));
      }),
    );
    return answers.flat();
  }

  /** Of a count whose units hubs take ahead: those that they hold are taken. */
  async function sharedUsageOf(limit: Limit, key: string): Promise<KeyUsage> {
    const { free, resetMs, extra } = await draw(limit, key, question);
    const capacity = limit.algorithm === "token-bucket" ? limit.burst : limit.amount;
    return { key, used: Math.max(0, capacity + extra - free), resetMs };
  }

  return {
    look: async (count) => (await usageOf(count.limit, [{ key: count.key, name: nameOf(count) }]))[0]!,

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

    reset: (count) => store.forget(nameOf(count)),

    async resetAll(limit, start, { signal }) {
      let cleared = 0;
      for await (const found of counters(limit, start, signal)) {
        await Promise.all(found.map(({ name }) => store.forget(name)));
        cleared += found.length;
      }
      return cleared;
    },

    async grant(count, extra, untilMs) {
      const { limit } = count;
      const args = [...limitOf(limit), extra, untilMs];
      if (limit.consistency === undefined) await store.grant(nameOf(count), args);
      else await store.grantLeases(nameOf(count), args);
    },
  };
}
