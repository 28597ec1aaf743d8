import type { Budget } from "../../sdk/index.ts";

/** What a proxy may pass by itself, in units of the limit. */
export interface Grant extends Budget {
  /** When it was first sent. */
  readonly sinceMs: number;
  /** When the proxy has certainly stopped using it, if it is not sent again. */
  untilMs: number;
}

/** The part of one bucket of one proxy in one count. Only its ledger changes it. */
export interface Claim {
  /** Units of one request. */
  readonly cost: number;
  /** Units a second that the proxy could use, as it reported. */
  demand: number;
  /** Whether it has not yet told how much it could use. */
  isNew: boolean;
  /** Whether its proxy is gone: what it was granted counts until it runs out. */
  isLeft: boolean;
  /** What the proxy was told last. */
  grant: Grant | undefined;
  /** What it was told before, as long as it may not have heard of the last. */
  old: Grant | undefined;
  /** What it should have. */
  target: Budget;
  /** Whether it has to give up what it has too much, because others lack it. */
  yields: boolean;
  /** Since when it has had, or not had, a part of the burst. */
  turnMs: number;
}

export const nothing: Budget = { rate: 0, burst: 0 };

/** Units a second that may pass by a claim: of two grants the proxy uses one. */
export function rateOf({ grant, old }: Claim): number {
  return Math.max(grant?.rate ?? 0, old?.rate ?? 0);
}

/** Units that may pass at once: a grant begins with its whole burst, whatever was used of the one before. */
export function burstOf({ grant, old }: Claim): number {
  return (grant?.burst ?? 0) + (old?.burst ?? 0);
}
