import type { Bag } from "../../attributes/bag.ts";
import type { LimitRule } from "../../policy/snapshot.ts";
import type { Charge, Grant, Limit } from "../../sdk/index.ts";
import type { DecisionId } from "../decision-id.ts";
import type { CheckContext } from "../judgement.ts";
import type { PreparedRule } from "../prepared-rule.ts";
import type { DescriptorAsked, LimitOverride } from "../rate-limit-decision.ts";
import { codes, unanswered } from "../refusal.ts";
import type { Wish } from "./charging.ts";
import { overrideMark } from "./holds.ts";
import { chosenLimit, limitApplies, withoutCost } from "./judge-limits.ts";
import { keyedLimit } from "./limit-choice.ts";
import { costOf, countOf, groupedCharge, heldCharge } from "./limit-wishes.ts";
import type { ChargeDraft } from "./limit-wishes.ts";

/** A wish of one descriptor. */
export interface DescriptorWish extends Wish {
  /** Its position in the request. */
  readonly descriptor: number;
  /** Units to be given back; its charge then takes nothing. */
  readonly giveBack: number;
  /** Set where the limit refuses before anything is charged. */
  readonly refusal: readonly [code: number, message: string] | undefined;
}

/** The request that a wish is of. */
export interface DescriptorsOf {
  readonly context: CheckContext;
  /** Whether each limit is charged by itself, of what is left. */
  readonly each: boolean;
  /** The decision's id. */
  id(): DecisionId;
}

/** What a limit wants of a descriptor, which is at this position of its request; `undefined` where it does not apply. */
export function descriptorWish(
  request: DescriptorsOf,
  descriptor: number,
  prepared: PreparedRule,
  bag: Bag,
  { hits, override }: DescriptorAsked,
): DescriptorWish | undefined {
  const { context } = request;
  const { observer } = context;
  const rule = prepared.rule as LimitRule;
  const applies = limitApplies(context, prepared, bag);
  if (applies === false) return undefined;
  const { limit, keyPrefix } =
    override === undefined ? chosenLimit(prepared, bag, context) : keyedLimit(rule, overridden(rule.limit, override));
  const key = countOf(rule, keyPrefix, bag, observer);
  const wanted = hits ?? costOf(rule, bag, observer);
  let refusal: DescriptorWish["refusal"];
  if (applies === "unknown") refusal = [codes.unavailable, unanswered(rule)];
  else if (wanted === undefined) refusal = [codes.resourceExhausted, withoutCost(rule)];
  const giveBack = wanted !== undefined && wanted < 0 ? -wanted : 0;
  const amount = giveBack > 0 || wanted === undefined ? 0 : wanted;
  const plain: ChargeDraft =
    hits === 0
      ? { limit, key, amount, atLeast: 1, bestEffort: false }
      : { limit, key, amount, bestEffort: request.each };
  const charge = groupedCharge(plain, rule, bag);
  const isHeld = rule.holdMs !== undefined && giveBack === 0 && hits !== 0;
  return {
    rule,
    charge: isHeld ? heldCharge(charge, rule.holdMs, request.id().text) : charge,
    descriptor,
    giveBack,
    refusal,
    // No adapter is asked to count by an amount of 0.
    answer: refusal !== undefined || (limit.amount === 0 && giveBack === 0) ? refused(limit) : undefined,
    degraded: false,
  };
}

/** The wish for a charge that is asked of its adapter. */
export function plainWish(rule: LimitRule, charge: Charge, descriptor: number): DescriptorWish {
  return { rule, charge, descriptor, giveBack: 0, refusal: undefined, answer: undefined, degraded: false };
}

/** A limit by another amount and window. Its counts are its own: nobody can refill a limit by asking with a larger one. */
function overridden(limit: Limit, { amount, windowMs }: LimitOverride): Limit {
  const algorithm = limit.algorithm === "calendar" ? "fixed-window" : limit.algorithm;
  const id = limit.id + overrideMark;
  return { id, algorithm, amount, windowMs: algorithm === "concurrency" ? limit.windowMs : windowMs, burst: amount };
}

function refused({ windowMs }: Limit): Grant {
  return { allowed: false, granted: 0, remaining: 0, resetMs: windowMs, validForMs: 0 };
}
