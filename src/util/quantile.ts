/**
 * An estimate of a quantile of what was counted in buckets: linear within the bucket that holds it, as Prometheus's
 * `histogram_quantile` has it. What lies in the last bucket, which has no upper bound, counts as its lower bound.
 *
 * @param q from 0 to 1
 * @param counts one more than there are bounds, not cumulated
 * @param bounds the upper bounds of the buckets, ascending
 * @returns `undefined` when nothing was counted
 */
export function quantileOf(q: number, counts: readonly number[], bounds: readonly number[]): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  const rank = q * total;
  let below = 0;
  for (const [i, bound] of bounds.entries()) {
    const count = counts[i] ?? 0;
    const from = bounds[i - 1] ?? 0;
    if (count > 0 && below + count >= rank) return from + ((bound - from) * (rank - below)) / count;
    below += count;
  }
  return bounds.at(-1);
}
