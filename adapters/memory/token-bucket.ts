import type { Limit } from "weir/sdk";
import type { Counter } from "./counter.ts";

const level = 1;
const at = 2;

/**
 * Token bucket with burst, kept as the generic cell rate algorithm in its leaky bucket form (ITU-T I.371, annex A): the
 * level rises by what is taken and drains at `amount / windowMs`; what would lift it above `burst` is refused. So
 * whatever span of time one looks at, no more than `burst + span * amount / windowMs` units are granted.
 *
 * The level is kept in units, not as a point in time: a change of the amount keeps what was counted, and a fast limit
 * loses nothing to the coarseness of large times.
 */
export const tokenBucket: Counter = {
  width: 3,

  capacity: (limit) => limit.burst,

  available(state, o, limit, now) {
    const elapsed = now - state[o + at]!;
    if (elapsed > 0) {
      const rest = state[o + level]! - (elapsed * limit.amount) / limit.windowMs;
      state[o + level] = rest > 0 ? rest : 0;
      state[o + at] = now;
    }
    return limit.burst - state[o + level]!;
  },

  take(state, o, limit, now, amount) {
    const raised = state[o + level]! + amount;
    state[o + level] = raised;
    state[o] = now + (raised * limit.windowMs) / limit.amount;
  },

  giveBack(state, o, limit, now, amount) {
    const lowered = Math.max(0, state[o + level]! - amount);
    state[o + level] = lowered;
    state[o] = now + (lowered * limit.windowMs) / limit.amount;
  },

  // Whatever else was taken, units drain no sooner than they would alone.
  goneMs: (_state, _o, limit, now, amount) => now + (amount * limit.windowMs) / limit.amount,

  restore(state, o, limit, now, amount, goneMs) {
    const counting = ((goneMs - now) * limit.amount) / limit.windowMs;
    const back = Math.max(0, Math.min(amount, counting, state[o + level]!));
    if (back > 0) tokenBucket.giveBack(state, o, limit, now, back);
    return back;
  },

  waitMs: (state, o, limit, _now, amount) => drainMs(state[o + level]! + amount - limit.burst, limit),

  resetMs: (state, o, limit) => drainMs(state[o + level]!, limit),
};

/**
 * Whole milliseconds until that many units have drained. What is lost to rounding, far below what a grant overlooks, is
 * no millisecond more.
 */
function drainMs(units: number, { amount, windowMs, burst }: Limit): number {
  const left = units - burst * 1e-12;
  return left <= 0 ? 0 : Math.ceil((left * windowMs) / amount);
}
