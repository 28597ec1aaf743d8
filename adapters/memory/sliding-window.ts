import type { Limit } from "weir/sdk";
import type { Counter } from "./counter.ts";

/** Into how many steps a window is cut. */
const steps = 16;

/** The step that the state stands at, counted from time 0. */
const step = 1;
const total = 2;
const first = 3;
/** The current step and the `steps` before it: together they cover every window that ends now. */
const kept = steps + 1;

/**
 * Sliding window over sub-windows: what was granted is counted by steps of `windowMs / 16`, and a request is granted
 * while the current step and the 16 before it hold no more than `amount` together. Those steps cover any window that
 * ends now, so no window of `windowMs`, wherever it begins, grants more than `amount`. The price: a unit counts for up
 * to one step (6.25 % of the window) longer than it must.
 *
 * Per key that is 17 counters whatever the amount; a log of every grant would grow with it.
 */
export const slidingWindow: Counter = {
  width: first + kept,

  capacity: (limit) => limit.amount,

  available(state, o, limit, now) {
    const current = Math.floor(now / (limit.windowMs / steps));
    const passed = current - state[o + step]!;
    if (passed > 0) {
      for (let i = Math.min(passed, kept) - 1; i >= 0; i--) state[o + first + ((current - i) % kept)] = 0;
      state[o + step] = current;
      let sum = 0;
      for (let i = 0; i < kept; i++) sum += state[o + first + i]!;
      state[o + total] = sum;
    }
    return limit.amount - state[o + total]!;
  },

  take(state, o, limit, _now, amount) {
    if (amount === 0) return;
    const current = state[o + step]!;
    const counter = o + first + (current % kept);
    state[counter] = state[counter]! + amount;
    state[o + total] = state[o + total]! + amount;
    state[o] = goneAt(current, limit.windowMs);
  },

  giveBack(state, o, _limit, _now, amount) {
    const current = state[o + step]!;
    let rest = amount;
    for (let i = 0; i < kept && rest > 0 && current >= i; i++) {
      const counter = o + first + ((current - i) % kept);
      const back = Math.min(rest, state[counter]!);
      state[counter] = state[counter]! - back;
      state[o + total] = Math.max(0, state[o + total]! - back);
      rest -= back;
    }
  },

  goneMs: (state, o, limit) => goneAt(state[o + step]!, limit.windowMs),

  restore(state, o, limit, _now, amount, goneMs) {
    const current = state[o + step]!;
    const taken = Math.round(goneMs / (limit.windowMs / steps)) - kept;
    if (taken > current || current - taken >= kept) return 0;
    const counter = o + first + (taken % kept);
    const back = Math.min(amount, state[counter]!);
    state[counter] = state[counter]! - back;
    state[o + total] = Math.max(0, state[o + total]! - back);
    return back;
  },

  waitMs(state, o, limit, now, amount) {
    const current = state[o + step]!;
    let held = state[o + total]!;
    for (let i = kept - 1; i >= 0; i--) {
      if (held + amount <= limit.amount) break;
      if (current < i) continue;
      held -= state[o + first + ((current - i) % kept)]!;
      if (held + amount <= limit.amount || i === 0) return Math.ceil(goneAt(current - i, limit.windowMs) - now);
    }
    return 0;
  },

  resetMs(state, o, limit, now) {
    const current = state[o + step]!;
    for (let i = 0; i < kept && current >= i; i++) {
      if (state[o + first + ((current - i) % kept)]! > 0) return Math.ceil(goneAt(current - i, limit.windowMs) - now);
    }
    return 0;
  },
};

/**
 * Concurrency: units are taken until they are given back, and for `windowMs` where nobody does. That is a sliding window
 * whose units are given back; a lease that nobody ends counts for up to one step longer than it must.
 */
export const concurrency = slidingWindow;

/**
 * Moves a lease so that it ends in `forMs`, at most `windowMs`, or up to one step later. Answers when; `undefined` when
 * it has ended. The state stands at `now`.
 */
export function renewLease(
  state: Float64Array,
  o: number,
  limit: Limit,
  now: number,
  amount: number,
  goneMs: number,
  forMs: number,
): number | undefined {
  if (slidingWindow.restore(state, o, limit, now, amount, goneMs) < amount) return undefined;
  const lasting = Math.ceil((now + forMs) / (limit.windowMs / steps)) - kept;
  const taken = Math.min(state[o + step]!, lasting);
  const counter = o + first + (taken % kept);
  state[counter] = state[counter]! + amount;
  state[o + total] = state[o + total]! + amount;
  const ends = goneAt(taken, limit.windowMs);
  state[o] = Math.max(state[o]!, ends);
  return ends;
}

/** When what was granted in a step counts no more. */
function goneAt(granted: number, windowMs: number): number {
  return (granted + kept) * (windowMs / steps);
}
