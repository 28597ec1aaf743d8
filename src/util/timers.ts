/** Waiting, handed in so that tests need not wait. */
export interface Timers {
  /** Runs a job once, `ms` from now, unless the returned function is called before. */
  after(ms: number, job: () => void): () => void;
}

/** The longest wait that Node's timers take; a longer one would run at once. */
const longest = 2 ** 31 - 1;

/** Node's timers. */
export const systemTimers: Timers = {
  after(ms, job) {
    const timer = setTimeout(job, Math.min(ms, longest));
    return () => clearTimeout(timer);
  },
};
