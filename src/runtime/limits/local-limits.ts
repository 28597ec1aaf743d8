import type { LimitRule } from "../../policy/snapshot.ts";
import type { Charge, Grant, Instance } from "../../sdk/index.ts";
import type { AdapterCalls } from "../adapter-call.ts";
import { LocalPayments } from "./local-payments.ts";
import type { LocalPaymentsOptions } from "./local-payments.ts";
import { localShare } from "./local-share.ts";

export interface LocalLimitsOptions extends Omit<LocalPaymentsOptions, "standing"> {
  /** The instance that counts here. It answers at once. */
  readonly instance: Instance;
  readonly calls: AdapterCalls;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
}

/**
 * The limits with `onError: local` as this hub counts them by itself.
 *
 * While the store answers, what it grants is counted here too. So when it goes away, this hub goes on from what it has
 * spent, by its share of the limit. What it lets through from then on is owed to the store, and is charged there before
 * anything else of that count when the store is back: neither is it forgotten, nor does a burst get through.
 */
export class LocalLimits {
  readonly calls: AdapterCalls;
  readonly monotonic: () => number;
  readonly #instance: Instance;
  readonly #payments: LocalPayments;

  constructor(options: LocalLimitsOptions) {
    this.calls = options.calls;
    this.monotonic = options.monotonic;
    this.#instance = options.instance;
    this.#payments = new LocalPayments({
      ...options,
      standing: (limit, key) => this.#ask({ limit, key, amount: 0, bestEffort: true }),
    });
  }

  /** Whether any store is owed anything. */
  get isOwed(): boolean {
    return this.#payments.isOwed;
  }

  /** A charge as it is made here. */
  chargeOf(calls: AdapterCalls, rule: LimitRule, charge: Charge): Charge {
    const part = rule.share ?? 1 / (calls.peers ?? 1);
    return part >= 1 ? charge : { ...charge, limit: localShare(charge.limit, part) };
  }

  /** Counts what a store has granted. What is above this hub's share is not counted: it may use its share anew. */
  note(calls: AdapterCalls, rule: LimitRule, charge: Charge, grant: Grant): void {
    if (!isSpent(charge, grant)) return;
    const { limit, key } = this.chargeOf(calls, rule, charge);
    this.#ask({ limit, key, amount: grant.granted, bestEffort: true });
  }

  /** Says that what a store had granted was given back. */
  unnote(calls: AdapterCalls, rule: LimitRule, charge: Charge): void {
    if (!isCounted(charge)) return;
    const { limit, key, amount } = this.chargeOf(calls, rule, charge);
    void this.#instance.refund?.([{ limit, key, amount, bestEffort: false }], { signal: never });
  }

  /** Says that a charge which `calls` did not answer was granted here: the store is owed it. */
  owe(calls: AdapterCalls, charge: Charge, local: Charge, grant: Grant): void {
    if (isSpent(charge, grant)) this.#payments.owe(calls, charge, local.limit, grant);
  }

  /** Says that what was granted here was given back. */
  forgive(calls: AdapterCalls, key: string, units: number): void {
    this.#payments.forgive(calls, key, units);
  }

  /**
   * To be called before a store is asked: what it is owed of that count goes first. `false` when not all of it could be
   * sent, so that the store is not to be asked yet.
   */
  payFirst(calls: AdapterCalls, key: string): boolean {
    return this.#payments.payFirst(calls, key);
  }

  /** Forgets what a store is owed that nobody asks any more. */
  forget(calls: AdapterCalls): void {
    this.#payments.forget(calls);
  }

  close(): void {
    this.#payments.close();
  }

  /** Asks the instance that counts here, past the metrics of calls: nobody asked for this. */
  #ask(charge: Charge): Grant {
    return (this.#instance.quota!([charge], { signal: never }) as readonly Grant[])[0]!;
  }
}

const never = new AbortController().signal;

function isSpent(charge: Charge, { allowed, granted, repeated }: Grant): boolean {
  return allowed && granted > 0 && repeated !== true && isCounted(charge);
}

/** What is at work at once is not counted twice: it ends by itself. */
function isCounted({ limit }: Charge): boolean {
  return limit.algorithm !== "concurrency";
}
