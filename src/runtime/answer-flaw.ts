import { refusalCodes } from "../sdk/index.ts";
import type { Charge, Grant, HoldChange, HoldOutcome, Share, Stake, Verdict } from "../sdk/index.ts";

/** What is wrong with the verdict of an adapter, or `undefined`. It may be anything: adapters are not all written in TypeScript. */
export function verdictFlaw(value: Verdict): string | undefined {
  if (typeof value !== "object" || value === null) return "a verdict is an object with allow";
  const { allow, validForMs, validUses } = value;
  if (typeof allow !== "boolean") return "allow is neither true nor false";
  if (validForMs !== undefined && !isAmount(validForMs)) return "validForMs is no number of 0 or more";
  if (validUses !== undefined && !isAmount(validUses)) return "validUses is no number of 0 or more";
  if (allow) return undefined;
  const { code, message } = value as Exclude<Verdict, { allow: true }>;
  if (message !== undefined && typeof message !== "string") return "message is no text";
  if (code === undefined || Object.hasOwn(refusalCodes, code)) return undefined;
  return `code ${JSON.stringify(String(code).slice(0, 40))} is not the name of a refusal's status`;
}

/** What is wrong with the grants for charges, or `undefined`. */
export function grantsFlaw(value: readonly Grant[], charges: readonly Charge[]): string | undefined {
  if (!Array.isArray(value)) return "grants are a list, one for each charge";
  if (value.length !== charges.length) return `${value.length} grants came for ${charges.length} charges`;
  for (let i = 0; i < charges.length; i++) {
    const flaw = grantFlaw((value as readonly Grant[])[i]!, charges[i]!);
    if (flaw !== undefined) return `grant ${i}: ${flaw}`;
  }
  return undefined;
}

/** What is wrong with the outcomes of changes, or `undefined`. */
export function outcomesFlaw(
  value: readonly (readonly HoldOutcome[])[],
  changes: readonly HoldChange[],
): string | undefined {
  if (!Array.isArray(value) || value.length !== changes.length) return "outcomes are a list, one for each change";
  for (const outcomes of value as readonly unknown[]) {
    if (!Array.isArray(outcomes)) return "the outcome of a change is a list, one for each limit";
    for (const { limit, units, forMs } of outcomes as readonly HoldOutcome[]) {
      if (typeof limit !== "string") return "limit is no text";
      if (typeof units !== "number" || !Number.isFinite(units)) return "units is no finite number";
      if (forMs !== undefined && !isCount(forMs)) return "forMs is no finite number of 0 or more";
    }
  }
  return undefined;
}

/** What is wrong with the shares for stakes, or `undefined`. */
export function sharesFlaw(value: readonly Share[], stakes: readonly Stake[]): string | undefined {
  if (!Array.isArray(value)) return "shares are a list, one for each stake";
  if (value.length !== stakes.length) return `${value.length} shares came for ${stakes.length} stakes`;
  for (const [i, share] of (value as readonly Share[]).entries()) {
    if (typeof share !== "object" || share === null) return `share ${i} is no object`;
    if (!isCount(share.rate)) return `share ${i}: rate is no finite number of 0 or more`;
    if (!isCount(share.burst)) return `share ${i}: burst is no finite number of 0 or more`;
    if (typeof share.isFresh !== "boolean") return `share ${i}: isFresh is neither true nor false`;
  }
  return undefined;
}

function grantFlaw(grant: Grant, charge: Charge): string | undefined {
  if (typeof grant !== "object" || grant === null) return "it is no object";
  const { allowed, granted, remaining, resetMs, retryAfterMs, validForMs } = grant;
  if (typeof allowed !== "boolean") return "allowed is neither true nor false";
  if (!isCount(granted)) return "granted is no finite number of 0 or more";
  if (!isCount(remaining)) return "remaining is no finite number of 0 or more";
  if (!isCount(resetMs)) return "resetMs is no finite number of 0 or more";
  if (!isCount(validForMs)) return "validForMs is no finite number of 0 or more";
  if (retryAfterMs !== undefined && !isCount(retryAfterMs)) return "retryAfterMs is no finite number of 0 or more";
  if (!allowed && granted > 0) return "it is refused and grants units all the same";
  // A repeated grant is that of the first charge, which may have asked for more. Stores of doubles round.
  if (grant.repeated !== true && granted > charge.amount * (1 + 1e-9)) return "it grants more than was asked for";
  return undefined;
}

/** A bound: `Infinity` sets none. */
function isAmount(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && value !== Infinity;
}
