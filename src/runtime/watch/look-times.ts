/** When files are looked at again. */
export interface LookTimes {
  /** Milliseconds until the next look where something may have changed. */
  soonMs(entries: number): number;
  /** Until the next where nothing says so. `told`: the system tells of changes, so that looking is for what it does not see. */
  restMs(entries: number, told: boolean): number;
  /** Whether so many are looked at less often than few are. */
  areMany(entries: number): boolean;
}

/** At least so long it is waited for each file: however many there are, looking takes less than a hundredth of a core. */
const msAFile = 3;
/** The same where changes are told, which takes a thousandth of a core, up to a minute. */
const msAToldFile = 20;
const longestToldMs = 60_000;

/** What changes all the time is looked at every interval for so many times, then so seldom that it takes a fiftieth of a core. */
const soonAtOnce = 6;
const msASoonFile = 1;

/**
 * @param intervalMs how often a few files are looked at
 * @param now milliseconds of a clock that is never set
 */
export function createLookTimes(intervalMs: number, now: () => number): LookTimes {
  const slowMs = (entries: number): number => Math.max(intervalMs, entries * msAFile);
  let left = soonAtOnce;
  let sinceMs = now();
  return {
    soonMs(entries) {
      const eachMs = Math.max(intervalMs, entries * msASoonFile);
      const nowMs = now();
      left = Math.min(soonAtOnce, left + (nowMs - sinceMs) / eachMs) - 1;
      sinceMs = nowMs;
      return Math.max(intervalMs, -left * eachMs);
    },
    restMs(entries, told) {
      const ms = slowMs(entries);
      return told ? Math.max(ms, Math.min(entries * msAToldFile, longestToldMs)) : ms;
    },
    areMany: (entries) => slowMs(entries) > intervalMs,
  };
}
