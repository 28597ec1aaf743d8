import { parseDuration, type Limit } from "../../sdk/index.ts";
import { WeirError } from "../../util/weir-error.ts";
import { windowEnd } from "./windows.ts";

/** How long something is granted, as people say it: `for: 1h` or `until: 2027-01-31T00:00:00Z`; else until the window ends. */
export interface GrantSpan {
  readonly for?: unknown;
  readonly until?: unknown;
}

/** The longest time that something is granted for. Beyond it, the limit is what should be changed. */
const maxGrantMs = 366 * 86_400_000;

/** Until when something is granted, in milliseconds since 1970. Throws WEIR_REQUEST_MALFORMED. */
export function grantEnd(span: GrantSpan, limit: Limit, nowMs: number): number {
  return untilOf(span, nowMs) ?? windowEnd(limit, nowMs);
}

/** Until when it is said to be; `undefined` where nothing is said of it. */
function untilOf({ for: time, until }: GrantSpan, nowMs: number): number | undefined {
  if (time === undefined && until === undefined) return undefined;
  const malformed = (message: string): WeirError => new WeirError("WEIR_REQUEST_MALFORMED", message);
  if (time !== undefined && until !== undefined) throw malformed('expected "for" or "until", not both');
  const ms = typeof time === "string" ? (parseDuration(time) ?? NaN) : NaN;
  const untilMs = time !== undefined ? nowMs + ms : typeof until === "string" ? Date.parse(until) : NaN;
  if (untilMs > nowMs && untilMs - nowMs <= maxGrantMs) return untilMs;
  const got = JSON.stringify(time ?? until).slice(0, 100);
  throw malformed(
    time !== undefined
      ? `expected "for" to be a duration such as 1h, of 366 days at most, got ${got}`
      : `expected "until" to be a time to come such as 2027-01-31T00:00:00Z, 366 days ahead at most, got ${got}`,
  );
}
