import type { Slice, TargetResult } from "./load.ts";

/** Calls a second; the median over the slices. */
export const throughput = (result: TargetResult): number => median(result.slices.map((s) => s.answered / s.seconds));

/** Microseconds of the server's CPU a call; the median over the slices. */
export const cpu = (result: TargetResult): number => median(result.slices.map((s) => (s.serverCpu / s.answered) * 1e6));

/** The median of what a pair of slices that followed each other says, so that a slow moment falls on both. */
export function paired(a: TargetResult, b: TargetResult, of: (a: Slice, b: Slice) => number): number {
  return median(a.slices.map((slice, i) => of(slice, b.slices[i]!)));
}

/** How much of its core a server used; the median over the slices. */
const busy = (result: TargetResult): number => median(result.slices.map((s) => s.serverCpu / s.seconds));

/** Below this share of its core, a server was not what held the run back. */
const saturated = 0.9;

/**
 * The throughput of a to that of b. Where one of them did not have its core to itself, the clock says nothing of it: then
 * it is what their CPU a call promises.
 */
export function ratio(a: TargetResult, b: TargetResult): number {
  return Math.min(busy(a), busy(b)) < saturated
    ? paired(a, b, (x, y) => y.serverCpu / y.answered / (x.serverCpu / x.answered))
    : paired(a, b, (x, y) => x.answered / x.seconds / (y.answered / y.seconds));
}

/** What makes a line's figures doubtful. Calls that failed make them void. */
export function doubts(results: readonly TargetResult[]): string[] {
  const notes: string[] = [];
  for (const result of results) {
    const { name, slices, failed, failure } = result;
    if (failed > 0) throw new Error(`${failed} calls to ${name} failed; the first: ${failure}`);
    const loadBusy = median(slices.map((s) => s.loadCpu / s.seconds));
    const percent = (share: number): string => `${Math.round(share * 100)} %`;
    if (busy(result) < saturated)
      notes.push(
        `${name} used ${percent(busy(result))} of its core (the load ${percent(loadBusy)} of its own): something else held the run back, and ratios are those of CPU.`,
      );
  }
  return notes;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
