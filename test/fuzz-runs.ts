/**
 * How many inputs a property is tried with: the usual number, times WEIR_FUZZ where that is set (`npm run fuzz -- 50`).
 * A property that fails prints its seed and path; hand both to `fc.assert` to see it again.
 */
export function fuzzRuns(usual: number): number {
  const factor = Number(process.env["WEIR_FUZZ"] ?? 1);
  if (!(factor > 0)) throw new RangeError(`WEIR_FUZZ: expected a factor above 0, got "${process.env["WEIR_FUZZ"]}"`);
  return Math.max(1, Math.round(usual * factor));
}
