import type { Reads } from "../attributes/bag.ts";
import type { LimitRule } from "../policy/snapshot.ts";
import type { Charge, Grant } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import type { AdapterCalls } from "./adapter-call.ts";
import { Failure } from "./failure.ts";

/** A charge that a decision wants to make, and what became of it. */
export interface Wish {
  readonly rule: LimitRule;
  readonly charge: Charge;
  /** For a limit that the caller named: the name it used, and what was read for it. */
  readonly name?: string;
  readonly reads?: Reads;
  /** The adapter's answer; the failure, where `onError` answers for it; `undefined` when it was not asked any more. */
  answer?: Grant | Failure | undefined;
  /** Whether the answer is not the one of the limit's own store. */
  degraded: boolean;
}

/** Wishes that go to one adapter in one call. */
interface Batch {
  readonly calls: AdapterCalls;
  readonly wishes: Wish[];
}

/** Whether a wish came to nothing. */
export function isRefused({ rule, answer }: Wish): boolean {
  if (answer instanceof Failure) return rule.onError === "deny";
  return answer !== undefined && !answer.allowed;
}

/**
 * Charges several limits, all or nothing. Limits of one adapter go into one call, which the adapter keeps whole by
 * itself. Adapters are asked one after the other; when one refuses, those after it are not asked and those before it
 * give back what they granted. Adapters that cannot give back are asked last. So never more is admitted than the limits
 * allow; for a moment, and for good where several adapters cannot give back, less may be.
 *
 * A limit with `onError: local` whose adapter fails is charged to `fallback` instead.
 */
export function chargeAll(
  wishes: readonly Wish[],
  callsOf: (adapter: string) => AdapterCalls,
  fallback: AdapterCalls,
  observer: Observer,
  deadlineMs: number | undefined,
): void | Promise<void> {
  const batches: Batch[] = [];
  let last: Batch | undefined;
  for (const wish of wishes) {
    const calls = callsOf(wish.rule.via);
    if (last?.calls !== calls) last = batches.find((known) => known.calls === calls);
    if (last === undefined) batches.push((last = { calls, wishes: [wish] }));
    else last.wishes.push(wish);
  }
  if (batches.length > 1) batches.sort((a, b) => Number(b.calls.canRefund) - Number(a.calls.canRefund));
  return next(0);

  function next(from: number): void | Promise<void> {
    for (let i = from; i < batches.length; i++) {
      const { calls, wishes: asked } = batches[i]!;
      const charges: Charge[] = [];
      for (const { charge } of asked) charges.push(charge);
      const answer = calls.quota(charges, deadlineMs);
      if (answer instanceof Promise) return answer.then((grants) => (settle(i, grants) ? next(i + 1) : undefined));
      if (!settle(i, answer)) return;
    }
  }

  /** Notes the answer to a batch. `false` when the decision is to refuse: what was granted before is given back. */
  function settle(at: number, answer: readonly Grant[] | Failure): boolean {
    const { calls, wishes: asked } = batches[at]!;
    if (!(answer instanceof Failure)) for (let i = 0; i < asked.length; i++) asked[i]!.answer = answer[i]!;
    else {
      const local: Wish[] = [];
      for (const wish of asked) {
        wish.degraded = true;
        if (wish.rule.onError === "local" && calls !== fallback) local.push(wish);
        else wish.answer = answer;
      }
      if (local.length > 0) batches.splice(at + 1, 0, { calls: fallback, wishes: local });
    }
    if (!asked.some(isRefused)) return true;
    // A batch that an adapter refused has spent nothing. Where a failure refuses, nothing is known to be spent.
    for (const { calls: earlier, wishes: granted } of batches.slice(0, at)) giveBack(earlier, granted, observer);
    return false;
  }
}

/** Gives back what was granted, and notes that nothing of it is taken any more. */
function giveBack(calls: AdapterCalls, wishes: readonly Wish[], observer: Observer): void {
  const taken: Charge[] = [];
  for (const wish of wishes) {
    const { answer, charge } = wish;
    if (answer === undefined || answer instanceof Failure || !answer.allowed || answer.granted === 0) continue;
    if (answer.repeated !== true) taken.push({ ...charge, amount: answer.granted });
    wish.answer = {
      ...answer,
      granted: 0,
      remaining: calls.canRefund ? answer.remaining + answer.granted : answer.remaining,
    };
  }
  if (taken.length === 0) return;
  if (!calls.canRefund) observer.dropped("refund", "not_supported", taken.length);
  else void calls.refund(taken);
}
