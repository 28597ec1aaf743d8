import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks a second in /proc (proc(5), sysconf(_SC_CLK_TCK)); 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** Seconds by which a difference of ticks may be wrong: those of user and of kernel are each cut to whole ones. */
const tickSlack = 2 / ticksPerSecond;

/** What a process has used of CPU, in seconds. */
export interface CpuReading {
  /** All threads, also those that have ended; in whole ticks. */
  readonly ticks: number;
  /** Each thread that lives, to the nanosecond; empty where the kernel does not say. */
  readonly threads: ReadonlyMap<string, number>;
}

/**
 * Begins to count the CPU of a process. Ask what it answers for the seconds that the process has used since, in user and
 * kernel, with all threads; it says 0 where /proc does not say.
 */
export function countCpu(pid: number): () => number {
  const before = readCpu(pid);
  return () => {
    const after = readCpu(pid);
    return before === undefined || after === undefined ? 0 : cpuBetween(before, after);
  };
}

/**
 * Seconds of CPU from one reading to a later one: the sum over threads, which is precise also for moments. Where threads
 * have ended, what they used last is told by the ticks only.
 */
export function cpuBetween(before: CpuReading, after: CpuReading): number {
  const ticks = after.ticks - before.ticks;
  if (after.threads.size === 0) return ticks;
  for (const thread of before.threads.keys()) if (!after.threads.has(thread)) return ticks;
  let sum = 0;
  for (const [thread, seconds] of after.threads) sum += seconds - (before.threads.get(thread) ?? 0);
  // Ticks that tell of more come from threads that have begun and ended in between.
  return ticks - sum > tickSlack ? ticks : sum;
}

export function readCpu(pid: number): CpuReading | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field is the command in brackets and may hold anything; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { ticks: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond, threads: readThreads(pid) };
}

/** Seconds of CPU of each thread: the first field of its schedstat (Linux, Documentation/scheduler/sched-stats.rst). */
function readThreads(pid: number): Map<string, number> {
  const threads = new Map<string, number>();
  for (const thread of list(`/proc/${pid}/task`)) {
    const stat = read(`/proc/${pid}/task/${thread}/schedstat`);
    if (stat !== undefined) threads.set(thread, Number(stat.split(" ")[0]) / 1e9);
  }
  return threads;
}

/**
 * Seconds in which the first thread of a process was ready to run and had no core, because others had it (Linux,
 * Documentation/scheduler/sched-stats.rst); `undefined` where /proc does not say.
 */
export function secondsWithoutCore(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/schedstat`);
  return stat === undefined ? undefined : Number(stat.split(" ")[1]) / 1e9;
}

/** Bytes of memory that a process has resident, now and at most so far; `undefined` where /proc does not say. */
export function residentBytes(pid: number): { now: number; peak: number } | undefined {
  const status = read(`/proc/${pid}/status`);
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status ?? "")?.[1]);
  return status === undefined ? undefined : { now: kib("VmRSS") * 1024, peak: kib("VmHWM") * 1024 };
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
