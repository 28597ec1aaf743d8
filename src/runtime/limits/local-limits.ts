import type { LimitRule } from "../../policy/snapshot.ts";
import type { Charge, Grant, Instance, Log } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Timers } from "../../util/timers.ts";
import type { AdapterCalls } from "../adapter-call.ts";
import { Failure } from "../failure.ts";
import { beginDebt, dueUnits, joined } from "./local-debt.ts";
import type { LocalDebt } from "./local-debt.ts";
import { localShare } from "./local-share.ts";

export interface LocalLimitsOptions {
  /** The instance that counts here. It answers at once. */
  readonly instance: Instance;
  readonly calls: AdapterCalls;
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
  readonly timers: Timers;
  /** An id that was never used before. */
  readonly nextId: () => string;
  /** The most counts for which a store may be owed, over all stores. Default 100,000. */
  readonly maxDebts?: number;
}

/** How long after a store failed it is tried whether it takes what it is owed, again and again. */
const retryMs = 1000;

/** How many payments are under way at once. */
const atOnce = 50;

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
  readonly #options: LocalLimitsOptions;
  readonly #maxDebts: number;
  /** By store, then by the key of the count. */
  readonly #owed = new Map<AdapterCalls, Map<string, LocalDebt>>();
  #debts = 0;
  #cancel: (() => void) | undefined;
  #paying = false;

  constructor(options: LocalLimitsOptions) {
    this.#options = options;
    this.calls = options.calls;
    this.monotonic = options.monotonic;
    this.#maxDebts = options.maxDebts ?? 100_000;
  }

  /** Whether any store is owed anything. */
  get isOwed(): boolean {
    return this.#debts > 0;
  }

  /** A charge as it is made here. */
  chargeOf(calls: AdapterCalls, rule: LimitRule, charge: Charge): Charge {
    const part = rule.share ?? 1 / (calls.peers ?? 1);
    return part >= 1 ? charge : { ...charge, limit: localShare(charge.limit, part) };
  }

  /** Counts what a store has granted. What is above this hub's share is not counted: it may use its share anew. */
  note(calls: AdapterCalls, rule: LimitRule, charge: Charge, grant: Grant): void {
    if (!grant.allowed || grant.granted === 0 || grant.repeated === true || !isCounted(charge)) return;
    const { limit, key } = this.chargeOf(calls, rule, charge);
    this.#ask({ limit, key, amount: grant.granted, bestEffort: true });
  }

  /** Says that what a store had granted was given back. */
  unnote(calls: AdapterCalls, rule: LimitRule, charge: Charge): void {
    if (!isCounted(charge)) return;
    const { limit, key, amount } = this.chargeOf(calls, rule, charge);
    void this.#options.instance.refund?.([{ limit, key, amount, bestEffort: false }], { signal: never });
  }

  /** Says that a charge which `calls` did not answer was granted here: the store is owed it. */
  owe(calls: AdapterCalls, charge: Charge, local: Charge, grant: Grant): void {
    if (!grant.allowed || grant.granted === 0 || grant.repeated === true || !isCounted(charge)) return;
    const { observer, now, nextId } = this.#options;
    let owed = this.#owed.get(calls);
    const known = owed?.get(charge.key);
    if (known !== undefined) {
      known.units += grant.granted;
      known.id = nextId();
    } else if (this.#debts >= this.#maxDebts) {
      observer.dropped("local_units", "too_many", 1);
      return;
    } else {
      if (owed === undefined) this.#owed.set(calls, (owed = new Map()));
      owed.set(charge.key, beginDebt(charge, local.limit, grant, now(), nextId()));
      this.#debts++;
    }
    this.#tryLater();
  }

  /** Says that what was granted here was given back. */
  forgive(calls: AdapterCalls, key: string, units: number): void {
    const debt = this.#owed.get(calls)?.get(key);
    if (debt === undefined) return;
    debt.units -= units;
    if (debt.units <= 0) this.#take(calls, debt);
  }

  /** To be called before a store is asked: what it is owed of that count goes first. */
  payFirst(calls: AdapterCalls, key: string): void {
    const debt = this.#owed.get(calls)?.get(key);
    if (debt !== undefined && !calls.isLeftAlone) void this.#pay(calls, debt);
  }

  /** Forgets what a store is owed that nobody asks any more. */
  forget(calls: AdapterCalls): void {
    const owed = this.#owed.get(calls);
    if (owed === undefined) return;
    this.#owed.delete(calls);
    this.#debts -= owed.size;
    this.#options.observer.dropped("local_units", "closed", owed.size);
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #tryLater(): void {
    if (this.#paying) return;
    this.#cancel ??= this.#options.timers.after(retryMs, () => {
      this.#cancel = undefined;
      this.#paying = true;
      void this.#payAll().finally(() => {
        this.#paying = false;
        if (this.#debts > 0) this.#tryLater();
      });
    });
  }

  async #payAll(): Promise<void> {
    await Promise.all(
      [...this.#owed.keys()].map(async (calls) => {
        let paid = 0;
        // The first alone: it tells whether the store is there.
        for (let many = 1; ; many = atOnce) {
          const debts = firstOf(this.#owed.get(calls), many);
          if (debts.length === 0) break;
          const done = await Promise.all(debts.map((debt) => this.#pay(calls, debt)));
          paid += done.filter(Boolean).length;
          if (done.includes(false)) break;
        }
        const log = this.#options.log;
        if (paid > 0)
          log.info({ adapter: calls.name, counts: paid }, "the store was charged what was let through without it");
      }),
    );
  }

  /** Charges a store what it is owed of one count. `false` when it does not answer: it is owed that still. */
  #pay(calls: AdapterCalls, debt: LocalDebt): boolean | Promise<boolean> {
    const { limit, key, group, share, id } = debt;
    this.#take(calls, debt);
    const [standing] = this.#ask({ limit: share, key, amount: 0, bestEffort: true });
    const amount = dueUnits(debt, standing!, this.#options.now());
    if (amount <= 0) return true;
    const charge: Charge = { limit, key, amount, bestEffort: true, spent: true, dedupId: id };
    const answer = calls.quota([group === undefined ? charge : { ...charge, group }]);
    return answer instanceof Promise
      ? answer.then((given) => this.#paid(calls, debt, given))
      : this.#paid(calls, debt, answer);
  }

  #paid(calls: AdapterCalls, debt: LocalDebt, answer: readonly Grant[] | Failure): boolean | Promise<boolean> {
    if (!(answer instanceof Failure)) return true;
    // A store that is slow may have counted it all the same, and is not sent it again before that is known.
    const late = answer.late as Promise<readonly Grant[] | Failure> | undefined;
    if (late !== undefined) {
      void late.then((given) => {
        if (given instanceof Failure) this.#oweAgain(calls, debt);
      });
    } else this.#oweAgain(calls, debt);
    return false;
  }

  #oweAgain(calls: AdapterCalls, debt: LocalDebt): void {
    let owed = this.#owed.get(calls);
    if (owed === undefined) this.#owed.set(calls, (owed = new Map()));
    const other = owed.get(debt.key);
    if (other === undefined) this.#debts++;
    owed.set(debt.key, other === undefined ? debt : joined(debt, other, this.#options.nextId()));
    this.#tryLater();
  }

  #take(calls: AdapterCalls, debt: LocalDebt): void {
    const owed = this.#owed.get(calls);
    if (owed?.get(debt.key) !== debt) return;
    owed.delete(debt.key);
    this.#debts--;
    if (owed.size === 0) this.#owed.delete(calls);
  }

  /** Asks the instance that counts here, past the metrics of calls: nobody asked for this. */
  #ask(charge: Charge): readonly Grant[] {
    return this.#options.instance.quota!([charge], { signal: never }) as readonly Grant[];
  }
}

const never = new AbortController().signal;

/** What is at work at once is not counted twice: it ends by itself. */
function isCounted({ limit }: Charge): boolean {
  return limit.algorithm !== "concurrency";
}

function firstOf(owed: ReadonlyMap<string, LocalDebt> | undefined, many: number): LocalDebt[] {
  const debts: LocalDebt[] = [];
  for (const debt of owed?.values() ?? []) {
    if (debts.length === many) break;
    debts.push(debt);
  }
  return debts;
}
