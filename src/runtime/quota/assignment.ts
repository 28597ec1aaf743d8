import type { Budget } from "../../sdk/index.ts";

/** What a proxy is told of a bucket. */
export type Assignment =
  | { readonly kind: "allow" | "deny" }
  /** A token bucket that begins full. */
  | Tokens;

export interface Tokens {
  readonly kind: "tokens";
  /** Requests at once, 1 or more. */
  readonly maxTokens: number;
  /** Requests that come in each interval, 1 or more. */
  readonly tokensPerFill: number;
  /** Whole seconds, 1 or more. */
  readonly fillSeconds: number;
}

const maxUint32 = 0xffff_ffff;

/** The interval is made so long that a whole number of requests comes in it that is right to a hundredth. */
const precision = 100;

/** The longest interval: a year. */
const maxFillSeconds = 366 * 86_400;

/** A rate and burst of requests as a token bucket, rounded down; `undefined` where not even one request could pass. */
export function tokensOf({ rate, burst }: Budget): Tokens | undefined {
  // What was divided and added up again may lack a little of a whole number.
  const maxTokens = Math.min(maxUint32, Math.floor(burst + 1e-6));
  if (maxTokens < 1 || !(rate > 0)) return undefined;
  const fillSeconds = Math.min(maxFillSeconds, Math.max(1, Math.ceil(precision / rate)));
  const tokensPerFill = Math.min(maxUint32, Math.floor(rate * fillSeconds + 1e-6));
  return tokensPerFill < 1 ? undefined : { kind: "tokens", maxTokens, tokensPerFill, fillSeconds };
}

/** Requests a second, and at once. */
export function budgetOfTokens({ maxTokens, tokensPerFill, fillSeconds }: Tokens): Budget {
  return { rate: tokensPerFill / fillSeconds, burst: maxTokens };
}
