/** Whether an answer's message, `bytes[start]` to `bytes[end - 1]`, is what a working server says. */
export type Accept = (bytes: Buffer, start: number, end: number) => boolean;

/** What working servers answer, by the name that a plan gives it. */
export const expectations = {
  /** A CheckResponse whose precondition is OK. */
  allow: (bytes: Buffer, start: number, end: number) => preconditionCode(bytes, start, end) === 0,
  /** A CheckResponse that refuses. */
  refuse: (bytes: Buffer, start: number, end: number) => (preconditionCode(bytes, start, end) ?? 0) > 0,
  /** An answer of ext_authz that lets pass: it begins with an empty status. */
  pass: (bytes: Buffer, start: number) => bytes[start] === 0x0a && bytes[start + 1] === 0,
  /** An answer of ext_authz that refuses: it begins with a status whose first field is its code. */
  deny: (bytes: Buffer, start: number) =>
    bytes[start] === 0x0a && bytes[start + 1]! > 2 && bytes[start + 2] === 0x08 && bytes[start + 3]! > 0,
  /** A RateLimitResponse within all limits: field 1, `overall_code`, comes first. */
  within: (bytes: Buffer, start: number, end: number) =>
    end - start > 2 && bytes[start] === 0x08 && bytes[start + 1] === 1,
  /** A ReportResponse. */
  empty: (_: Buffer, start: number, end: number) => start === end,
} as const satisfies Record<string, Accept>;

export type Expectation = keyof typeof expectations;

/**
 * The status code in a CheckResponse, read from its bytes: it begins with field 2, `precondition`, which begins with
 * field 1, `status`, which begins with field 1, `code`. A part that is left out stands for OK; `undefined` when the
 * message begins with anything else.
 */
function preconditionCode(bytes: Buffer, start: number, end: number): number | undefined {
  if (start >= end || bytes[start] !== 0x12) return undefined;
  let at = start + 1;
  while (bytes[at]! > 0x7f) at++;
  at++;
  if (at >= end || bytes[at] !== 0x0a) return at > end ? undefined : 0;
  const length = bytes[at + 1]!;
  return length > 0 && bytes[at + 2] === 0x08 ? bytes[at + 3] : 0;
}
