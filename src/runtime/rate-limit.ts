import type { Bag } from "../attributes/bag.ts";
import { completionOf } from "../attributes/derived.ts";
import type { Layout } from "../attributes/layout.ts";
import type { CheckRule, LimitRule } from "../policy/snapshot.ts";
import type { Charge, Grant, Limit } from "../sdk/index.ts";
import { chargeAll, isRefused } from "./limits/charging.ts";
import type { Wish } from "./limits/charging.ts";
import type { LimitState } from "./decision.ts";
import { Failure } from "./failure.ts";
import { chosenLimit, limitApplies, limitState, refusalOf, withoutCost } from "./limits/judge-limits.ts";
import { nested } from "./adapter-call.ts";
import type { Tracer } from "./decision-trace.ts";
import type { CheckContext } from "./judgement.ts";
import { overrideMark } from "./limits/holds.ts";
import { keyedLimit } from "./limits/limit-choice.ts";
import { costOf, countOf, groupedCharge, heldCharge } from "./limits/limit-wishes.ts";
import { prepareRule } from "./prepared-rule.ts";
import type { PreparedRule } from "./prepared-rule.ts";
import type {
  DescriptorAsked,
  DescriptorOutcome,
  LimitOverride,
  RateLimitAsked,
  RateLimitDecision,
  RateLimitJudgement,
} from "./rate-limit-decision.ts";
import { codes, messageOf, sortRefusals, unanswered } from "./refusal.ts";
import type { Refusal } from "./refusal.ts";
import { RuleIndex } from "./rule-index.ts";

/** Begins to judge one request of a rate limit door. */
export type RateLimit = (asked: RateLimitAsked) => RateLimitJudgement;

/** A limit of the rate limit doors, with what must be there for it to apply. */
interface DescriptorLimit {
  readonly prepared: PreparedRule;
  /** Slots that `match`, `when` and `by` read without a test for their absence. */
  readonly needs: Int32Array;
}

/** A wish of one descriptor. */
interface DescriptorWish extends Wish {
  /** Its position in the request. */
  readonly descriptor: number;
  /** Units to be given back; its charge then takes nothing. */
  readonly giveBack: number;
  /** Set where the limit refuses before anything is charged. */
  readonly refusal: readonly [code: number, message: string] | undefined;
}

const nothing: readonly never[] = [];
const allowedWithoutLimit: DescriptorOutcome = { allowed: true, limits: nothing };
const refusedByFault: DescriptorOutcome = { allowed: false, limits: nothing };

/** Prepares the limits of a snapshot that the rate limit doors charge. */
export function createRateLimit(context: CheckContext): RateLimit {
  const { snapshot } = context;
  const rules = snapshot.checks.filter(isAtRateLimit);
  const index = new RuleIndex(rules);
  const limits: DescriptorLimit[] = [];
  for (const rule of rules) {
    limits[rule.ordinal] = {
      prepared: prepareRule(rule, snapshot, context.tables),
      needs: needsOf(rule, snapshot.layout),
    };
  }
  const complete = completionOf(snapshot.layout);
  const judging: RateLimit = (asked) => new Judging(context, index, limits, complete, asked);
  const { tracer } = context;
  return tracer === undefined ? judging : (asked) => traced(judging, tracer, asked);
}

/** Judges, and tells of it where it is to be traced. */
function traced(judging: RateLimit, tracer: Tracer, asked: RateLimitAsked): RateLimitJudgement {
  const trace = tracer.begin(asked.carrier, undefined);
  if (trace === undefined) return judging(asked);
  const judgement = judging({ ...asked, trace: nested(asked.trace, trace) });
  const ended = (decision: RateLimitDecision): RateLimitDecision => {
    trace.end("rate limit", decision);
    return decision;
  };
  return {
    add: (bag, descriptor) => judgement.add(bag, descriptor),
    decide() {
      const decision = judgement.decide();
      return decision instanceof Promise ? decision.then(ended) : ended(decision);
    },
  };
}

class Judging implements RateLimitJudgement {
  readonly #context: CheckContext;
  readonly #index: RuleIndex;
  /** By the ordinals of their rules. */
  readonly #limits: readonly DescriptorLimit[];
  readonly #complete: ((bag: Bag) => void) | undefined;
  readonly #asked: RateLimitAsked;
  readonly #start: number;
  readonly #enforced: DescriptorWish[] = [];
  #observing: DescriptorWish[] | undefined;
  #descriptors = 0;
  #id: string | undefined;
  /** When limits were charged; `undefined` where none applies. */
  #chargeStart: number | undefined;
  #isBroken = false;

  constructor(
    context: CheckContext,
    index: RuleIndex,
    limits: readonly DescriptorLimit[],
    complete: ((bag: Bag) => void) | undefined,
    asked: RateLimitAsked,
  ) {
    this.#context = context;
    this.#index = index;
    this.#limits = limits;
    this.#complete = complete;
    this.#asked = asked;
    this.#start = context.monotonic();
  }

  add(bag: Bag, asked: DescriptorAsked): void {
    const descriptor = this.#descriptors++;
    try {
      this.#complete?.(bag);
      const count = this.#index.find(bag);
      const { found } = this.#index;
      for (let i = 0; i < count; i++) {
        const limit = this.#limits[found[i]!]!;
        if (!isThere(bag, limit.needs)) continue;
        const wish = this.#wishOf(descriptor, limit.prepared, bag, asked);
        if (wish === undefined) continue;
        if (limit.prepared.enforced) this.#enforced.push(wish);
        else (this.#observing ??= []).push(wish);
      }
    } catch (error) {
      this.#broken(error);
    }
  }

  decide(): RateLimitDecision | Promise<RateLimitDecision> {
    if (this.#isBroken) return this.#refuseAll();
    try {
      const charged = this.#charge();
      if (!(charged instanceof Promise)) return this.#decision();
      return charged
        .then(() => this.#decision())
        .catch((error: unknown) => {
          this.#broken(error);
          return this.#refuseAll();
        });
    } catch (error) {
      this.#broken(error);
      return this.#refuseAll();
    }
  }

  /** What a limit wants of a descriptor; `undefined` where it does not apply. */
  #wishOf(
    descriptor: number,
    prepared: PreparedRule,
    bag: Bag,
    { hits, override }: DescriptorAsked,
  ): DescriptorWish | undefined {
    const context = this.#context;
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
    const plain = this.#chargeOf(limit, key, giveBack > 0 || wanted === undefined ? 0 : wanted, hits === 0);
    const charge = groupedCharge(plain, rule, bag);
    const isHeld = rule.holdMs !== undefined && giveBack === 0 && hits !== 0;
    const wish: DescriptorWish = {
      rule,
      charge: isHeld ? heldCharge(charge, rule.holdMs, (this.#id ??= context.nextId())) : charge,
      descriptor,
      giveBack,
      refusal,
      answer: undefined,
      degraded: false,
    };
    // No adapter is asked to count by an amount of 0.
    if (refusal !== undefined || (limit.amount === 0 && giveBack === 0)) wish.answer = refused(limit);
    return wish;
  }

  #chargeOf(limit: Limit, key: string, amount: number, asksOnly: boolean): Charge {
    if (asksOnly) return { limit, key, amount, atLeast: 1, bestEffort: false };
    return { limit, key, amount, bestEffort: this.#asked.each === true };
  }

  /** Enforced limits, then, if they granted, what is given back and what observes. */
  #charge(): void | Promise<void> {
    const enforced = this.#enforced;
    if (enforced.length > 0 || this.#observing !== undefined) this.#chargeStart = this.#context.monotonic();
    const isPlain = this.#observing === undefined && this.#asked.each !== true && enforced.every(isPlainWish);
    if (!isPlain) return this.#chargeInSteps();
    return enforced.length === 0 ? undefined : thenDo(this.#take(enforced), () => this.#lookAtUnasked());
  }

  #chargeInSteps(): void | Promise<void> {
    const enforced = this.#enforced;
    const observing = this.#observing ?? nothing;
    const each = this.#asked.each === true;
    const isRefusing = (): boolean => !each && enforced.some(isRefused);
    const takes = enforced.filter(isPlainWish);
    return inTurn([
      () => (isRefusing() ? undefined : each ? this.#takeEach(takes) : this.#take(takes)),
      () => (each && enforced.some(isRefused) ? this.#endLeases(takes) : undefined),
      () => (isRefusing() ? undefined : this.#giveBack(enforced)),
      () => this.#lookAtUnasked(),
      () => (isRefusing() ? undefined : this.#takeEach(observing.filter(isPlainWish))),
      () => (isRefusing() ? undefined : this.#giveBack(observing)),
    ]);
  }

  #take(wishes: readonly Wish[]): void | Promise<void> {
    const { callsOf, local, observer, use } = this.#context;
    const charged = chargeAll(wishes, callsOf, local, observer, this.#asked.deadlineMs, this.#asked.trace);
    return thenDo(charged, () => use.charged(wishes));
  }

  /** Charges each by itself. One that was granted less than it wanted is over its limit, and what was left is spent. */
  #takeEach(wishes: readonly DescriptorWish[]): void | Promise<void> {
    return inTurn(
      wishes.map(
        (wish) => () =>
          thenDo(this.#take([wish]), () => {
            const { answer, charge } = wish;
            if (answer === undefined || answer instanceof Failure || !answer.allowed) return;
            if (answer.granted < charge.amount) wish.answer = { ...answer, allowed: false };
          }),
      ),
    );
  }

  /** A request that is refused is not at work, whatever others of its limits have granted. */
  #endLeases(wishes: readonly DescriptorWish[]): void | Promise<void> {
    const leases = wishes.filter(
      ({ charge: { hold, limit } }) => hold !== undefined && limit.algorithm === "concurrency",
    );
    return inTurn(
      leases.map(({ rule, charge, answer, degraded }) => () => {
        if (answer === undefined || answer instanceof Failure || answer.granted === 0 || answer.repeated === true)
          return;
        const calls = degraded ? this.#context.fallback : this.#context.callsOf(rule.via);
        return calls.refund([{ ...charge, amount: answer.granted }]);
      }),
    );
  }

  /** Gives back what is to be given back, and looks where the limits stand then. It refuses nothing. */
  #giveBack(all: readonly DescriptorWish[]): void | Promise<void> {
    const wishes = all.filter(({ giveBack, refusal }) => giveBack > 0 && refusal === undefined);
    if (wishes.length === 0) return undefined;
    return inTurn([
      ...wishes.map(({ rule, charge, giveBack }) => () => {
        return this.#context.callsOf(rule.via).refund([{ ...charge, amount: giveBack }]);
      }),
      () => this.#look(wishes),
    ]);
  }

  /** Looks where those limits stand that were not asked, because another one refused before. */
  #lookAtUnasked(): void | Promise<void> {
    if (this.#enforced.every(({ answer }) => answer !== undefined)) return undefined;
    return this.#look(this.#enforced.filter(({ answer }) => answer === undefined));
  }

  /** Asks limits where they stand and takes nothing. What does not answer is not known. */
  #look(wishes: readonly DescriptorWish[]): void | Promise<void> {
    const looks: Wish[] = wishes.map(({ rule, charge }) => ({
      rule,
      charge: asking(charge),
      degraded: false,
    }));
    return thenDo(this.#take(looks), () => {
      for (const [i, { answer, degraded }] of looks.entries()) {
        const wish = wishes[i]!;
        if (answer !== undefined && !(answer instanceof Failure)) wish.answer = answer;
        wish.degraded ||= degraded;
      }
    });
  }

  #decision(): RateLimitDecision {
    const { snapshot, observer, nextId, monotonic } = this.#context;
    const wishes = this.#enforced;
    const descriptors = new Array<DescriptorOutcome>(this.#descriptors);
    let refusals: Refusal[] | undefined;
    // Wishes stand in the order of their descriptors.
    for (let descriptor = 0, i = 0; descriptor < this.#descriptors; descriptor++) {
      let limits: LimitState[] | undefined;
      let allowed = true;
      for (; wishes[i]?.descriptor === descriptor; i++) {
        const wish = wishes[i]!;
        const state = limitState(wish);
        // Most descriptors have one limit: a list of one is smaller than one that grew.
        if (limits === undefined) limits = [state];
        else limits.push(state);
        if (state.allowed) continue;
        allowed = false;
        refusals = this.#withRefusal(refusals, wish);
      }
      descriptors[descriptor] = limits === undefined ? allowedWithoutLimit : { allowed, limits };
    }
    const observed = this.#observing === undefined ? nothing : this.#observedRules(this.#observing);
    if (refusals !== undefined) sortRefusals(refusals);
    const first = refusals?.[0];
    const allowed = first === undefined;
    const end = monotonic();
    const limitsMs = this.#chargeStart === undefined ? undefined : end - this.#chargeStart;
    observer.decision(allowed, end - this.#start, undefined, limitsMs);
    const decision: RateLimitDecision = {
      id: this.#id ?? nextId(),
      version: snapshot.version,
      allowed,
      code: allowed ? codes.ok : first.code,
      message: refusals === undefined ? "" : messageOf(refusals),
      rules: refusals?.map(({ rule }) => rule.id) ?? nothing,
      observed,
      descriptors,
    };
    return first?.rule.http === undefined ? decision : { ...decision, http: first.rule.http };
  }

  /** Adds what a wish that was refused says, once for each rule. */
  #withRefusal(refusals: Refusal[] = [], wish: DescriptorWish): Refusal[] {
    const { rule } = wish;
    this.#context.observer.refusal(rule.id, "enforce");
    if (refusals.some((known) => known.rule === rule)) return refusals;
    const [code, message] = wish.refusal ?? refusalOf(wish);
    refusals.push({ rule, code, message });
    return refusals;
  }

  /** The rules that would have refused, each once, in order. */
  #observedRules(wishes: readonly DescriptorWish[]): readonly string[] {
    const rules = new Set<CheckRule>();
    for (const wish of wishes) {
      if (!isRefused(wish)) continue;
      this.#context.observer.refusal(wish.rule.id, "observe");
      rules.add(wish.rule);
    }
    return [...rules].sort((a, b) => a.ordinal - b.ordinal).map(({ id }) => id);
  }

  #broken(error: unknown): void {
    this.#isBroken = true;
    this.#context.log.error({ code: "WEIR_INTERNAL", err: error }, "a request could not be judged");
  }

  /** What is answered when something in here is wrong. Never a pass. */
  #refuseAll(): RateLimitDecision {
    const { snapshot, observer, nextId } = this.#context;
    observer.decision(false, 0);
    return {
      id: nextId(),
      version: snapshot.version,
      allowed: false,
      code: codes.unavailable,
      message: "the request could not be judged",
      rules: nothing,
      observed: nothing,
      descriptors: Array.from({ length: this.#descriptors }, () => refusedByFault),
    };
  }
}

export function isAtRateLimit(rule: CheckRule): rule is LimitRule {
  return rule.kind === "limit" && rule.at === "ratelimit";
}

/** The slots that must hold something for a limit to apply. What an expression tests with `has()` may be absent. */
export function needsOf({ policy, when, by }: LimitRule, layout: Layout): Int32Array {
  const needs = new Set<number>();
  for (const expression of [policy.match, when, ...by.map(({ value }) => value)]) {
    for (const { name, key, guarded } of expression?.uses ?? nothing) {
      const slot = key === undefined ? layout.find(name) : layout.keysOf(name)?.get(key);
      if (!guarded && slot !== undefined) needs.add(slot);
    }
  }
  return Int32Array.from(needs);
}

export function isThere(bag: Bag, slots: Int32Array): boolean {
  for (let i = 0; i < slots.length; i++) if (bag.peek(slots[i]!) === undefined) return false;
  return true;
}

function isPlainWish({ giveBack, answer }: DescriptorWish): boolean {
  return giveBack === 0 && answer === undefined;
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

/** A charge of 0 of the same count. */
function asking({ limit, key, group }: Charge): Charge {
  const charge = { limit, key, amount: 0, bestEffort: false };
  return group === undefined ? charge : { ...charge, group };
}

type Step = () => void | Promise<void>;

/** Does one step after the other, and waits only for those that have to be waited for. */
function inTurn(steps: readonly Step[], from = 0): void | Promise<void> {
  for (let i = from; i < steps.length; i++) {
    const pending = steps[i]!();
    if (pending instanceof Promise) return pending.then(() => inTurn(steps, i + 1));
  }
}

function thenDo(pending: void | Promise<void>, next: Step): void | Promise<void> {
  return pending instanceof Promise ? pending.then(next) : next();
}
