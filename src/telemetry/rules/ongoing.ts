import type { Bag } from "../../attributes/bag.ts";
import type { Exemplar } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Told } from "./growth.ts";
import { PolicyIndex } from "./policy-index.ts";
import { matches, type PreparedPolicy } from "./prepared-policy.ts";

/** Takes a record of a request that is still under way. The bag may be filled anew as soon as this returns. Never throws. */
export type TakeOngoing = (bag: Bag, told: Told) => void;

export interface TakeOngoingOptions {
  /** Makes attributes that follow from others. */
  readonly complete: ((bag: Bag) => void) | undefined;
  readonly exemplarOf: ((bag: Bag) => Exemplar | undefined) | undefined;
  readonly observer: Observer;
}

/**
 * Prepares what rules tell of requests that are still under way: counters that ask for it grow by what is new, and nothing
 * else is done. Where the buffer that keeps samples is full, they grow with the next record of the request.
 */
export function takeOngoing(
  policies: readonly PreparedPolicy[],
  { complete, exemplarOf, observer }: TakeOngoingOptions,
): TakeOngoing {
  const index = new PolicyIndex(
    policies.filter(({ metrics }) => metrics.some(({ recordOngoing }) => recordOngoing !== undefined)),
  );
  let bagAtHand: Bag;
  let toldAtHand: Told;
  const visit = (policy: PreparedPolicy): void => {
    if (!matches(policy, bagAtHand, observer)) return;
    for (const { condition, collector, recordOngoing } of policy.metrics) {
      if (recordOngoing === undefined || (collector !== undefined && collector.room <= 0)) continue;
      if (condition.applies(bagAtHand)) recordOngoing(bagAtHand, exemplarOf?.(bagAtHand), toldAtHand);
    }
  };
  return (bag, told) => {
    bagAtHand = bag;
    toldAtHand = told;
    complete?.(bag);
    index.candidates(bag, visit);
  };
}
