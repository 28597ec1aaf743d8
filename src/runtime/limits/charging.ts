import type { Reads } from "../../attributes/bag.ts";
import type { LimitRule } from "../../policy/snapshot.ts";
import type { Charge, Grant } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { AdapterCalls, CallTime, Deadline } from "../adapter-call.ts";
import type { CallTrace } from "../call-trace.ts";
import { Failure } from "../failure.ts";
import type { CheckContext } from "../judgement.ts";
import type { LocalLimits } from "./local-limits.ts";

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
  /** Where the store of these wishes did not answer and they are charged here: that store, and the charges. */
  readonly local?: { readonly store: AdapterCalls; readonly charges: readonly Charge[] };
}

/** What a decision says to the calls that it makes. */
interface Asking {
  readonly deadline: Deadline | undefined;
  readonly trace: CallTrace | undefined;
}

/** The batches of a decision, in the order in which they are charged. */
interface Charging {
  readonly batches: Batch[];
  readonly local: LocalLimits;
  readonly observer: Observer;
  readonly asking: Asking;
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
 * What they took is counted as use of their rules.
 *
 * A limit with `onError: local` whose adapter fails is charged here instead, to `local`.
 *
 * @param time when charging begins; it ends when the last adapter has answered
 */
export function chargeAll(
  wishes: readonly Wish[],
  context: CheckContext,
  deadline: Deadline | undefined,
  trace: CallTrace | undefined,
  time?: CallTime,
): void | Promise<void> {
  const { use } = context;
  const charged = chargeInTurn(wishes, context, deadline, trace, time);
  return charged instanceof Promise ? charged.then(() => use.charged(wishes)) : use.charged(wishes);
}

function chargeInTurn(
  wishes: readonly Wish[],
  { callsOf, local, observer }: CheckContext,
  deadline: Deadline | undefined,
  trace: CallTrace | undefined,
  time: CallTime | undefined,
): void | Promise<void> {
  if (wishes.length === 0) return;
  const { via } = wishes[0]!.rule;
  if (!areAllOf(wishes, via)) {
    const batches = batchesOf(wishes, callsOf);
    return chargeFrom(0, { batches, local, observer, asking: { deadline, trace } });
  }
  // Most decisions need one adapter, and most of those answer at once and are not to be charged anywhere else then.
  const calls = callsOf(via);
  const answer = ask(calls, wishes, local, deadline, trace, undefined, time);
  const isAnswered = !(answer instanceof Promise || answer instanceof Failure);
  if (isAnswered) return granted(calls, wishes, answer, local);
  return goOn(0, answer, { batches: [{ calls, wishes }], local, observer, asking: { deadline, trace } });
}

function areAllOf(wishes: readonly Wish[], via: string): boolean {
  for (let i = 1; i < wishes.length; i++) if (wishes[i]!.rule.via !== via) return false;
  return true;
}

function batchesOf(wishes: readonly Wish[], callsOf: (adapter: string) => AdapterCalls): Batch[] {
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
  if (from === charging.batches.length) return;
  const { calls, wishes, local } = charging.batches[from]!;
  const { deadline, trace } = charging.asking;
  return goOn(from, ask(calls, wishes, charging.local, deadline, trace, local?.charges), charging);
}

/** Takes the answer to a batch, and charges the next ones. */
function goOn(
  at: number,
  answer: readonly Grant[] | Failure | Promise<readonly Grant[] | Failure>,
  charging: Charging,
): void | Promise<void> {
  if (answer instanceof Promise) return answer.then((grants) => goOn(at, grants, charging));
  if (settle(at, answer, charging)) return chargeFrom(at + 1, charging);
}

function ask(
  calls: AdapterCalls,
  wishes: readonly Wish[],
  local: LocalLimits,
  deadline: Deadline | undefined,
  trace: CallTrace | undefined,
  charges?: readonly Charge[],
  time?: CallTime,
): readonly Grant[] | Failure | Promise<readonly Grant[] | Failure> {
  // A store that may not know of what it is owed would grant too much.
  if (local.isOwed && !payFirst(calls, wishes, local)) return new Failure("busy");
  return calls.quota(charges ?? chargesOf(wishes), deadline, trace, time);
}

function chargesOf(wishes: readonly Wish[]): readonly Charge[] {
  const charges = new Array<Charge>(wishes.length);
  for (let i = 0; i < wishes.length; i++) charges[i] = wishes[i]!.charge;
  return charges;
}

/** What a store is owed of these counts goes before what is asked of it now. `false` where some of it cannot go yet. */
function payFirst(calls: AdapterCalls, wishes: readonly Wish[], local: LocalLimits): boolean {
  let isSent = true;
  for (const { rule, charge } of wishes)
    if (rule.onError === "local") isSent = local.payFirst(calls, charge.key) && isSent;
  return isSent;
}

/** Notes the answer to a batch. `false` when the decision is to refuse: what was granted before is given back. */
function settle(at: number, answer: readonly Grant[] | Failure, charging: Charging): boolean {
  const { batches } = charging;
  const batch = batches[at]!;
  if (answer instanceof Failure) failed(at, answer, charging);
  else granted(batch.calls, batch.wishes, answer, charging.local, batch.local);
  if (!batch.wishes.some(isRefused)) return true;
  // A batch that an adapter refused has spent nothing. What a late answer says was spent is given back then.
  for (const earlier of batches.slice(0, at)) giveBack(earlier, charging);
  return false;
}

function granted(
  calls: AdapterCalls,
  wishes: readonly Wish[],
  grants: readonly Grant[],
  here: LocalLimits,
  local?: Batch["local"],
): void {
  for (let i = 0; i < wishes.length; i++) {
    const { rule, charge } = wishes[i]!;
    const grant = grants[i]!;
    wishes[i]!.answer = grant;
    if (rule.onError !== "local") continue;
    if (local === undefined) here.note(calls, rule, charge, grant);
    else here.owe(local.store, charge, local.charges[i]!, grant);
  }
}

function failed(at: number, failure: Failure, { batches, local, observer }: Charging): void {
  const { calls, wishes, local: isLocal } = batches[at]!;
  const here: Wish[] = [];
  for (const wish of wishes) {
    wish.degraded = true;
    if (isLocal === undefined) observer.limitDegraded(wish.rule.id, failure.kind);
    if (wish.rule.onError === "local" && isLocal === undefined) here.push(wish);
    else wish.answer = failure;
  }
  if (here.length > 0) {
    const charges = here.map(({ rule, charge }) => local.chargeOf(calls, rule, charge));
    batches.splice(at + 1, 0, { calls: local.calls, wishes: here, local: { store: calls, charges } });
  }
  if (failure.late !== undefined) void giveBackLate(calls, wishes, failure.late, local.monotonic);
}

/** Gives back what a store granted after nobody waited for it any more, unless the request was let through by that. */
async function giveBackLate(
  calls: AdapterCalls,
  wishes: readonly Wish[],
  late: Promise<unknown>,
  monotonic: () => number,
): Promise<void> {
  const askedMs = monotonic();
  const grants = (await late) as readonly Grant[] | Failure;
  if (grants instanceof Failure || !calls.canRefund) return;
  const taken: Charge[] = [];
  for (const [i, { rule, charge }] of wishes.entries()) {
    const amount = rule.onError === "allow" ? 0 : stillCounted(charge, grants[i]!, monotonic() - askedMs);
    if (amount > 0) taken.push({ ...charge, amount });
  }
  if (taken.length > 0) await calls.refund(taken);
}

/**
 * How much of a grant certainly counts still, a while later: to give back more would take it from what others spent. Of a
 * sliding window, which forgets step by step, that is nothing.
 */
function stillCounted({ limit }: Charge, { allowed, granted, repeated, resetMs }: Grant, passedMs: number): number {
  if (!allowed || repeated === true) return 0;
  switch (limit.algorithm) {
    case "token-bucket":
      return Math.max(0, Math.floor(granted - (passedMs * limit.amount) / limit.windowMs));
    case "fixed-window":
    case "calendar":
      return passedMs < resetMs ? granted : 0;
    case "sliding-window":
      return 0;
    case "concurrency":
      return granted;
  }
}

/** Gives back what was granted, and notes that nothing of it is taken any more. */
function giveBack({ calls, wishes, local }: Batch, { observer, local: here }: Charging): void {
  const taken: Charge[] = [];
  for (const [i, wish] of wishes.entries()) {
    const { answer, rule, charge } = wish;
    if (answer === undefined || answer instanceof Failure || !answer.allowed || answer.granted === 0) continue;
    if (answer.repeated !== true) {
      const spent = { ...(local?.charges[i] ?? charge), amount: answer.granted };
      taken.push(spent);
      if (local !== undefined) here.forgive(local.store, charge.key, answer.granted);
      else if (rule.onError === "local") here.unnote(calls, rule, { ...charge, amount: answer.granted });
    }
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
