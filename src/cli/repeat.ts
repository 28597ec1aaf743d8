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

/** `p50 0.31 ms, p90 0.40 ms, p99 1.20 ms, max 3.00 ms`. */
export function percentiles({ latencies }: Timings): string {
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))]!;
  const shown = Object.entries({ p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) });
  return shown.map(([name, ms]) => `${name} ${ms.toFixed(2)} ms`).join(", ");
}

/** Reads a count from the command line: 1 to 1,000,000. */
export function readCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > maxRepeat) {
    throw new InvalidArgumentError(`expected a whole number from 1 to ${maxRepeat}`);
  }
  return count;
}
