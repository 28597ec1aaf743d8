import type { Charge, Grant, Limit, Log } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Timers } from "../../util/timers.ts";
import type { AdapterCalls } from "../adapter-call.ts";
import { Failure } from "../failure.ts";
import { beginDebt, dueUnits } from "./local-debt.ts";
import type { LocalDebt } from "./local-debt.ts";

export interface LocalPaymentsOptions {
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly timers: Timers;
  /** An id that was never used before. */
  readonly nextId: () => string;
  /** The most counts for which a store may be owed, over all stores. Default 100,000. */
  readonly maxDebts?: number;
  /** How a count stands here, by this hub's share of its limit. */
  readonly standing: (share: Limit, key: string) => Grant;
}

/** How long after a store failed it is tried whether it takes what it is owed, again and again. */
const retryMs = 1000;

/** How many counts are paid at once. */
const atOnce = 50;

/** How many payments of one count may be without an answer. Beyond that, a store is not asked for that count. */
const maxUnanswered = 4;

/** What became of a debt: charged, of no account any more when it was looked at, or owed still. */
type Paid = "charged" | "nothing" | "owed";

/** What a store is owed of one count, the earliest first. Only the last may still grow. */
interface Account {
  readonly key: string;
  readonly debts: LocalDebt[];
}

/**
 * What stores are owed for what was let through without them, until they say that they have counted it.
 *
 * A payment that was sent is sent again under its own id and never with more units, so that it counts once, whether its
 * answer was lost or it never arrived. What is let through meanwhile is a payment of its own.
 */
export class LocalPayments {
  readonly #options: LocalPaymentsOptions;
  readonly #maxDebts: number;
  /** By store, then by the key of the count. */
  readonly #owed = new Map<AdapterCalls, Map<string, Account>>();
  #accounts = 0;
  #cancel: (() => void) | undefined;
  #paying = false;

  constructor(options: LocalPaymentsOptions) {
    this.#options = options;
    this.#maxDebts = options.maxDebts ?? 100_000;
  }

  /** Whether any store is owed anything. */
  get isOwed(): boolean {
    return this.#accounts > 0;
  }

  /** Notes a grant that was made here by a share of the charge's limit. */
  owe(calls: AdapterCalls, charge: Charge, share: Limit, grant: Grant): void {
    const { now, nextId, observer } = this.#options;
    const account = this.#owed.get(calls)?.get(charge.key);
    const last = account?.debts.at(-1);
    if (last !== undefined && !last.isSent) {
      last.units += grant.granted;
    } else if (account === undefined && this.#accounts >= this.#maxDebts) {
      observer.dropped("local_units", "too_many", 1);
      return;
    } else {
      const { debts } = account ?? this.#open(calls, charge.key);
      debts.push(beginDebt(charge, share, grant, now(), nextId()));
    }
    this.#tryLater();
  }

  /** Says that units which a store is owed were given back. What it was sent already stays charged. */
  forgive(calls: AdapterCalls, key: string, units: number): void {
    const account = this.#owed.get(calls)?.get(key);
    const last = account?.debts.at(-1);
    if (last === undefined || last.isSent) return;
    last.units -= units;
    if (last.units <= 0) this.#drop(calls, account!, last);
  }

  /**
   * To be called before a store is asked: sends what it is owed of that count. `false` when not all of that could be sent,
   * so that an answer would not know of it.
   */
  payFirst(calls: AdapterCalls, key: string): boolean {
    const account = this.#owed.get(calls)?.get(key);
    if (account === undefined || calls.isLeftAlone) return true;
    void this.#pay(calls, account);
    return account.debts.every(({ isSent }) => isSent);
  }

  /** Forgets what a store is owed that nobody asks any more. */
  forget(calls: AdapterCalls): void {
    const owed = this.#owed.get(calls);
    if (owed === undefined) return;
    this.#owed.delete(calls);
    this.#accounts -= owed.size;
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
        if (this.#accounts > 0) this.#tryLater();
      });
    });
  }

  async #payAll(): Promise<void> {
    await Promise.all(
      Array.from(this.#owed, async ([calls, owed]) => {
        const accounts = [...owed.values()];
        let paid = 0;
        // The first alone: it tells whether the store is there.
        for (let at = 0, many = 1; at < accounts.length; at += many, many = atOnce) {
          const some = accounts.slice(at, at + many).filter(({ debts }) => debts.length > 0);
          const done = await Promise.all(some.map((account) => this.#pay(calls, account)));
          paid += done.filter((each) => each === "charged").length;
          if (done.includes("owed")) break;
        }
        const log = this.#options.log;
        if (paid > 0)
          log.info({ adapter: calls.name, counts: paid }, "the store was charged what was let through without it");
      }),
    );
  }

  /** Charges a store what it is owed of one count, in one call. */
  #pay(calls: AdapterCalls, account: Account): Paid | Promise<Paid> {
    this.#reckon(calls, account);
    let sent = account.debts.filter(({ isSent }) => isSent).length;
    const debts = account.debts.filter((debt) => !debt.isUnderWay && (debt.isSent || sent++ < maxUnanswered));
    if (debts.length === 0) return account.debts.length === 0 ? "nothing" : "owed";
    const answer = calls.quota(debts.map(paymentOf));
    if (!(answer instanceof Promise)) return this.#heard(calls, account, debts, answer);
    for (const debt of debts) debt.isSent = debt.isUnderWay = true;
    return answer.then((given) => this.#heard(calls, account, debts, given));
  }

  /** Strikes what would not count any more if the store had been there. */
  #reckon(calls: AdapterCalls, account: Account): void {
    const { standing, now } = this.#options;
    let later = 0;
    for (const debt of account.debts.toReversed()) {
      const due = dueUnits(debt, standing(debt.share, debt.key), now(), later);
      later += Math.max(0, due);
      if (debt.isUnderWay) continue;
      if (due > 0) debt.units = due;
      else this.#drop(calls, account, debt);
    }
  }

  #heard(calls: AdapterCalls, account: Account, debts: readonly LocalDebt[], given: readonly Grant[] | Failure): Paid {
    if (!(given instanceof Failure)) {
      for (const debt of debts) this.#drop(calls, account, debt);
      return account.debts.length === 0 ? "charged" : "owed";
    }
    // A store that is slow may have counted them all the same, and is not sent them again before that is known.
    const late = given.late as Promise<readonly Grant[] | Failure> | undefined;
    for (const debt of debts) {
      debt.isUnderWay = late !== undefined;
      // Of other failures it is known that nothing was sent.
      if (given.kind === "fault" || given.kind === "timeout") debt.isSent = true;
    }
    void late?.then((answer) => this.#heard(calls, account, debts, answer));
    if (this.#owed.get(calls)?.get(account.key) === account) this.#tryLater();
    return "owed";
  }

  #open(calls: AdapterCalls, key: string): Account {
    let owed = this.#owed.get(calls);
    if (owed === undefined) this.#owed.set(calls, (owed = new Map()));
    const account: Account = { key, debts: [] };
    owed.set(key, account);
    this.#accounts++;
    return account;
  }

  #drop(calls: AdapterCalls, account: Account, debt: LocalDebt): void {
    const at = account.debts.indexOf(debt);
    if (at >= 0) account.debts.splice(at, 1);
    const owed = this.#owed.get(calls);
    if (account.debts.length > 0 || owed?.get(account.key) !== account) return;
    owed.delete(account.key);
    this.#accounts--;
    if (owed.size === 0) this.#owed.delete(calls);
  }
}

function paymentOf({ limit, key, group, units, id }: LocalDebt): Charge {
  const charge: Charge = { limit, key, amount: units, bestEffort: true, spent: true, dedupId: id };
  return group === undefined ? charge : { ...charge, group };
}
