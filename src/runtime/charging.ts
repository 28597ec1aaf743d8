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
  readonly wishes: readonly Wish[];
}

/** The batches of a decision, in the order in which they are charged. */
interface Charging {
  readonly batches: Batch[];
  readonly fallback: AdapterCalls;
  readonly observer: Observer;
  readonly deadlineMs: number | undefined;
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
  if (wishes.length === 0) return;
  return chargeFrom(0, { batches: batchesOf(wishes, callsOf), fallback, observer, deadlineMs });
}

/** Most decisions need one adapter: their wishes are one batch as they are. */
function batchesOf(wishes: readonly Wish[], callsOf: (adapter: string) => AdapterCalls): Batch[] {
  const { via } = wishes[0]!.rule;
  let isOne = true;
  for (let i = 1; i < wishes.length; i++) isOne &&= wishes[i]!.rule.via === via;
  if (isOne) return [{ calls: callsOf(via), wishes }];
  const byCalls = new Map<AdapterCalls, Wish[]>();
  for (const wish of wishes) {
    const calls = callsOf(wish.rule.via);
    const known = byCalls.get(calls);
    if (known === undefined) byCalls.set(calls, [wish]);
    else known.push(wish);
  }
  const batches = Array.from(byCalls, ([calls, asked]) => ({ calls, wishes: asked }));
  return batches.sort((a, b) => Number(b.calls.canRefund) - Number(a.calls.canRefund));
}

function chargeFrom(from: number, charging: Charging): void | Promise<void> {
  const { batches, deadlineMs } = charging;
  for (let i = from; i < batches.length; i++) {
    const { calls, wishes } = batches[i]!;
    const answer = calls.quota(wishes.map(chargeOf), deadlineMs);
    if (answer instanceof Promise)
      return answer.then((grants) => (settle(i, grants, charging) ? chargeFrom(i + 1, charging) : undefined));
    if (!settle(i, answer, charging)) return;
  }
}

function chargeOf({ charge }: Wish): Charge {
  return charge;
}

/** Notes the answer to a batch. `false` when the decision is to refuse: what was granted before is given back. */
function settle(at: number, answer: readonly Grant[] | Failure, { batches, fallback, observer }: Charging): boolean {
  const { calls, wishes } = batches[at]!;
  if (!(answer instanceof Failure)) for (let i = 0; i < wishes.length; i++) wishes[i]!.answer = answer[i]!;
  else {
    const local: Wish[] = [];
    for (const wish of wishes) {
      wish.degraded = true;
      if (wish.rule.onError === "local" && calls !== fallback) local.push(wish);
      else wish.answer = answer;
    }
    if (local.length > 0) batches.splice(at + 1, 0, { calls: fallback, wishes: local });
  }
  if (!wishes.some(isRefused)) return true;
  // A batch that an adapter refused has spent nothing. Where a failure refuses, nothing is known to be spent.
  for (const { calls: earlier, wishes: granted } of batches.slice(0, at)) giveBack(earlier, granted, observer);
  return false;
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
