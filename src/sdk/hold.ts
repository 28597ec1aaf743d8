/** What a charge takes is to be remembered under the id of the decision that it is made for. */
export interface Hold {
  /** The decision's id: random, so that whoever knows it was told. Several charges of a decision have the same one. */
  readonly id: string;
  /**
   * For how long, in milliseconds. A charge of a limit of the algorithm `concurrency` is remembered for as long as its
   * lease lasts, whatever this says.
   */
  readonly forMs: number;
}

/**
 * What is to be done with what a decision took:
 *
 * - `release`: its leases (limits of the algorithm `concurrency`) end;
 * - `renew`: its leases last `forMs` from now on, at most and by default the window of their limits;
 * - `refund`: units that it took of other limits are given back, as far as they still count: those of the limits that
 *   `limits` lists by their ids, by default all; of each `amount` units, by default and at most what was taken;
 * - `end`: the request is over. Its leases end, and of each other limit in `used` it has used that many units: of more
 *   than were taken the rest is taken now, even beyond the limit; of fewer the difference is given back as far as it
 *   still counts.
 *
 * Each but `renew` works once for what it concerns.
 */
export type HoldChange = { readonly id: string } & (
  | { readonly kind: "release" }
  | { readonly kind: "renew"; readonly forMs?: number }
  | { readonly kind: "refund"; readonly limits?: readonly string[]; readonly amount?: number }
  | { readonly kind: "end"; readonly used: ReadonlyMap<string, number> }
);

/** What became of one charge that was held. */
export interface HoldOutcome {
  /** The id of its limit. */
  readonly limit: string;
  /** Units that were given back; below 0 those that were taken beside. For `renew` the units of the lease. */
  readonly units: number;
  /** For `renew`: how long the lease lasts now, in milliseconds. */
  readonly forMs?: number;
}
