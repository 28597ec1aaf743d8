import type { Bag } from "../attributes/bag.ts";
import type { Deadline } from "./adapter-call.ts";
import type { Decision, LimitState } from "./decision.ts";
import type { DecisionId } from "./decision-id.ts";
import type { DescriptorForm } from "./limits/descriptor-form.ts";
import type { CallTrace } from "./call-trace.ts";
import type { TraceCarrier } from "./decision-trace.ts";

/** How the descriptors of one request are to be charged. */
export interface RateLimitAsked {
  /**
   * Charges each limit by itself, and takes what is left where less than was wanted is: as Envoy's reference service
   * counts. Default: all or nothing.
   */
  readonly each?: boolean;
  /** How many descriptors will be added, where that is known. Room is made for so many; default: 0. */
  readonly descriptors?: number;
  /** Until when an answer is of use. */
  readonly deadline?: Deadline | undefined;
  /** What carried the call, where its trace context may be read. */
  readonly carrier?: TraceCarrier | undefined;
  /** Told of the calls to adapters that the decision makes. */
  readonly trace?: CallTrace | undefined;
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

/** The answer to all descriptors of one request. `rules` names a limit once, whatever descriptors it refused. */
export interface RateLimitDecision extends Pick<
  Decision,
  "version" | "allowed" | "code" | "message" | "rules" | "observed" | "http"
> {
  readonly id: DecisionId;
  /** In the order in which they were added. */
  readonly descriptors: readonly DescriptorOutcome[];
  /** `policy/rule` of each enforced limit whose store did not answer, so that `onError` did. */
  readonly degraded: readonly string[];
}

/**
 * Judges the descriptors of one request to a rate limit door, each as a request of its own, by the limits that are
 * charged there. They are charged together. Never throws, never rejects.
 */
export interface RateLimitJudgement {
  /** Judges one descriptor. The bag may be filled anew as soon as this returns. */
  add(bag: Bag, asked: DescriptorAsked): void;
  /** Judges a descriptor that {@link RateLimitJudgement.form} was asked for in a request on the same snapshot. */
  addAgain(form: DescriptorForm): void;
  /**
   * The form of the descriptor that was added last: by it, {@link RateLimitJudgement.addAgain} judges any request's
   * descriptor of the same attributes that asks the same. `undefined` where that would not be the same.
   */
  form(): DescriptorForm | undefined;
  /** Charges what the descriptors want; a promise only where an adapter gave one. To be called once. */
  decide(): RateLimitDecision | Promise<RateLimitDecision>;
}
