import type { Charge } from "../../sdk/index.ts";
import type { CallTime } from "../adapter-call.ts";
import { Failure } from "../failure.ts";
import type { CheckContext } from "../judgement.ts";
import type { RateLimitAsked } from "../rate-limit-decision.ts";
import { chargeAll, isRefused } from "./charging.ts";
import type { Wish } from "./charging.ts";
import type { DescriptorWish } from "./descriptor-wish.ts";

/** What the descriptors of one request want to be charged. */
export interface DescriptorCharges {
  readonly context: CheckContext;
  readonly asked: RateLimitAsked;
  readonly enforced: readonly DescriptorWish[];
  /** Wishes of limits that only observe; `undefined` where there are none. */
  readonly observing: readonly DescriptorWish[] | undefined;
  /** When charging begins, where that is known; where its end is not told, it is when the wishes are answered. */
  readonly time: CallTime | undefined;
}

const nothing: readonly never[] = [];

/**
 * Charges the descriptors of a request: enforced limits, all or nothing unless each is to be charged by itself; then, if
 * they granted, what is given back and what observes. The wishes are answered when it returns, or its promise resolves.
 */
export function chargeDescriptors(charges: DescriptorCharges): void | Promise<void> {
  const { asked, enforced, observing } = charges;
  const isPlain = observing === undefined && asked.each !== true && arePlain(enforced);
  if (!isPlain) return chargeInSteps(charges);
  if (enforced.length === 0) return undefined;
  const taken = take(charges, enforced, charges.time);
  return taken instanceof Promise ? taken.then(() => lookAtUnasked(charges)) : lookAtUnasked(charges);
}

function chargeInSteps(charges: DescriptorCharges): void | Promise<void> {
  const { enforced, observing = nothing } = charges;
  const each = charges.asked.each === true;
  const isRefusing = (): boolean => !each && enforced.some(isRefused);
  const takes = enforced.filter(isPlainWish);
  return inTurn([
    () => (isRefusing() ? undefined : each ? takeEach(charges, takes) : take(charges, takes)),
    () => (each && enforced.some(isRefused) ? endLeases(charges, takes) : undefined),
    () => (isRefusing() ? undefined : giveBack(charges, enforced)),
    () => lookAtUnasked(charges),
    () => (isRefusing() ? undefined : takeEach(charges, observing.filter(isPlainWish))),
    () => (isRefusing() ? undefined : giveBack(charges, observing)),
  ]);
}

function take({ context, asked }: DescriptorCharges, wishes: readonly Wish[], time?: CallTime): void | Promise<void> {
  return chargeAll(wishes, context, asked.deadline, asked.trace, time);
}

/** Charges each by itself. One that was granted less than it wanted is over its limit, and what was left is spent. */
function takeEach(charges: DescriptorCharges, wishes: readonly DescriptorWish[]): void | Promise<void> {
  return inTurn(
    wishes.map(
      (wish) => () =>
        thenDo(take(charges, [wish]), () => {
          const { answer, charge } = wish;
          if (answer === undefined || answer instanceof Failure || !answer.allowed) return;
          if (answer.granted < charge.amount) wish.answer = { ...answer, allowed: false };
        }),
    ),
  );
}

/** A request that is refused is not at work, whatever others of its limits have granted. */
function endLeases({ context }: DescriptorCharges, wishes: readonly DescriptorWish[]): void | Promise<void> {
  const leases = wishes.filter(
    ({ charge: { hold, limit } }) => hold !== undefined && limit.algorithm === "concurrency",
  );
  return inTurn(
    leases.map(({ rule, charge, answer, degraded }) => () => {
      if (answer === undefined || answer instanceof Failure || answer.granted === 0 || answer.repeated === true) return;
      const calls = degraded ? context.fallback : context.callsOf(rule.via);
      return calls.refund([{ ...charge, amount: answer.granted }]);
    }),
  );
}

/** Gives back what is to be given back, and looks where the limits stand then. It refuses nothing. */
function giveBack(charges: DescriptorCharges, all: readonly DescriptorWish[]): void | Promise<void> {
  const wishes = all.filter(({ giveBack: amount, refusal }) => amount > 0 && refusal === undefined);
  if (wishes.length === 0) return undefined;
  return inTurn([
    ...wishes.map(({ rule, charge, giveBack: amount }) => () => {
      return charges.context.callsOf(rule.via).refund([{ ...charge, amount }]);
    }),
    () => look(charges, wishes),
  ]);
}

/** Looks where those limits stand that were not asked, because another one refused before. */
function lookAtUnasked(charges: DescriptorCharges): void | Promise<void> {
  const { enforced } = charges;
  if (areAnswered(enforced)) return undefined;
  const unasked = enforced.filter(({ answer }) => answer === undefined);
  return look(charges, unasked);
}

/** Asks limits where they stand and takes nothing. What does not answer is not known. */
function look(charges: DescriptorCharges, wishes: readonly DescriptorWish[]): void | Promise<void> {
  const looks: Wish[] = wishes.map(({ rule, charge }) => ({ rule, charge: asking(charge), degraded: false }));
  return thenDo(take(charges, looks), () => {
    for (const [i, { answer, degraded }] of looks.entries()) {
      const wish = wishes[i]!;
      if (answer !== undefined && !(answer instanceof Failure)) wish.answer = answer;
      wish.degraded ||= degraded;
    }
  });
}

function areAnswered(wishes: readonly Wish[]): boolean {
  for (let i = 0; i < wishes.length; i++) if (wishes[i]!.answer === undefined) return false;
  return true;
}

function arePlain(wishes: readonly DescriptorWish[]): boolean {
  for (let i = 0; i < wishes.length; i++) if (!isPlainWish(wishes[i]!)) return false;
  return true;
}

function isPlainWish({ giveBack: amount, answer }: DescriptorWish): boolean {
  return amount === 0 && answer === undefined;
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
