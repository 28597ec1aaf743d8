import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import { formatValue } from "../../attributes/text.ts";
import type { Value } from "../../attributes/value.ts";
import type { LimitRule } from "../../policy/snapshot.ts";
import type { Limit, TableRow } from "../../sdk/index.ts";
import type { CheckContext } from "../judgement.ts";
import { tellFault } from "../judgement.ts";
import { limitKeyPrefix } from "./limit-key.ts";

/**
 * A limit, and what its keys begin with. Two limits of one rule share their counts exactly where they count in the same
 * window: what was spent under one amount stays spent under the other.
 */
export interface KeyedLimit {
  readonly limit: Limit;
  readonly keyPrefix: string;
}

/** The limit that a request is charged to, where its rule has more than one. */
export type LimitChoice = (bag: Bag, context: Pick<CheckContext, "observer" | "log">) => KeyedLimit;

export function keyedLimit(rule: Pick<LimitRule, "by">, limit: Limit): KeyedLimit {
  const keyPrefix = limitKeyPrefix({ limit, by: rule.by });
  return { limit: { ...limit, keyPrefix }, keyPrefix };
}

/**
 * The choice among the overrides of a rule and its own limit: the first override whose `when` holds. Absence does not
 * hold. Where it cannot be said whether one holds, the least limit is taken of that one and those after it: nobody gets
 * a larger limit by garbage.
 */
export function chooseOverride(rule: LimitRule, own: KeyedLimit): LimitChoice | undefined {
  if (rule.overrides === undefined) return undefined;
  const overrides = rule.overrides.map(({ when, limit }) => ({ when: when.evaluate, ...keyedLimit(rule, limit) }));
  const least: KeyedLimit[] = [];
  let lesser = own;
  for (let i = overrides.length - 1; i >= 0; i--) {
    const override = overrides[i]!;
    lesser = isLess(override.limit, lesser.limit) ? override : lesser;
    least[i] = lesser;
  }
  return (bag, context) => {
    for (let i = 0; i < overrides.length; i++) {
      const override = overrides[i]!;
      const held = override.when(bag);
      if (held === true) return override;
      if (!(held instanceof Fault)) continue;
      tellFault(context, rule, "overrides", held);
      return least[i]!;
    }
    return own;
  };
}

/** Whether one lets less through than the other: by its rate, then by what it lets through at once. */
function isLess(one: Limit, other: Limit): boolean {
  const difference = one.amount / one.windowMs - other.amount / other.windowMs;
  return difference === 0 ? one.burst < other.burst : difference < 0;
}

/** What a table says of a key. */
export type TableLookup = (key: string) => TableRow | undefined;

/**
 * The choice of a rule with a table: the row of its key, where there is one and it can be used, else what holds without
 * the table. A row of another kind of window than the rule's is counted as a fault and told once.
 */
export function chooseFromTable(rule: LimitRule, lookup: TableLookup, otherwise: LimitChoice): LimitChoice {
  const { evaluate } = rule.table!.key;
  const limits = new WeakMap<TableRow, KeyedLimit | "unfit">();
  return (bag, context) => {
    const value = evaluate(bag) as Value | undefined | Fault;
    if (value === undefined) return otherwise(bag, context);
    if (value instanceof Fault) {
      tellFault(context, rule, "table", value);
      return otherwise(bag, context);
    }
    const row = lookup(typeof value === "string" ? value : formatValue(value));
    if (row === undefined) return otherwise(bag, context);
    let limit = limits.get(row);
    if (limit === undefined) {
      const found = rowLimit(rule.limit, row);
      limits.set(row, (limit = found === undefined ? "unfit" : keyedLimit(rule, found)));
      if (limit === "unfit") {
        context.observer.ruleFault(rule.id, "table", "fault");
        const { amount, windowMs, calendar, burst } = row;
        const fields = { rule: rule.id, table: rule.table!.from, row: { amount, windowMs, calendar, burst } };
        context.log.warn(fields, `a row of a table does not fit a ${rule.limit.algorithm}: the rule's own limit holds`);
      }
    }
    return limit === "unfit" ? otherwise(bag, context) : limit;
  };
}

/** The limit that a row says, counted as the rule does; `undefined` where it does not fit. */
export function rowLimit(own: Limit, { amount, windowMs, calendar, burst }: TableRow): Limit | undefined {
  const { algorithm } = own;
  if ((calendar !== undefined) !== (algorithm === "calendar")) return undefined;
  if ((windowMs === 0) !== (algorithm === "concurrency")) return undefined;
  if (burst !== undefined && algorithm !== "token-bucket") return undefined;
  return {
    ...own,
    amount,
    windowMs: windowMs === 0 ? own.windowMs : windowMs,
    burst: burst ?? amount,
    ...(calendar === undefined ? {} : { calendar: { unit: calendar, zone: own.calendar!.zone } }),
  };
}
