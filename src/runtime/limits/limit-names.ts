import type { LimitRule } from "../../policy/snapshot.ts";
import type { PreparedRule } from "../prepared-rule.ts";

/** The limit that a name stands for, with its levels. */
export interface NamedLimit {
  readonly limits: readonly PreparedRule[];
  /** Those of the same short name that observe, each with its levels: they are tried out with what is asked, and answer nothing. */
  readonly trials: readonly (readonly PreparedRule[])[];
}

/** Limits by the names that callers may use. */
export type LimitNames = ReadonlyMap<string, NamedLimit | "ambiguous">;

/**
 * `policy/rule`, and `rule` where it is the only limit of that name: the limit and its levels, which cannot be named by
 * themselves, so that nobody takes of a part what the whole does not allow. An enforced limit keeps its short name
 * whatever observes beside it: trying a policy out must not change what callers are granted.
 */
export function limitNames(rules: readonly PreparedRule[]): LimitNames {
  const all = new Map<LimitRule, PreparedRule[]>();
  for (const prepared of rules) {
    const rule = prepared.rule;
    if (rule.kind !== "limit" || rule.at !== "check") continue;
    listOf(all, rule.top ?? rule).push(prepared);
  }
  const bearers = new Map<string, LimitRule[]>();
  for (const top of all.keys()) listOf(bearers, top.name).push(top);

  const names = new Map<string, NamedLimit | "ambiguous">();
  for (const [name, tops] of bearers) {
    const enforced = tops.filter((top) => top.policy.mode === "enforce");
    const [only, ...others] = enforced.length === 0 ? tops : enforced;
    const trials = enforced.length === 0 ? [] : tops.filter((top) => top.policy.mode === "observe");
    const named = { limits: all.get(only!)!, trials: trials.map((top) => all.get(top)!) };
    names.set(name, others.length > 0 ? "ambiguous" : named);
  }
  for (const [{ id }, limits] of all) names.set(id, { limits, trials: [] });
  return names;
}

function listOf<K, V>(lists: Map<K, V[]>, key: K): V[] {
  const known = lists.get(key);
  if (known !== undefined) return known;
  const list: V[] = [];
  lists.set(key, list);
  return list;
}
