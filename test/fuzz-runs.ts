import fc from "fast-check";

/**
 * How many inputs a property is tried with: the usual number, times WEIR_FUZZ where that is set (`npm run fuzz -- 50`).
 */
export function fuzzRuns(usual: number): number {
  const factor = Number(process.env["WEIR_FUZZ"] ?? 1);
  if (!(factor > 0)) throw new RangeError(`WEIR_FUZZ: expected a factor above 0, got "${process.env["WEIR_FUZZ"]}"`);
  return Math.max(1, Math.round(usual * factor));
}

/**
 * What the inputs of properties are drawn from. The same for every `npm test`, so that one that fails shows what a change
 * did; `npm run fuzz` draws others each time, and says from what. WEIR_SEED (0 to 2^31 - 1) shows those again.
 */
export const fuzzSeed = Number(process.env["WEIR_SEED"] ?? 20_261_121);
if (!(Number.isInteger(fuzzSeed) && fuzzSeed >= 0 && fuzzSeed < 2 ** 31))
  throw new RangeError(`WEIR_SEED: expected a number from 0 to 2^31 - 1, got "${process.env["WEIR_SEED"]}"`);

// ava loads this file before those with tests.
fc.configureGlobal({ seed: fuzzSeed });
