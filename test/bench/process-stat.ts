import { readFileSync } from "node:fs";

/** Clock ticks a second in /proc (proc(5), sysconf(_SC_CLK_TCK)); 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** Seconds of CPU that a process has used, in user and kernel; `undefined` where /proc does not say. */
export function cpuSeconds(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // The second field is the command in brackets and may hold anything; utime and stime are fields 14 and 15.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields === undefined ? undefined : (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
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
