import type { Budget } from "../../sdk/index.ts";
import { nothing, rateOf, type Claim } from "./claim.ts";
import { waterFill } from "./water-fill.ts";

/** The part of the rate that is not given out: it pays for the bursts that come with changes. */
export const heldBackRate = 1 / 32;

/** The part of the burst that is not given out, for the same. */
const heldBackBurst = 1 / 4;

/** The part of an equal share that everybody has, however little it asks for, so that who comes back is not refused. */
const floorPart = 1 / 16;

/** How much more somebody must get for a change to be worth its burst. */
export const worthwhile = 1.1;

/** Less of a budget than this is nothing: shares are divided and added up. */
const rounding = 1e-6;

/** How much of its rate a proxy uses that could use more. */
const isNearlyAll = 0.9;

/**
 * Works out what each claim should have of a budget of which `granted` is out, and which have to give something up because
 * others lack it. Rates are divided by {@link waterFill} over what proxies report to need. Bursts go with the rates. Where
 * there are more claims than units of burst, they take turns of `turnMs`.
 */
export function planShares(
  live: readonly Claim[],
  budget: Budget,
  granted: Budget,
  nowMs: number,
  turnMs: number,
): void {
  const seated = seatedOf(live, budget, nowMs, turnMs);
  for (const claim of live) {
    claim.target = nothing;
    claim.yields = false;
  }
  const rate = budget.rate * (1 - heldBackRate);
  const fair = rate / Math.max(1, seated.length);
  const rates = waterFill(
    rate,
    seated.map(({ demand, isNew }) => Math.max(demand, isNew ? fair : fair * floorPart)),
  );
  const bursts = burstsOf(seated, rates, budget);
  for (const [i, claim] of seated.entries()) claim.target = { rate: rates[i]!, burst: bursts[i]! };
  const lack = lackOf(live, budget, granted);
  if (lack.rate > rounding * budget.rate || lack.burst > rounding * budget.burst) letYield(live, budget, lack);
}

/** Whether more is granted than there is, because the budget has shrunk. */
export function isOver(granted: Budget, { rate, burst }: Budget): boolean {
  return granted.rate > rate * (1 + 1e-9) || granted.burst > burst * (1 + 1e-9);
}

/**
 * Those that get something. Each needs the burst of a request; where there is not enough for all, those go first whose
 * turn has only begun, then those that have waited longest.
 */
function seatedOf(live: readonly Claim[], budget: Budget, nowMs: number, turnMs: number): readonly Claim[] {
  let needed = 0;
  let largest = 0;
  for (const { cost } of live) {
    needed += cost;
    largest = Math.max(largest, cost);
  }
  // The burst of one request is kept back, or no change could be paid.
  let left = budget.burst >= 2 * largest ? budget.burst - largest : budget.burst;
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
function burstsOf(seated: readonly Claim[], rates: readonly number[], { burst }: Budget): number[] {
  let costs = 0;
  let rate = 0;
  for (const [i, { cost }] of seated.entries()) {
    costs += cost;
    rate += rates[i]!;
  }
  const open = Math.max(0, burst * (1 - heldBackBurst) - costs);
  return seated.map(({ cost }, i) => cost + (rate > 0 ? (open * rates[i]!) / rate : 0));
}

/** What those lack who should have more than they can be given before others have less. */
function lackOf(live: readonly Claim[], budget: Budget, granted: Budget): Budget {
  const { rate, burst } = budget;
  const lack = { rate: granted.rate - rate * (1 - heldBackRate / 2), burst: granted.burst - burst };
  let isWanted = isOver(granted, budget);
  for (const claim of live) {
    if (!couldUseMore(claim)) continue;
    isWanted = true;
    lack.rate += claim.target.rate - rateOf(claim);
    lack.burst += claim.grant === undefined || claim.grant.burst === 0 ? claim.cost : 0;
  }
  return isWanted ? lack : nothing;
}

/** Lets as many give something up as it takes, those first who have the most too much. */
function letYield(live: readonly Claim[], budget: Budget, lack: Budget): void {
  let { rate, burst } = lack;
  const above = ({ grant, target }: Claim): number => (grant?.rate ?? 0) - target.rate;
  const inLine = live.filter(({ grant }) => grant !== undefined && grant.burst > 0);
  inLine.sort((a, b) => above(b) - above(a));
  for (const claim of inLine) {
    const grant = claim.grant!;
    const hasTooMuch = above(claim) > 0 && rate > rounding * budget.rate;
    const hasTooMuchBurst = grant.burst >= claim.target.burst + claim.cost && burst > rounding * budget.burst;
    claim.yields = hasTooMuch || hasTooMuchBurst || claim.target.burst < claim.cost;
    if (!claim.yields) continue;
    rate -= Math.max(0, above(claim));
    burst -= Math.max(0, grant.burst - claim.target.burst);
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
