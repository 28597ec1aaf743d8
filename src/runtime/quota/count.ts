import type { LimitRule } from "../../policy/snapshot.ts";
import type { Budget, Share, Stake } from "../../sdk/index.ts";
import type { BucketLimit } from "./bucket-limits.ts";
import { Ledger } from "./ledger.ts";

/** How a count is known: not yet, by this hub alone, by its part of what hubs share, or not any more. */
export type CountState = "awaited" | "whole" | "shared" | "lost";

/** The count of one key of a limit, as far as this hub divides it. */
export class Count {
  readonly key: string;
  readonly ledger: Ledger;
  /** The limit, as the bucket that came last has it. */
  of: BucketLimit;
  state: CountState;
  /** Until when this hub's part is kept for it. */
  holdUntilMs = Infinity;
  /** What all hubs may have. */
  #budget: Budget;
  /** Until then others may use what is not known here. */
  readonly #holdBackUntilMs: number;

  /** @param isShared whether the part of this hub is to be asked for */
  constructor(of: BucketLimit, isShared: boolean, nowMs: number, holdBackUntilMs = -Infinity) {
    this.#holdBackUntilMs = holdBackUntilMs;
    const { key, budget } = of;
    this.key = key;
    this.of = of;
    this.state = isShared ? "awaited" : "whole";
    this.#budget = budget;
    this.ledger = new Ledger(isShared ? { rate: 0, burst: 0 } : budget, !isShared, nowMs);
  }

  get rule(): LimitRule {
    return this.of.rule;
  }

  /** What all hubs may have. */
  get budget(): Budget {
    return this.#budget;
  }

  /** The limit as it is loaded now. */
  renew(of: BucketLimit): void {
    const { budget } = of;
    this.of = of;
    this.#budget = budget;
    const { ledger } = this;
    ledger.budget = this.state === "whole" ? budget : least(ledger.budget, budget);
  }

  isHeldBack(nowMs: number): boolean {
    return nowMs < this.#holdBackUntilMs;
  }

  stake(member: string, ttlMs: number): Stake {
    const { budget, held, demand } = this.ledger;
    // What it may use by its own knowledge; an answer on its way may be lost.
    const most = { rate: Math.max(budget.rate, held.rate), burst: Math.max(budget.burst, held.burst) };
    return { key: this.key, budget: this.#budget, member, demand, held: most, ttlMs };
  }

  take({ rate, burst, isFresh }: Share, holdUntilMs: number): void {
    const hadNone = this.state !== "shared";
    this.state = "shared";
    this.holdUntilMs = holdUntilMs;
    this.ledger.budget = least({ rate, burst }, this.#budget);
    if (isFresh && hadNone) this.ledger.fill();
  }

  /** The store does not answer: what this hub had last is its own as long as it is kept for it. */
  fail(nowMs: number): void {
    if (this.state === "whole" || (this.state === "shared" && nowMs < this.holdUntilMs)) return;
    if (this.state === "awaited" && this.rule.onError === "local") {
      this.ledger.budget = this.#budget;
      this.ledger.fill();
    }
    this.state = "lost";
  }
}

function least(a: Budget, b: Budget): Budget {
  return { rate: Math.min(a.rate, b.rate), burst: Math.min(a.burst, b.burst) };
}
