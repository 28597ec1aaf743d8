import type { Budget } from "../../sdk/index.ts";
import { burstOf, nothing, rateOf, type Claim } from "./claim.ts";
import { waterFill } from "./water-fill.ts";

/** The part of the rate that is not given out: it pays for the bursts that come with changes. */
const heldBackRate = 1 / 32;

/** The part of the burst that is not given out, for the same. */
const heldBackBurst = 1 / 4;

/** The part of an equal share that everybody has, however little it asks for, so that who comes back is not refused. */
const floorPart = 1 / 16;

/** How much more somebody must get for a change to be worth its burst. */
export const worthwhile = 1.1;

/** Less of a budget than this is nothing: shares are divided and added up. */
const rounding = 1e-6;

/** So many claims are looked through in a millisecond at least. Of more than a few, all are looked through less often. */
const claimsPerMs = 40;
const fewClaims = 200;

/** How much of its rate a proxy uses that could use more. */
const isNearlyAll = 0.9;

/**
 * Divides one budget among claims, so that in any stretch of time no more than `burst + rate * length` units pass, over
 * all of them, whatever they do with what they were granted.
 *
 * A proxy keeps a token bucket by itself, and each bucket that it is told of begins full. So a grant is paid for like
 * any other use: its burst is taken from a pool that never holds more than what of the burst is not granted, and that
 * is filled by what of the rate is not granted. What was granted counts in full until the proxy has certainly heard of
 * another grant or lost it: of an old and a new one both bursts, and the higher rate.
 *
 * Rates are divided by {@link waterFill} over what proxies report to need. Bursts go with the rates. Where there are
 * more claims than units of burst, they take turns.
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
    const seated = this.#seated(live, nowMs, turnMs);
    for (const claim of live) {
      claim.target = nothing;
      claim.yields = false;
    }
    const rate = this.budget.rate * (1 - heldBackRate);
    const fair = rate / Math.max(1, seated.length);
    const rates = waterFill(
      rate,
      seated.map(({ demand, isNew }) => Math.max(demand, isNew ? fair : fair * floorPart)),
    );
    const bursts = this.#bursts(seated, rates);
    for (const [i, claim] of seated.entries()) claim.target = { rate: rates[i]!, burst: bursts[i]! };
    const lack = this.#lack(live);
    const { rate: rateLack, burst: burstLack } = lack;
    if (rateLack > rounding * this.budget.rate || burstLack > rounding * this.budget.burst) this.#yield(live, lack);
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
    const { rate, burst } = this.budget;
    return this.#granted.rate > rate * (1 + 1e-9) || this.#granted.burst > burst * (1 + 1e-9);
  }

  /** How long all claims are not looked through again. */
  get #restMs(): number {
    return this.claims.size <= fewClaims ? 0 : this.claims.size / claimsPerMs;
  }

  /** What those lack who should have more than they can be given before others have less. */
  #lack(live: readonly Claim[]): Budget {
    const { rate, burst } = this.budget;
    const lack = { rate: this.#granted.rate - rate * (1 - heldBackRate / 2), burst: this.#granted.burst - burst };
    let isWanted = this.isOver;
    for (const claim of live) {
      if (!couldUseMore(claim)) continue;
      isWanted = true;
      lack.rate += claim.target.rate - rateOf(claim);
      lack.burst += claim.grant === undefined || claim.grant.burst === 0 ? claim.cost : 0;
    }
    return isWanted ? lack : nothing;
  }

  /** Lets as many give something up as it takes, those first who have the most too much. */
  #yield(live: readonly Claim[], lack: Budget): void {
    let { rate, burst } = lack;
    const above = ({ grant, target }: Claim): number => (grant?.rate ?? 0) - target.rate;
    const inLine = live.filter(({ grant }) => grant !== undefined && grant.burst > 0);
    inLine.sort((a, b) => above(b) - above(a));
    for (const claim of inLine) {
      const grant = claim.grant!;
      const hasTooMuch = above(claim) > 0 && rate > rounding * this.budget.rate;
      const hasTooMuchBurst = grant.burst >= claim.target.burst + claim.cost && burst > rounding * this.budget.burst;
      claim.yields = hasTooMuch || hasTooMuchBurst || claim.target.burst < claim.cost;
      if (!claim.yields) continue;
      rate -= Math.max(0, above(claim));
      burst -= Math.max(0, grant.burst - claim.target.burst);
    }
  }

  /**
   * Those that get something. Each needs the burst of a request; where there is not enough for all, those go first whose
   * turn has only begun, then those that have waited longest.
   */
  #seated(live: readonly Claim[], nowMs: number, turnMs: number): readonly Claim[] {
    let needed = 0;
    let largest = 0;
    for (const { cost } of live) {
      needed += cost;
      largest = Math.max(largest, cost);
    }
    // The burst of one request is kept back, or no change could be paid.
    let left = this.budget.burst >= 2 * largest ? this.budget.burst - largest : this.budget.burst;
    if (needed <= left) return live;
    const rank = (claim: Claim): number => {
      const isSeated = (claim.grant?.burst ?? 0) > 0;
      if (claim.demand === 0 && !claim.isNew) return 3;
      if (!isSeated) return 1;
      return nowMs - claim.turnMs < turnMs ? 0 : 2;
    };
    const inLine = live.map((claim) => ({ claim, rank: rank(claim) }));
    inLine.sort((a, b) => {
      if (a.rank !== b.rank) return a.rank - b.rank;
      return a.rank === 2 ? b.claim.turnMs - a.claim.turnMs : a.claim.turnMs - b.claim.turnMs;
    });
    const seated: Claim[] = [];
    for (const { claim } of inLine) {
      if (claim.cost > left) continue;
      seated.push(claim);
      left -= claim.cost;
    }
    return seated;
  }

  /** Bursts that go with rates: each at least a request's, and together no more than there is. */
  #bursts(seated: readonly Claim[], rates: readonly number[]): number[] {
    const { burst } = this.budget;
    let costs = 0;
    let rate = 0;
    for (const [i, { cost }] of seated.entries()) {
      costs += cost;
      rate += rates[i]!;
    }
    const open = Math.max(0, burst * (1 - heldBackBurst) - costs);
    return seated.map(({ cost }, i) => cost + (rate > 0 ? (open * rates[i]!) / rate : 0));
  }
}

/** Whether a claim should have more than it has, and would use it. */
export function couldUseMore(claim: Claim): boolean {
  const { target, grant, demand, isNew } = claim;
  if (target.burst < claim.cost) return false;
  if (grant === undefined || grant.burst === 0) return isNew || demand > 0 || grant === undefined;
  return (isNew || demand > grant.rate * isNearlyAll) && target.rate > grant.rate * worthwhile;
}

/** Whether a claim has far less burst than it should have, since changes came one upon the other. */
export function lacksBurst({ target, grant }: Claim): boolean {
  return grant !== undefined && grant.burst > 0 && grant.burst * 2 < target.burst;
}
