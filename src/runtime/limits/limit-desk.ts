import { formatValue } from "../../attributes/text.ts";
import type { Value } from "../../attributes/value.ts";
import type { LimitRule, Snapshot } from "../../policy/snapshot.ts";
import type { Call, Instance, Limit, Log, Usage } from "../../sdk/index.ts";
import type { Timers } from "../../util/timers.ts";
import { WeirError } from "../../util/weir-error.ts";
import { late, within } from "../../util/within.ts";
import { grantEnd, type GrantSpan } from "./grant-span.ts";
import { countedAs, countsOf, valuesOf, type KeyText } from "./key-text.ts";
import { keyedLimit, rowLimit } from "./limit-choice.ts";
import { keyParts, type KeyPart } from "./limit-key.ts";
import { limitText } from "./limit-wishes.ts";
import type { DividedCount, DividedCounts } from "../quota/divided-count.ts";
import type { Serving } from "../serving.ts";

/** A limit in a list. */
export interface LimitListing {
  readonly rule: LimitRule;
  /** The rule's own limit and its overrides as people write them: `100/s, burst 200`. */
  readonly text: string;
  readonly overrides: readonly { readonly when: string; readonly text: string }[];
  /** How many counts its store holds, where that is known. */
  readonly held: number | undefined;
  /**
   * How many counts this hub divides among proxies that keep to the limit by themselves, and among how many buckets;
   * `undefined` where it divides none.
   */
  readonly divided: { readonly keys: number; readonly buckets: number } | undefined;
}

/** Where a key stands under a limit of its rule. */
export interface KeyStand {
  readonly text: string;
  /** The condition of an override, or which table says it; left out for the rule's own limit. */
  readonly when?: string;
  readonly used: number;
  /** What is left, with what was granted beyond the limit. */
  readonly remaining: number;
  readonly resetMs: number;
}

/** One of the most used keys of a limit. `parts` is `undefined` where the store holds only a hash of the values. */
export interface KeyListing {
  readonly parts: readonly KeyPart[] | undefined;
  readonly used: number;
  readonly resetMs: number;
  readonly text: string;
}

export interface TopListing {
  readonly rule: LimitRule;
  readonly keys: readonly KeyListing[];
  readonly seen: number;
  readonly complete: boolean;
}

/** A key whose budget is divided among proxies. `parts` is as in {@link KeyListing}. */
export interface DividedListing extends DividedCount {
  readonly parts: readonly KeyPart[] | undefined;
  readonly text: string;
}

/** A change that somebody makes. */
export interface LimitChange {
  readonly rule: LimitRule;
  /** The key as {@link LimitDeskOptions.log} may show it, or "every key". */
  readonly shown: unknown;
  /** Whose token it was, or the address that it came from. */
  readonly who: string;
}

/**
 * What people who look after limits can see and do. Everything waits for the adapter of the limit, no longer than
 * `deadlineMs`. Throws WEIR_NOT_FOUND, WEIR_REQUEST_MALFORMED, WEIR_NOT_SUPPORTED and WEIR_ADAPTER_FAILED.
 */
export interface LimitDesk {
  list(): readonly LimitListing[];
  /** The rule of a limit by its name, `policy/rule`. */
  find(rule: string): LimitRule;
  top(rule: LimitRule, most: number): Promise<TopListing>;
  look(rule: LimitRule, key: KeyText): Promise<readonly KeyStand[]>;
  /** What this hub divides among proxies of a limit, or of one key of it: those that need most first. */
  divided(rule: LimitRule, key: KeyText | undefined): readonly DividedListing[];
  /**
   * Forgets what is taken of a key, or of every key. Answers of how many in the limit's store, and how many that this hub
   * divides among proxies: of those the burst is there anew, but for what proxies have of it.
   */
  reset(change: LimitChange, key: KeyText | undefined): Promise<{ readonly keys: number; readonly divided: number }>;
  /**
   * Lets `extra` units more be taken of a key, 0 none any more. Answers until when, in milliseconds since 1970. A key that
   * is divided among proxies has no such thing: WEIR_NOT_SUPPORTED.
   */
  grant(change: LimitChange, key: KeyText, extra: number, span: GrantSpan): Promise<number>;
}

export interface LimitDeskOptions {
  readonly acquire: () => Pick<Serving<unknown>, "snapshot" | "instanceOf" | "release">;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly timers: Timers;
  /** What is divided among proxies. */
  readonly divided: DividedCounts;
  /** How long an adapter may take. Default 10 s. */
  readonly deadlineMs?: number;
}

export function createLimitDesk(options: LimitDeskOptions): LimitDesk {
  const { acquire, log, now, timers, divided, deadlineMs = 10_000 } = options;

  /** Asks the adapter of a limit, whose instance stays open meanwhile. */
  async function ask<T>(rule: LimitRule, question: (instance: Instance, call: Call) => Promise<T>): Promise<T> {
    const serving = acquire();
    const controller = new AbortController();
    try {
      const answer = await within(question(serving.instanceOf(rule.via), controller), deadlineMs, timers);
      if (answer !== late) return answer;
      controller.abort(new Error(`no answer within ${deadlineMs} ms`));
      throw new WeirError("WEIR_ADAPTER_FAILED", `${rule.via} gave no answer within ${deadlineMs} ms`);
    } catch (error) {
      if (error instanceof WeirError) throw error;
      log.warn({ adapter: rule.via, err: error }, "the adapter does not answer about limits");
      const reason = error instanceof Error ? error.message : String(error);
      throw new WeirError("WEIR_ADAPTER_FAILED", `${rule.via} does not answer: ${reason}`, { cause: error });
    } finally {
      serving.release();
    }
  }

  const askUsage = <T>(rule: LimitRule, question: (usage: Usage, call: Call) => Promise<T>): Promise<T> =>
    ask(rule, (instance, call) => {
      if (instance.usage !== undefined) return question(instance.usage, call);
      throw new WeirError("WEIR_NOT_SUPPORTED", `the adapter ${rule.via} does not tell its counts`);
    });

  /** The keys of the counts that a key of a rule has, one for each window. */
  function keysOf(rule: LimitRule, values: readonly (Value | undefined)[]): ReadonlySet<string> {
    return new Set(countsOf(rule, rowOf(rule, values)).map((counts) => countedAs(rule, counts, values).key));
  }

  /** What the table of a rule says of a key, where its rows are found by the value of `by`. */
  function rowOf(rule: LimitRule, values: readonly (Value | undefined)[]): Limit | undefined {
    const [value] = values;
    if (value === undefined || rule.by.length !== 1 || rule.table?.key !== rule.by[0]!.value) return undefined;
    const serving = acquire();
    try {
      const row = serving.instanceOf(rule.table.from).table?.(formatValue(value));
      return row && rowLimit(rule.limit, row);
    } finally {
      serving.release();
    }
  }

  return {
    list() {
      const serving = acquire();
      const sizes = divided.sizes();
      try {
        return limitsOf(serving.snapshot).map((rule) => ({
          rule,
          text: fullText(rule.limit),
          overrides: (rule.overrides ?? []).map(({ when, limit }) => ({ when: when.source, text: fullText(limit) })),
          held: serving.instanceOf(rule.via).usage?.held?.(rule.limit),
          divided: sizes.get(rule.id),
        }));
      } finally {
        serving.release();
      }
    },

    find(name) {
      const serving = acquire();
      serving.release();
      const rule = limitsOf(serving.snapshot).find(({ id }) => id === name);
      if (rule !== undefined) return rule;
      throw new WeirError("WEIR_NOT_FOUND", `no limit is called ${JSON.stringify(name.slice(0, 100))}`);
    },

    top: (rule, most) =>
      askUsage(rule, async (usage, call) => {
        const keys: KeyListing[] = [];
        let seen = 0;
        let complete = true;
        for (const { limit, keyPrefix } of countsOf(rule)) {
          const top = await usage.top(limit, keyPrefix, most, call);
          const text = fullText(limit);
          for (const { key, used, resetMs } of top.keys)
            keys.push({ parts: keyParts(keyPrefix, key), used, resetMs, text });
          seen += top.seen;
          complete &&= top.complete;
        }
        return { rule, keys: keys.sort((a, b) => b.used - a.used).slice(0, most), seen, complete };
      }),

    async look(rule, key) {
      const values = valuesOf(rule, key);
      const row = rowOf(rule, values);
      const limits = [
        ...(row === undefined ? [] : [{ when: `the table ${rule.table!.from} says so`, limit: row }]),
        { when: undefined, limit: rule.limit },
        ...(rule.overrides ?? []).map(({ when, limit }) => ({ when: when.source, limit })),
      ];
      const charges = limits.map(({ limit }) => ({
        ...countedAs(rule, keyedLimit(rule, limit), values),
        amount: 0,
        bestEffort: false,
      }));
      return await ask(rule, async (instance, call) => {
        const grants = await instance.quota!(charges, call);
        return await Promise.all(
          limits.map(async ({ limit, when }, i): Promise<KeyStand> => {
            const { remaining, resetMs } = grants[i]!;
            const capacity = limit.algorithm === "token-bucket" ? limit.burst : limit.amount;
            const usage = await instance.usage?.look(charges[i]!, call);
            const used = Math.ceil(usage?.used ?? Math.max(0, capacity - remaining));
            return { text: fullText(limit), ...(when && { when }), used, remaining, resetMs };
          }),
        );
      });
    },

    divided(rule, key) {
      const keys = key && keysOf(rule, valuesOf(rule, key));
      return divided
        .of(rule.id)
        .filter((count) => keys?.has(count.key) !== false)
        .map((count) => ({ ...count, parts: keyParts(count.keyPrefix, count.key), text: fullText(count.limit) }))
        .sort((a, b) => b.needed - a.needed);
    },

    async reset({ rule, shown, who }, key) {
      const values = key && valuesOf(rule, key);
      const keys = await askUsage(rule, async (usage, call) => {
        let total = 0;
        for (const counts of countsOf(rule, values && rowOf(rule, values))) {
          if (values === undefined) total += await usage.resetAll(counts.limit, counts.keyPrefix, call);
          else await usage.reset(countedAs(rule, counts, values), call);
        }
        return values === undefined ? total : 1;
      });
      const meant = values && keysOf(rule, values);
      const share = divided.reset(rule.id, (each) => meant?.has(each) !== false);
      log.info({ who, rule: rule.id, key: shown, keys, ...(share > 0 && { divided: share }) }, "a limit was reset");
      return { keys, divided: share };
    },

    async grant({ rule, shown, who }, key, extra, span) {
      const values = valuesOf(rule, key);
      const keys = keysOf(rule, values);
      const proxies = divided.of(rule.id).filter((count) => keys.has(count.key) && count.proxies.length > 0);
      if (proxies.length > 0)
        throw new WeirError(
          "WEIR_NOT_SUPPORTED",
          `this key of ${rule.id} is divided among proxies, which keep to their parts by themselves: raise the limit`,
        );
      const nowMs = now();
      const untilMs = extra === 0 ? nowMs : grantEnd(span, rule.limit, nowMs);
      await askUsage(rule, async (usage, call) => {
        for (const counts of countsOf(rule, rowOf(rule, values)))
          await usage.grant(countedAs(rule, counts, values), extra, untilMs, call);
      });
      const until = new Date(untilMs).toISOString();
      log.info({ who, rule: rule.id, key: shown, extra, until }, "units were granted beyond a limit");
      return untilMs;
    },
  };
}

function limitsOf({ checks }: Snapshot): LimitRule[] {
  return checks.filter((rule) => rule.kind === "limit");
}

function fullText(limit: Limit): string {
  return limit.burst === limit.amount ? limitText(limit) : `${limitText(limit)}, burst ${limit.burst}`;
}
