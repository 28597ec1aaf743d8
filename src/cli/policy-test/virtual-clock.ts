import type { Timers } from "../../util/timers.ts";

/** How long work in the real world is waited for before time passes all the same, in real milliseconds. */
const patienceMs = 5000;

interface Job {
  readonly dueMs: number;
  readonly run: () => void;
}

/** A clock that stands until it is moved, and timers that run when it passes them. */
export interface VirtualClock {
  /** Milliseconds since 1970. */
  now(): number;
  readonly timers: Timers;
  /** Moves the clock, running on the way what falls due, in its order. */
  advance(ms: number): Promise<void>;
  /** Runs what is due now and all that follows at once from it. */
  settle(): Promise<void>;
  /**
   * Waits for a promise. When nothing but time can settle it, time passes: the clock goes to the next timer. `outside`
   * is work in the real world that is waited for first, for some seconds of real time.
   */
  until<T>(promise: Promise<T>, outside: ReadonlySet<Promise<unknown>>): Promise<T>;
}

export function createVirtualClock(startMs: number): VirtualClock {
  let now = startMs;
  const jobs = new Set<Job>();
  const next = (untilMs: number): Job | undefined => {
    let first: Job | undefined;
    for (const job of jobs) if (job.dueMs <= untilMs && (first === undefined || job.dueMs < first.dueMs)) first = job;
    return first;
  };
  const runUntil = async (untilMs: number): Promise<void> => {
    await settled();
    for (let job = next(untilMs); job !== undefined; job = next(untilMs)) {
      jobs.delete(job);
      now = Math.max(now, job.dueMs);
      job.run();
      await settled();
    }
    now = Math.max(now, untilMs);
  };
  return {
    now: () => now,
    timers: {
      after(ms, run) {
        const job = { dueMs: now + ms, run };
        jobs.add(job);
        return () => jobs.delete(job);
      },
    },
    advance: (ms) => runUntil(now + ms),
    settle: () => runUntil(now),
    async until(promise, outside) {
      let done = false;
      const ended = promise.finally(() => (done = true));
      ended.catch(() => undefined);
      for (;;) {
        await runUntil(now);
        if (done) return ended;
        if (outside.size > 0 && (await anyWithin([ended, ...outside], patienceMs))) continue;
        const job = next(Infinity);
        if (job === undefined) throw new Error("an answer is waited for that nothing can bring about");
        await runUntil(job.dueMs);
      }
    },
  };
}

/** Lets everything happen that waits for nothing but its turn. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits until one of the promises settles; `false` when none did in time. */
async function anyWithin(promises: readonly Promise<unknown>[], ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), ms)));
  const settled = promises.map((each) => each.then(done, done));
  try {
    return await Promise.race([late, ...settled]);
  } finally {
    clearTimeout(timer);
  }
}

function done(): boolean {
  return true;
}
