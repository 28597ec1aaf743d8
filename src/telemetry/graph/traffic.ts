/** Into how many steps a window is cut. What is older than the window goes step by step. */
export const windowSteps = 10;

/** Bounds of the latency buckets: 0.25 ms, then twice the last, up to 65 s; one bucket more is for what took longer. */
const finiteBuckets = 19;
const buckets = finiteBuckets + 1;
/** Numbers of a step: its requests by latency, those whose latency is not known, and those that failed. */
const unknownAt = buckets;
const errorsAt = buckets + 1;
const width = buckets + 2;

/** What went over an edge within a window. */
export interface TrafficSum {
  requests: number;
  errors: number;
  /** Requests by the latency buckets of {@link latencyBoundsMs}, not cumulated; the last is for longer ones. */
  latency: number[];
}

/** Upper bounds of the latency buckets, in milliseconds. */
export const latencyBoundsMs: readonly number[] = Array.from({ length: finiteBuckets }, (_, i) => 2 ** i / 4);

/**
 * The requests of one edge over a window that goes with time: counts in a ring of steps, of which each is emptied when
 * its time comes again. 900 bytes, however much goes over the edge.
 */
export class Traffic {
  readonly #counts = new Uint32Array(windowSteps * width);
  /** Which step each part of the ring holds. */
  readonly #held = new Float64Array(windowSteps).fill(-1);
  #lastStep = -1;

  /** The last step in which something was counted; -1: none. */
  get lastStep(): number {
    return this.#lastStep;
  }

  /**
   * Counts requests that are alike.
   *
   * @param requests how many
   * @param step the number of the step that the request falls into: time divided by the length of a step
   * @param ms how long it took; `NaN` where that is not known
   */
  count(requests: number, step: number, failed: boolean, ms: number): void {
    const part = step % windowSteps;
    const o = part * width;
    if (this.#held[part] !== step) {
      this.#counts.fill(0, o, o + width);
      this.#held[part] = step;
      this.#lastStep = step;
    }
    this.#counts[o + bucketOf(ms)]! += requests;
    if (failed) this.#counts[o + errorsAt]! += requests;
  }

  /** What was counted in the window that ends with `step`. */
  sum(step: number): TrafficSum {
    const sum: TrafficSum = { requests: 0, errors: 0, latency: new Array<number>(buckets).fill(0) };
    for (let part = 0; part < windowSteps; part++) {
      const held = this.#held[part]!;
      if (held < 0 || held > step || held <= step - windowSteps) continue;
      const o = part * width;
      for (let i = 0; i < buckets; i++) {
        const count = this.#counts[o + i]!;
        sum.latency[i]! += count;
        sum.requests += count;
      }
      sum.requests += this.#counts[o + unknownAt]!;
      sum.errors += this.#counts[o + errorsAt]!;
    }
    return sum;
  }
}

function bucketOf(ms: number): number {
  if (!(ms >= 0)) return unknownAt;
  if (ms <= 0.25) return 0;
  // Quarters of a millisecond, rounded up: their number of binary digits is the bucket.
  return Math.min(32 - Math.clz32(Math.min(Math.ceil(ms * 4), 2 ** 31) - 1), finiteBuckets);
}
