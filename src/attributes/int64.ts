import type { Int64 } from "./value.ts";

export const minInt64 = -(2n ** 63n);
export const maxInt64 = 2n ** 63n - 1n;

/** The integer in its one form: a number where that is exact, else a bigint; `undefined` beyond 64 bits. */
export function int64(value: bigint): Int64 | undefined {
  if (value < minInt64 || value > maxInt64) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Reads decimal digits with an optional sign; `undefined` when the text is not that or exceeds 64 bits. */
export function parseInt64(text: string): Int64 | undefined {
  // 19 digits are the most that 64 bits take; the rest may be leading zeros, and text without end is not read.
  if (text.length > 64 || !/^[+-]?\d+$/.test(text)) return undefined;
  return int64(BigInt(text.startsWith("+") ? text.slice(1) : text));
}
