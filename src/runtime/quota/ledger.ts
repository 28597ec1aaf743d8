import type { Budget } from "../../sdk/index.ts";
import { burstOf, nothing, rateOf, type Claim } from "./claim.ts";
import { heldBackRate, isOver, planShares } from "./plan.ts";

/** So many claims are looked through in a millisecond at least. Of more than a few, all are looked through less often. */
const claimsPerMs = 40;
const fewClaims = 200;

/**
 * Divides one budget among claims, so that in any stretch of time no more than `burst + rate * length` units pass, over
 * all of them, whatever they do with what they were granted.
 *
 * A proxy keeps a token bucket by itself, and each bucket that it is told of begins full. So a grant is paid for like
 * any other use: its burst is taken from a pool that never holds more than what of the burst is not granted, and that
 * is filled by what of the rate is not granted. What was granted counts in full until the proxy has certainly heard of
 * another grant or lost it: of an old and a new one both bursts, and the higher rate.
 *
 * Who should have how much says {@link planShares}.
 */
export class Ledger {
  /** What may be granted. */
  budget: Budget;
  readonly claims = new Set<Claim>();
  /** Units that may be granted as bursts now. */
  #pool: number;
  #atMs: number;
  /** What was granted when the pool was last brought up to date, or since. */
  #granted: { rate: number; burst: number } = { rate: 0, burst: 0 };
  #isPlanned = false;
  #plannedMs = -Infinity;

  /** @param isFresh whether the whole burst is there */
  constructor(budget: Budget, isFresh: boolean, nowMs: number) {
    this.budget = budget;
    this.#pool = isFresh ? budget.burst : 0;
    this.#atMs = nowMs;
  }

  /** What may pass that is granted, and what the pool holds. */
  get held(): Budget {
    return { rate: this.#granted.rate, burst: this.#granted.burst + Math.max(0, this.#pool) };
  }

  /** Units a second that the claims could use. */
  get demand(): number {
    let demand = 0;
    for (const claim of this.claims) if (!claim.isLeft) demand += claim.demand;
    return demand;
  }

  /** Whether it is as if nobody had used it. */
  get isIdle(): boolean {
    return this.claims.size === 0 && this.#pool >= this.budget.burst;
  }

  /** What is granted. */
  get granted(): Budget {
    return { rate: this.#granted.rate, burst: this.#granted.burst };
  }

  /** Forgets what has passed: the pool holds what of the burst nobody has. */
  refill(): void {
    this.#pool = Math.max(this.#pool, this.budget.burst - this.#granted.burst);
  }

  /** Gives the pool its burst, where it turns out that nobody has any of it. */
  fill(): void {
    if (this.#granted.burst === 0) this.#pool = this.budget.burst;
  }

  add(cost: number, nowMs: number): Claim {
    const claim: Claim = {
      cost,
      demand: 0,
      isNew: true,
      isLeft: false,
      grant: undefined,
      old: undefined,
      target: nothing,
      yields: false,
      turnMs: nowMs,
    };
    this.claims.add(claim);
    this.#isPlanned = false;
    return claim;
  }

  /** Says that the proxy is gone. */
  leave(claim: Claim): void {
    claim.isLeft = true;
    claim.demand = 0;
    if (burstOf(claim) === 0 && rateOf(claim) === 0) this.claims.delete(claim);
    this.#isPlanned = false;
  }

  /** Takes units that passed without a grant. */
  spend(units: number): void {
    this.#pool = Math.max(-this.budget.burst, this.#pool - units);
  }

  /**
   * Brings the books up to a moment: grants that have run out, and what has come into the pool. Of many claims it does so
   * only now and then: meanwhile nothing is given out that was not there before.
   */
  settle(nowMs: number): void {
    if (nowMs === this.#atMs || nowMs - this.#atMs < this.#restMs) return;
    const { rate, burst } = this.budget;
    const elapsed = Math.max(0, nowMs - this.#atMs) / 1000;
    this.#atMs = nowMs;
    // For the whole time what was granted at its beginning counts, so that it is never too much.
    const comes = Math.max(0, rate - this.#granted.rate) * elapsed;
    let grantedRate = 0;
    let grantedBurst = 0;
    for (const claim of this.claims) {
      if (claim.old !== undefined && nowMs >= claim.old.untilMs) claim.old = undefined;
      if (claim.grant !== undefined && nowMs >= claim.grant.untilMs) claim.grant = undefined;
      if (claim.isLeft && claim.grant === undefined && claim.old === undefined) this.claims.delete(claim);
      grantedRate += rateOf(claim);
      grantedBurst += burstOf(claim);
    }
    this.#granted = { rate: grantedRate, burst: grantedBurst };
    this.#pool = Math.min(this.#pool + comes, burst - grantedBurst);
    this.#isPlanned = false;
  }

  /**
   * Works out what each claim should have, and which have to give something up because others lack it. `false` where of
   * many claims this was done only now: ask again.
   */
  plan(nowMs: number, turnMs: number): boolean {
    if (this.#isPlanned) return true;
    if (nowMs - this.#plannedMs < this.#restMs) return false;
    this.#isPlanned = true;
    this.#plannedMs = nowMs;
    const live = [...this.claims].filter((claim) => !claim.isLeft);
    planShares(live, this.budget, this.#granted, nowMs, turnMs);
    return true;
  }

  /** What could be granted to a claim now, of what it should have. */
  offer(claim: Claim): Budget {
    const most = this.budget.rate * (1 - heldBackRate / 2);
    const rate = Math.min(claim.target.rate, most - this.#granted.rate + rateOf(claim));
    const burst = Math.min(claim.target.burst, Math.max(claim.cost, this.#pool / 2), this.#pool);
    return { rate: Math.max(0, rate), burst: Math.max(0, burst) };
  }

  /** Grants something in place of what the claim has. */
  commit(claim: Claim, { rate, burst }: Budget, nowMs: number, untilMs: number): void {
    this.#granted.rate -= rateOf(claim);
    const hadTurn = (claim.grant?.burst ?? 0) > 0;
    claim.old = hadTurn ? claim.grant : undefined;
    claim.grant = { rate, burst, sinceMs: nowMs, untilMs };
    if (hadTurn !== burst > 0) claim.turnMs = nowMs;
    this.#granted.rate += rateOf(claim);
    this.#granted.burst += burst;
    this.#pool -= burst;
  }

  /** The proxy has certainly heard of its last grant. */
  confirm(claim: Claim, nowMs: number): void {
    this.settle(nowMs);
    const { old } = claim;
    if (old === undefined) return;
    this.#granted.rate -= rateOf(claim);
    claim.old = undefined;
    this.#granted.rate += rateOf(claim);
    this.#granted.burst -= old.burst;
  }

  /** Whether more is granted than there is, because the budget has shrunk. */
  get isOver(): boolean {
    return isOver(this.#granted, this.budget);
  }

  /** How long all claims are not looked through again. */
  get #restMs(): number {
    return this.claims.size <= fewClaims ? 0 : this.claims.size / claimsPerMs;
  }
}
