import { calendarWindow, type Limit } from "weir/sdk";
import type { Counter } from "./counter.ts";

const used = 1;

/**
 * Fixed window: windows follow each other without a gap, from whole multiples of their length on, and each grants at
 * most `amount`. Around the border of two windows up to twice the amount may pass within one window's length; that is
 * what the algorithm is.
 */
export const fixedWindow = windowCounter((limit, now) => (Math.floor(now / limit.windowMs) + 1) * limit.windowMs);

/** Calendar: fixed windows that are units of the calendar in a time zone. */
export const calendar = windowCounter((limit, now) => calendarWindow(limit.calendar!, now).endMs);

/** Counts by windows; `endOf` tells when the one ends that `now` lies in. */
function windowCounter(endOf: (limit: Limit, now: number) => number): Counter {
  return {
    width: 2,

    capacity: (limit) => limit.amount,

    available(state, o, limit, now) {
      // The first number is the window's end.
      if (now >= state[o]!) {
        state[o] = endOf(limit, now);
        state[o + used] = 0;
      }
      return limit.amount - state[o + used]!;
    },

    take(state, o, _limit, _now, amount) {
      state[o + used] = state[o + used]! + amount;
    },

    giveBack(state, o, _limit, _now, amount) {
      state[o + used] = Math.max(0, state[o + used]! - amount);
    },

    goneMs: (state, o) => state[o]!,

    restore(state, o, _limit, _now, amount, goneMs) {
      if (state[o] !== goneMs) return 0;
      const back = Math.min(amount, state[o + used]!);
      state[o + used] = state[o + used]! - back;
      return back;
    },

    waitMs: (state, o, limit, now, amount) =>
      state[o + used]! + amount <= limit.amount ? 0 : Math.ceil(state[o]! - now),

    resetMs: (state, o, _limit, now) => (state[o + used]! > 0 ? Math.ceil(state[o]! - now) : 0),
  };
}
