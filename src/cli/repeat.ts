import { InvalidArgumentError } from "commander";

/** How long the calls took that were answered, in milliseconds, ascending. */
export interface Timings {
  readonly latencies: Float64Array;
  /** How many calls were made. */
  readonly made: number;
}

/** The most calls of one command. */
const maxRepeat = 1_000_000;

/** After so many calls in a row without an answer no further call is made. */
const maxUnanswered = 10;

/**
 * Makes `times` calls, `concurrency` of them at the same time; fewer when the hub is gone. The job says whether it was
 * answered: how soon a hub that is not there fails is no latency.
 */
export async function repeat(
  times: number,
  concurrency: number,
  now: () => number,
  job: () => Promise<boolean>,
): Promise<Timings> {
  const latencies = new Float64Array(times);
  let made = 0;
  let answered = 0;
  let unanswered = 0;
  const worker = async (): Promise<void> => {
    while (made < times && unanswered < maxUnanswered) {
      made++;
      const start = now();
      if (await job()) {
        latencies[answered++] = now() - start;
        unanswered = 0;
      } else unanswered++;
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, times) }, worker));
  return { latencies: latencies.subarray(0, answered).sort(), made };
}

/** Shares of the calls that took no longer, in milliseconds to the hundredth: of 100 calls `p99` is the second longest. */
export function percentiles({ latencies }: Timings): Readonly<Record<"p50" | "p90" | "p99" | "max", number>> {
  const at = (share: number): number =>
    Math.round(latencies[Math.max(0, Math.ceil(share * latencies.length) - 1)]! * 100) / 100;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

/** `p50 0.31 ms, p90 0.40 ms, p99 1.20 ms, max 3.00 ms`. */
export function percentilesText(timings: Timings): string {
  return Object.entries(percentiles(timings))
    .map(([name, ms]) => `${name} ${ms.toFixed(2)} ms`)
    .join(", ");
}

/** Reads a count from the command line: 1 to 1,000,000. */
export function readCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > maxRepeat) {
    throw new InvalidArgumentError(`expected a whole number from 1 to ${maxRepeat}`);
  }
  return count;
}
