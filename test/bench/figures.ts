import type { Slice, TargetResult } from "./load.ts";

/** Calls a second; the median over the slices. */
export const throughput = (result: TargetResult): number => median(result.slices.map((s) => s.answered / s.seconds));

/** Microseconds of the server's CPU a call; the median over the slices. */
export const cpu = (result: TargetResult): number => median(result.slices.map((s) => (s.serverCpu / s.answered) * 1e6));

/** The median of what a pair of slices that followed each other says, so that a slow moment falls on both. */
export function paired(a: TargetResult, b: TargetResult, of: (a: Slice, b: Slice) => number): number {
  return median(a.slices.map((slice, i) => of(slice, b.slices[i]!)));
}

export const ratio = (a: TargetResult, b: TargetResult): number =>
  paired(a, b, (x, y) => x.answered / x.seconds / (y.answered / y.seconds));

/** The throughput of a to that of b, were all of the core theirs: the ratio of their CPU a call, turned round. */
export const ratioByCpu = (a: TargetResult, b: TargetResult): number =>
  paired(a, b, (x, y) => y.serverCpu / y.answered / (x.serverCpu / x.answered));

/** What makes a line's figures doubtful. Calls that failed make them void. */
export function doubts(results: readonly TargetResult[]): string[] {
  const notes: string[] = [];
  for (const { name, slices, failed, failure } of results) {
    if (failed > 0) throw new Error(`${failed} calls to ${name} failed; the first: ${failure}`);
    const busy = median(slices.map((s) => s.serverCpu / s.seconds));
    const loadBusy = median(slices.map((s) => s.loadCpu / s.seconds));
    const percent = (share: number): string => `${Math.round(share * 100)} %`;
    if (busy < 0.9)
      notes.push(
        `${name} used ${percent(busy)} of its core (the load ${percent(loadBusy)} of its own): something else held the run back.`,
      );
  }
  return notes;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
