/** Waiting, handed in so that tests need not wait. */
export interface Timers {
  /** Runs a job once, `ms` from now, unless the returned function is called before. */
  after(ms: number, job: () => void): () => void;
}

/** The longest wait that Node's timers take; a longer one would run at once. */
const longest = 2 ** 31 - 1;

/** Node's timers. What is due at once has its turn after the events that are there: a timer of Node waits for 1 ms at least. */
export const systemTimers: Timers = {
  after(ms, job) {
    if (ms <= 0) {
      const turn = setImmediate(job);
      return () => clearImmediate(turn);
    }
    const timer = setTimeout(job, Math.min(ms, longest));
    return () => clearTimeout(timer);
  },
};
