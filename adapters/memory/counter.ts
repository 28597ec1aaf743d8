import type { Limit } from "weir/sdk";

/**
 * An algorithm, as functions over the state of one key: `width` numbers of `state`, from `o` on. A key that nobody has
 * used is all zeros. The first number is always the time after which the key is as if nobody had used it, so that it can
 * be let go. Times are milliseconds of a clock that never runs backwards.
 */
export interface Counter {
  readonly width: number;
  /** The most that can be taken at once. */
  capacity(limit: Limit): number;
  /** Brings the state to `now` and answers how many units can be taken; below 0 where the limit was lowered. */
  available(state: Float64Array, o: number, limit: Limit, now: number): number;
  /** Takes units. The state stands at `now`. */
  take(state: Float64Array, o: number, limit: Limit, now: number, amount: number): void;
  /** Gives units back. The state stands at `now`. */
  giveBack(state: Float64Array, o: number, limit: Limit, now: number, amount: number): void;
  /** When units count no more that are taken at `now`, at the latest. The state stands at `now`. */
  goneMs(state: Float64Array, o: number, limit: Limit, now: number, amount: number): number;
  /**
   * Gives units back that were taken when {@link Counter.goneMs} answered `goneMs`, as far as it is certain that they
   * still count: never those of others. Answers how many. The state stands at `now`.
   */
  restore(state: Float64Array, o: number, limit: Limit, now: number, amount: number, goneMs: number): number;
  /** Milliseconds until `amount` units, at most the capacity, can be taken, if nobody takes any more. The state stands at `now`. */
  waitMs(state: Float64Array, o: number, limit: Limit, now: number, amount: number): number;
  /** Milliseconds until the capacity is there again. The state stands at `now`. */
  resetMs(state: Float64Array, o: number, limit: Limit, now: number): number;
}
