import type { DoorSettings } from "../policy/schema/doors.ts";
import type { LimitState } from "../runtime/decision.ts";

/** A header field, its name in lower case. */
export type Field = readonly [name: string, value: string];

const none: readonly never[] = [];

/** The largest integer of a structured field (RFC 9651, 3.3.1). */
const maxInteger = 999_999_999_999_999;

/**
 * The header fields that tell a caller where its limits stand: `retry-after` (RFC 9110, 10.2.3) when one of them
 * refuses and more could be there later, and those that `settings` asks for:
 *
 * - `draft`: `ratelimit-policy` and `ratelimit` of draft-ietf-httpapi-ratelimit-headers, an item for each limit by its
 *   name `policy/rule`: `q` units in `w` seconds, or of `qu` at once, `r` left, full again in `t` seconds. A limit whose store did not
 *   answer has the parameter `degraded`, and nothing is said of what is left.
 * - any of them: `x-weir-degraded` with the names of limits whose store did not answer, so that `onError` did. It is in
 *   every answer that has such limits, whatever `on` says.
 * - `legacy`: `x-ratelimit-limit`, `-remaining` and `-reset` (in seconds) of the limit that is nearest to its end.
 */
export function rateLimitFields(
  limits: readonly LimitState[],
  { style, on }: DoorSettings["rateLimitFields"],
): readonly Field[] {
  if (limits.length === 0) return none;
  const refused = limits.some(({ allowed }) => !allowed);
  const degraded = style === "none" ? none : degradedRules(limits);
  const tellsOfLimits = refused || (on === "always" && style !== "none");
  if (!tellsOfLimits && degraded.length === 0) return none;
  const fields: Field[] = degraded.length === 0 ? [] : [["x-weir-degraded", degraded.join(", ")]];
  if (!tellsOfLimits) return fields;
  if (refused) addRetryAfter(fields, limits);
  if (style === "draft" || style === "both") {
    fields.push(
      ["ratelimit-policy", limits.map(policyItem).join(", ")],
      ["ratelimit", limits.map(stateItem).join(", ")],
    );
  }
  if (style === "legacy" || style === "both") addLegacy(fields, limits);
  return fields;
}

/** The limits whose store did not answer, each once. */
export function degradedRules(limits: readonly LimitState[]): readonly string[] {
  let rules: string[] | undefined;
  for (const { rule, degraded } of limits) {
    if (degraded === true && rules?.includes(rule) !== true) (rules ??= []).push(rule);
  }
  return rules ?? none;
}

/** The longest that a refusing limit asks to wait; nothing where one of them will never grant so much. */
function addRetryAfter(fields: Field[], limits: readonly LimitState[]): void {
  let ms = 0;
  for (const { allowed, retryAfterMs } of limits) {
    if (allowed) continue;
    if (retryAfterMs === undefined) return;
    ms = Math.max(ms, retryAfterMs);
  }
  fields.push(["retry-after", String(Math.max(1, seconds(ms)))]);
}

function policyItem({ rule, amount, windowMs, concurrent }: LimitState): string {
  if (concurrent === true) return `${text(rule)};q=${units(amount)};qu="concurrent-requests"`;
  // The window is in whole seconds; one that is none is left out, which the draft allows.
  const window = windowMs % 1000 === 0 ? `;w=${windowMs / 1000}` : "";
  return `${text(rule)};q=${units(amount)}${window}`;
}

function stateItem({ rule, remaining, resetMs, degraded }: LimitState): string {
  if (degraded === true) return `${text(rule)};r=0;degraded`;
  return `${text(rule)};r=${units(remaining)};t=${seconds(resetMs)}`;
}

function addLegacy(fields: Field[], limits: readonly LimitState[]): void {
  const known = limits.filter(({ degraded }) => degraded !== true);
  if (known.length === 0) return;
  const { amount, remaining, resetMs } = known.reduce((a, b) => (isNearer(b, a) ? b : a));
  fields.push(
    ["x-ratelimit-limit", String(units(amount))],
    ["x-ratelimit-remaining", String(units(remaining))],
    ["x-ratelimit-reset", String(seconds(resetMs))],
  );
}

/** Whether a limit is nearer to its end: one that refuses, then one with a smaller part left. */
function isNearer(a: LimitState, b: LimitState): boolean {
  if (a.allowed !== b.allowed) return !a.allowed;
  return a.remaining / a.amount < b.remaining / b.amount;
}

function units(amount: number): number {
  return Math.min(maxInteger, Math.max(0, Math.floor(amount)));
}

function seconds(ms: number): number {
  return Math.min(maxInteger, Math.max(0, Math.ceil(ms / 1000)));
}

/** A string of a structured field (RFC 9651, 3.3.3). Names of rules are ASCII; anything else is left out. */
function text(name: string): string {
  return `"${name.replace(/[^ -~]/g, "").replace(/["\\]/g, "\\$&")}"`;
}
