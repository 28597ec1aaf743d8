import type { Bag } from "../attributes/bag.ts";
import type { DirectResponse } from "../policy/snapshot.ts";
import type { LimitState } from "./decision.ts";

/** How the descriptors of one request are to be charged. */
export interface RateLimitAsked {
  /**
   * Charges each limit by itself, and takes what is left where less than was wanted is: as Envoy's reference service
   * counts. Default: all or nothing.
   */
  readonly each?: boolean;
  /** Epoch milliseconds until which an answer is of use. */
  readonly deadlineMs?: number | undefined;
}

/** Amount and window of a limit. */
export interface LimitOverride {
  /** Units in a window; 0 refuses. */
  readonly amount: number;
  readonly windowMs: number;
}

/** What one descriptor asks beside its attributes. */
export interface DescriptorAsked {
  /**
   * Units instead of each rule's `cost`, a whole number. 0 asks whether a unit is left and takes nothing; below 0 gives
   * back. Left out: the cost.
   */
  readonly hits?: number | undefined;
  /** Amount and window instead of those of the limits that apply, with counts of its own. */
  readonly override?: LimitOverride | undefined;
}

/** What became of one descriptor. */
export interface DescriptorOutcome {
  readonly allowed: boolean;
  /** The enforced limits that apply to it, in the order of their rules. */
  readonly limits: readonly LimitState[];
}

/** The answer to all descriptors of one request. */
export interface RateLimitDecision {
  /** Random, 128 bits in hexadecimal. */
  readonly id: string;
  /** The version of the snapshot that decided. */
  readonly version: string;
  readonly allowed: boolean;
  /** gRPC status code: 0 when allowed. */
  readonly code: number;
  readonly message: string;
  /** `policy/rule` of each limit that refused, once, sorted; the first names code and direct response. */
  readonly rules: readonly string[];
  /** `policy/rule` of each limit that would have refused, were its policy not in mode observe. */
  readonly observed: readonly string[];
  readonly http?: DirectResponse;
  /** In the order in which they were added. */
  readonly descriptors: readonly DescriptorOutcome[];
}

/**
 * Judges the descriptors of one request to a rate limit door, each as a request of its own, by the limits that are
 * charged there. They are charged together. Never throws, never rejects.
 */
export interface RateLimitJudgement {
  /** Judges one descriptor. The bag may be filled anew as soon as this returns. */
  add(bag: Bag, asked: DescriptorAsked): void;
  /** Charges what the descriptors want; a promise only where an adapter gave one. To be called once. */
  decide(): RateLimitDecision | Promise<RateLimitDecision>;
}
