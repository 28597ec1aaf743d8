import type { Bag } from "../attributes/bag.ts";
import type { Layout } from "../attributes/layout.ts";
import type { Vocabulary } from "../attributes/vocabulary.ts";
import type { DoorSettings } from "../policy/schema/doors.ts";
import type { Asked, Decision } from "../runtime/decision.ts";
import type { Holds } from "../runtime/limits/holds.ts";
import type { RateLimitAsked, RateLimitJudgement } from "../runtime/rate-limit-decision.ts";
import type { Told } from "../telemetry/rules/growth.ts";
import type { RecordOutcome } from "../telemetry/outcome.ts";

/**
 * What a door sees of the hub for one request: one snapshot from start to end. `weir.ts` hands doors a function that
 * opens one. A session holds its snapshot's adapters open: {@link Session.end} must be called exactly once.
 */
export interface Session {
  /** Of the bags that {@link Session.check} and {@link Session.rateLimit} take. */
  readonly layout: Layout;
  /** Of the bags that {@link Session.report} takes. */
  readonly reportLayout: Layout;
  readonly vocabulary: Vocabulary;
  /** `doors:` of weir.yaml. */
  readonly doors: DoorSettings;
  /** Judges a request. Answers at once unless an adapter has to be waited for. Never throws, never rejects. */
  check(bag: Bag, asked: Asked): Decision | Promise<Decision>;
  /** Begins to judge the descriptors of a request to a rate limit door. */
  rateLimit(asked: RateLimitAsked): RateLimitJudgement;
  /**
   * Takes one record. `told`: what {@link Session.ongoing} was told of the same request. The bag may be filled anew as soon
   * as this returns.
   */
  report(bag: Bag, told?: Told): RecordOutcome;
  /** Takes a record of a request that is still under way; left out: no rule asks for that. */
  readonly ongoing?: ((bag: Bag, told: Told) => void) | undefined;
  /**
   * Ends the records of a call. What it gives resolves when those that were taken are as safe as `telemetry.buffer`
   * says, and rejects with a WeirError when they may not be, whatever was said of them before; `undefined`: they are.
   * The session must not end before.
   */
  commit(): Promise<void> | undefined;
  /** Counts records that a door did not try because one before them found a queue full. */
  notTried(records: number): void;
  /** Does what a caller wants with what a decision took. Rejects with WEIR_ADAPTER_FAILED when a store did not answer. */
  readonly hold: Holds["change"];
  end(): void;
}

/** Opens a session on the snapshot that serves now. */
export type OpenSession = () => Session;
