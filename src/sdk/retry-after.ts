/**
 * A `Retry-After` of HTTP in milliseconds from now: seconds or a date (RFC 9110, 10.2.3); `undefined` when it is neither.
 * For `retryAfterMs` of `Exported`.
 */
export function parseRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const at = /^[A-Z][a-z]{2}/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
