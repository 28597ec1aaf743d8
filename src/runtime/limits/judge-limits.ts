import type { Bag } from "../../attributes/bag.ts";
import type { LimitRule } from "../../policy/snapshot.ts";
import { applies, excused, matches } from "../applies.ts";
import { chargeAll, isRefused } from "./charging.ts";
import type { Wish } from "./charging.ts";
import type { LimitState } from "../decision.ts";
import { Failure } from "../failure.ts";
import { tellFault } from "../judgement.ts";
import type { CheckContext, Judgement } from "../judgement.ts";
import type { KeyedLimit } from "./limit-choice.ts";
import type { LimitNames } from "./limit-names.ts";
import { chargeOf, costOf, countOf, groupedCharge, heldCharge, limitText } from "./limit-wishes.ts";
import type { PreparedRule } from "../prepared-rule.ts";
import { codes, unanswered } from "../refusal.ts";
import { usableMs } from "./windows.ts";

/** A limit that the caller did not name is charged its cost, if it applies. */
export function wishUnnamed(judgement: Judgement, limit: PreparedRule): void {
  const { bag, asked, context } = judgement;
  const rule = limit.rule as LimitRule;
  const answer = limitApplies(context, limit, bag);
  if (answer === false) return;
  if (answer === "unknown") {
    judgement.takePart(limit);
    judgement.refuse(rule, codes.unavailable, unanswered(rule));
    return;
  }
  const { limit: chosen, keyPrefix } = chosenLimit(limit, bag, context);
  const key = countOf(rule, keyPrefix, bag, context.observer);
  judgement.validity.none();
  const cost = costOf(rule, bag, context.observer);
  if (cost === undefined) {
    judgement.refuse(rule, codes.resourceExhausted, withoutCost(rule));
  } else if (judgement.refusals === undefined) {
    const wanted = groupedCharge(chargeOf(chosen, key, cost, false, asked, ""), rule, bag);
    const charge = rule.holdMs === undefined ? wanted : heldCharge(wanted, rule.holdMs, judgement.id);
    (judgement.wishes ??= []).push({ rule, charge, degraded: false });
  }
}

/** The limits that the caller named are charged the amounts that it asked for; the outcome of each is its own. */
export function wishNamed(judgement: Judgement, names: LimitNames): void {
  const { bag, before, asked, context } = judgement;
  const quotas = judgement.quotas!;
  for (const [name, { amount, bestEffort }] of asked.quotas!) {
    bag.restoreReads(before!);
    const answer = (code: number, message: string, granted: number): void => {
      const validForMs = granted > 0 ? context.snapshot.settings.check.validForMs : 0;
      quotas.set(name, { granted, validForMs, code, message, reads: bag.reads() });
    };
    const named = names.get(name);
    if (named === undefined) {
      answer(codes.notFound, `no limit is called ${JSON.stringify(name.slice(0, 100))}`, 0);
    } else if (named === "ambiguous") {
      answer(codes.invalidArgument, `more than one limit is called ${name}: name it as policy/rule`, 0);
    } else if (!(amount >= 0) || amount === Infinity) {
      answer(codes.invalidArgument, `expected an amount of 0 or more for ${name}, got ${amount}`, 0);
    } else {
      const { limits, trials } = named;
      wishNamedLimits(judgement, limits, { name, amount, bestEffort }, answer);
      for (const trial of trials) wishNamedLimits(judgement, trial, { name, amount, bestEffort });
    }
  }
}

/** What a caller asks of a limit by name. */
interface Wanted {
  readonly name: string;
  readonly amount: number;
  readonly bestEffort: boolean;
}

type Answer = (code: number, message: string, granted: number) => void;

/** The wishes for a limit that the caller named, and for its levels. Without `answer` it is only tried out. */
function wishNamedLimits(judgement: Judgement, all: readonly PreparedRule[], wanted: Wanted, answer?: Answer): void {
  // Levels that each gave what they have left would not give the same.
  const bestEffort = wanted.bestEffort && all.length === 1;
  for (const limit of all) wishNamedLimit(judgement, limit, { ...wanted, bestEffort }, answer);
}

function wishNamedLimit(
  judgement: Judgement,
  limit: PreparedRule,
  { name, amount, bestEffort }: Wanted,
  answer: Answer | undefined,
): void {
  const { bag, asked, context } = judgement;
  const rule = limit.rule as LimitRule;
  const held = limitApplies(context, limit, bag);
  if (held === true) {
    const { limit: chosen, keyPrefix } = chosenLimit(limit, bag, context);
    const key = countOf(rule, keyPrefix, bag, context.observer);
    const wanted = groupedCharge(chargeOf(chosen, key, amount, bestEffort, asked, name), rule, bag);
    const charge = rule.holdMs === undefined || amount === 0 ? wanted : heldCharge(wanted, rule.holdMs, judgement.id);
    (judgement.wishes ??= []).push(
      answer === undefined
        ? { rule, charge, degraded: false }
        : { rule, charge, name, reads: bag.reads(), degraded: false },
    );
  } else if (held === false) answer?.(codes.ok, "", amount);
  else {
    const observes = rule.policy.mode === "observe";
    context.observer.refusal(rule.id, rule.policy.mode);
    if (observes) (judgement.observed ??= []).push(rule);
    if (observes) answer?.(codes.ok, "", amount);
    else answer?.(codes.unavailable, unanswered(rule), 0);
  }
}

/** The limit of a rule that a request is charged to. */
export function chosenLimit({ ownLimit, chooseLimit }: PreparedRule, bag: Bag, context: CheckContext): KeyedLimit {
  return chooseLimit === undefined ? ownLimit! : chooseLimit(bag, context);
}

/** Whether a limit applies: `unknown` when that cannot be said and its `onError` refuses. */
export function limitApplies(context: CheckContext, limit: PreparedRule, bag: Bag): boolean | "unknown" {
  const rule = limit.rule as LimitRule;
  const answer = applies(limit, matches(limit, bag), bag);
  if (answer === false) return false;
  context.use.applied[rule.ordinal]!++;
  if (answer !== true) tellFault(context, rule, "when", answer);
  if (excused(limit, bag, context.observer)) return false;
  if (answer === true) return true;
  // `local` is for a store that is down. Here the store is there and only `when` is not known: the limit is charged.
  return rule.onError === "local" ? true : rule.onError === "deny" ? "unknown" : false;
}

/** Charges what is enforced, all or nothing; then, if that was granted, what observes, each limit by itself. */
export function charge(judgement: Judgement, wishes: readonly Wish[]): void | Promise<void> {
  const observing = wishes.filter(({ rule }) => rule.policy.mode === "observe");
  const enforced = observing.length === 0 ? wishes : wishes.filter(({ rule }) => rule.policy.mode === "enforce");
  const { context, asked } = judgement;
  const charged = chargeAll(enforced, context, asked, asked.trace);
  return charged instanceof Promise ? charged.then(() => observe()) : observe();

  function observe(): void | Promise<void> {
    settle(judgement, enforced);
    if (observing.length === 0 || enforced.some(isRefused)) return;
    const pending = observing
      .map((wish) => chargeAll([wish], context, asked, asked.trace))
      .filter((taken) => taken instanceof Promise);
    if (pending.length > 0) return Promise.all(pending).then(() => settle(judgement, observing));
    settle(judgement, observing);
  }
}

/** Makes of the adapters' answers what the decision says of them. */
function settle(judgement: Judgement, wishes: readonly Wish[]): void {
  const refusing = wishes.find(isRefused);
  for (const wish of wishes) {
    if (wish.degraded && wish.rule.policy.mode === "enforce") judgement.validity.none();
    if (wish.name !== undefined) settleNamed(judgement, wish, refusing);
    else if (isRefused(wish)) judgement.refuse(wish.rule, ...refusalOf(wish));
  }
}

function settleNamed(judgement: Judgement, wish: Wish, refusing: Wish | undefined): void {
  const { context } = judgement;
  const quotas = judgement.quotas!;
  const { rule, answer, charge: wanted } = wish;
  const name = wish.name!;
  const reads = wish.reads!;
  const refused = isRefused(wish);
  if (refused) context.observer.refusal(rule.id, rule.policy.mode);
  // Of a limit and its levels, the one that refuses answers.
  if (!refused && refusing !== undefined && refusing.name === name) return;
  if (rule.policy.mode === "observe") {
    if (refused) (judgement.observed ??= []).push(rule);
    const validForMs = context.snapshot.settings.check.validForMs;
    quotas.set(name, { granted: wanted.amount, validForMs, code: codes.ok, message: "", reads });
  } else if (refusing !== undefined) {
    const other = `nothing was taken, because ${refusing.rule.id} refused`;
    const [code, message] = refused ? refusalOf(wish) : [codes.resourceExhausted, other];
    quotas.set(name, { granted: 0, validForMs: 0, code, message, reads });
  } else if (answer instanceof Failure || answer === undefined) {
    const validForMs = context.snapshot.settings.check.validForMs;
    quotas.set(name, { granted: wanted.amount, validForMs, code: codes.ok, message: "", reads });
  } else {
    const validForMs = usableMs(wanted.limit, answer, context.now());
    quotas.set(name, { granted: answer.granted, validForMs, code: codes.ok, message: "", reads });
  }
}

/** Code and message of a wish that was refused. */
export function refusalOf({ rule, answer, charge }: Wish): [code: number, message: string] {
  if (answer instanceof Failure) return [codes.unavailable, rule.message ?? unanswered(rule)];
  return [codes.resourceExhausted, rule.message ?? `${rule.id}: the limit of ${limitText(charge.limit)} is used up`];
}

/** What is said when the cost of a request cannot be computed. */
export function withoutCost(rule: LimitRule): string {
  return rule.message ?? `${rule.id}: the cost cannot be computed`;
}

/** Where the enforced limits stand, in the order of their rules. */
export function limitStates(wishes: readonly Wish[]): readonly LimitState[] {
  const judged = wishes.filter(({ rule, answer }) => answer !== undefined && rule.policy.mode === "enforce");
  if (judged.length > 1) judged.sort((a, b) => a.rule.ordinal - b.rule.ordinal);
  return judged.map(limitState);
}

/** Where the limit of a wish stands. */
export function limitState(wish: Wish): LimitState {
  const { rule, answer, charge, degraded } = wish;
  const known = answer instanceof Failure || answer === undefined ? unknown : answer;
  const state: { -readonly [K in keyof LimitState]: LimitState[K] } = {
    rule: rule.id,
    allowed: !isRefused(wish),
    amount: charge.limit.amount,
    windowMs: charge.limit.windowMs,
    remaining: known.remaining,
    resetMs: known.resetMs,
  };
  // What is at work may end at any time: when leases run out says nothing to somebody who waits.
  if (charge.limit.algorithm === "concurrency") state.concurrent = true;
  else if (known.retryAfterMs !== undefined) state.retryAfterMs = known.retryAfterMs;
  if (degraded) state.degraded = true;
  return state;
}

/** What is said of a limit whose store did not answer. */
const unknown: Pick<LimitState, "remaining" | "resetMs" | "retryAfterMs"> = { remaining: 0, resetMs: 0 };
