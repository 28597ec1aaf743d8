import { calendarWindow } from "../../sdk/index.ts";
import type { Grant, Limit } from "../../sdk/index.ts";

/** When the window ends that it is now; of limits without windows, when one would that begins now. */
export function windowEnd({ algorithm, calendar, windowMs }: Limit, nowMs: number): number {
  if (calendar !== undefined) return calendarWindow(calendar, nowMs).endMs;
  return algorithm === "fixed-window" ? (Math.floor(nowMs / windowMs) + 1) * windowMs : nowMs + windowMs;
}

/**
 * How long units may be used that were granted now, in milliseconds. Those of a window are for that window: whoever kept
 * them longer would use them beside the units of the next one. Where hub and store do not agree on when it ends, the
 * earlier holds.
 */
export function usableMs(limit: Limit, { validForMs, granted, repeated, resetMs }: Grant, nowMs: number): number {
  if (limit.algorithm !== "fixed-window" && limit.algorithm !== "calendar") return validForMs;
  const isNew = granted > 0 && repeated !== true;
  return Math.min(validForMs, windowEnd(limit, nowMs) - nowMs, isNew ? resetMs : Infinity);
}
