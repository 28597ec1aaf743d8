import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { Value } from "../../attributes/value.ts";
import type { LimitRule } from "../../policy/snapshot.ts";
import type { Charge, Limit } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Asked } from "../decision.ts";
import { boundedKey, chargeId, keyOf, keyWith, limitKeyPrefix } from "./limit-key.ts";

/** Whose count a request is charged to. */
export function countOf(rule: LimitRule, prefix: string, bag: Bag, observer: Observer): string {
  let key = prefix;
  for (const { value } of rule.by) {
    const held = value.evaluate(bag) as Value | undefined | Fault;
    // What cannot be computed is one count for all such requests: nobody gets past a limit by garbage.
    if (held === undefined) observer.ruleFault(rule.id, "by", "absence");
    else if (held instanceof Fault) observer.ruleFault(rule.id, "by", "fault");
    key = keyWith(key, held);
  }
  return boundedKey(prefix, key);
}

/** What keys of limits with levels begin with. */
const prefixes = new WeakMap<LimitRule, string>();

/**
 * What the counts of a limit and of its levels share, by the values that its keys begin with: those of the top's `by:`.
 * `undefined` for a limit that is no level.
 */
export function groupOf({ top }: LimitRule, valueOf: (part: number) => Value | undefined | Fault): string | undefined {
  if (top === undefined) return undefined;
  let prefix = prefixes.get(top);
  if (prefix === undefined) prefixes.set(top, (prefix = limitKeyPrefix(top)));
  return keyOf(
    prefix,
    top.by.map((_, part) => valueOf(part)),
  );
}

/**
 * A charge that is being made. What some charges have beside others is added to it and not by `{ ...charge }`: V8 gives
 * each object that is made so a shape of its own, which makes every access to it slow.
 */
export type ChargeDraft = { -readonly [K in keyof Charge]: Charge[K] };

/** A charge of a level lies where its top is counted: that is added. */
export function groupedCharge(charge: ChargeDraft, rule: LimitRule, bag: Bag): ChargeDraft {
  const { top } = rule;
  if (top === undefined) return charge;
  charge.group = groupOf(rule, (part) => top.by[part]!.value.evaluate(bag) as Value | undefined | Fault)!;
  return charge;
}

/** What a request costs that does not say an amount itself; `undefined` when that cannot be said, or is below 0. */
export function costOf(rule: LimitRule, bag: Bag, observer: Observer): number | undefined {
  if (rule.cost === undefined) return 1;
  const held = rule.cost.evaluate(bag);
  if (held === undefined || held instanceof Fault) {
    observer.ruleFault(rule.id, "cost", held === undefined ? "absence" : "fault");
    return undefined;
  }
  const cost = Number(held);
  if (cost >= 0) return cost;
  observer.ruleFault(rule.id, "cost", "fault");
  return undefined;
}

/** The charge itself. `name` is the one that the caller used, if it named the limit. */
export function chargeOf(
  limit: Limit,
  key: string,
  amount: number,
  bestEffort: boolean,
  asked: Asked,
  name: string,
): ChargeDraft {
  if (asked.dedupId === undefined || asked.dedupId === "") return { limit, key, amount, bestEffort };
  return { limit, key, amount, bestEffort, dedupId: chargeId(asked.dedupId, asked.caller ?? "", key, name) };
}

/** Adds to a charge of a rule that it is to be held under the decision's id. A question takes nothing to be held. */
export function heldCharge(charge: ChargeDraft, forMs: number, id: string): Charge {
  charge.hold = { id, forMs };
  return charge;
}

/** How a limit is said to people: `500 in 1 s`. */
export function limitText({ algorithm, windowMs, amount, calendar }: Limit): string {
  if (algorithm === "concurrency") return `${amount} at once`;
  if (calendar !== undefined) return `${amount}/${calendar.unit}`;
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
  ] as const;
  const unit = units.find(([, ms]) => windowMs % ms === 0);
  if (unit === undefined) return `${amount}/${windowMs}ms`;
  const count = windowMs / unit[1];
  return `${amount}/${count === 1 ? "" : count}${unit[0]}`;
}
