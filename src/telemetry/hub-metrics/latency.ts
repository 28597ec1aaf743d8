import type { Cell } from "./cells.ts";
import { latencyBounds } from "./names.ts";

/** A histogram of latencies, in seconds. `value` is their sum. */
export class Latency implements Cell {
  readonly labels: readonly string[];
  value = 0;
  /** Observations by bucket, not cumulated; the last is +Inf. */
  readonly counts = new Float64Array(latencyBounds.length + 1);

  constructor(labels: readonly string[]) {
    this.labels = labels;
  }

  observe(ms: number): void {
    // A clock that was set back must not spoil a sum that only grows.
    const seconds = ms > 0 ? ms / 1000 : 0;
    let bucket = 0;
    while (bucket < latencyBounds.length && latencyBounds[bucket]! < seconds) bucket++;
    this.counts[bucket]!++;
    this.value += seconds;
  }
  /** The two together, under the labels of this one. */
  with(other: Latency): Latency {
    const sum = new Latency(this.labels);
    sum.value = this.value + other.value;
    for (let i = 0; i < sum.counts.length; i++) sum.counts[i] = this.counts[i]! + other.counts[i]!;
    return sum;
  }
}
