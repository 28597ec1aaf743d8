import { readFile, rm, writeFile } from "node:fs/promises";
import type { Timers } from "../../util/timers.ts";
import { WeirError } from "../../util/weir-error.ts";

/** That a process has something to itself. */
export interface Lock {
  release(): Promise<void>;
}

/** For how long an owner that runs is waited for, and how often it is looked at. */
const patienceMs = 1000;
const lookMs = 50;

/**
 * Takes `what` for this process by making a file: two hubs that write the same files would ruin them. The lock of a process
 * that is gone counts for nothing, also where its number is another's by now: after a restart of the machine, or of a
 * container. Throws WEIR_BUFFER_IN_USE.
 *
 * @param timers given where an owner may have a moment to go: one that was killed still runs until the system has taken it down
 */
export async function lock(path: string, what: string, timers?: Timers): Promise<Lock> {
  let waitedMs = timers === undefined ? patienceMs : 0;
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(path, `${process.pid} ${(await beginOf(process.pid)) ?? ""}`.trimEnd(), { flag: "wx" });
      return { release: () => rm(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const [pid = "", begin] = (await readFile(path, "utf8").catch(() => "")).split(" ");
      const owner = Number(pid);
      const runs = (await isRunning(owner)) && (await mayHaveBegun(owner, begin));
      if (runs && waitedMs < patienceMs) {
        await new Promise<void>((resolve) => void timers!.after(lookMs, resolve));
        waitedMs += lookMs;
        attempt--;
        continue;
      }
      if (attempt > 3 || runs) {
        const message = `${what} is in use by process ${owner}; where that is no hub, remove ${path}`;
        throw new WeirError("WEIR_BUFFER_IN_USE", message);
      }
      await rm(path, { force: true });
    }
  }
}

/** Whether another process of that number runs. In a container a hub that is started again has the number of the one before. */
async function isRunning(pid: number): Promise<boolean> {
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const known = await statusOf(pid);
  // One that has ended keeps its number until its parent has asked how. A thread of it may still be in a write until then.
  return !(known !== undefined && /[ZX]/.test(known.state) && known.threads <= 1);
}

/** Whether a process may be the one that began then. */
async function mayHaveBegun(pid: number, begin: string | undefined): Promise<boolean> {
  const known = begin === undefined ? undefined : await beginOf(pid);
  return known === undefined || known === begin;
}

/**
 * Which boot of the machine a process began in, and how many ticks after it, by which it is told from others that have the
 * same number at other times. `undefined` where the system does not say.
 */
async function beginOf(pid: number): Promise<string | undefined> {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => undefined);
  const known = await statusOf(pid);
  return boot === undefined || known === undefined ? undefined : `${boot.trim()}-${known.ticks}`;
}

/** What the system says of a process, see proc(5); `undefined` where it does not. */
async function statusOf(pid: number): Promise<{ state: string; threads: number; ticks: string } | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in brackets, which may have blanks and brackets in it.
    const [, state = "", ...fields] = stat.slice(stat.lastIndexOf(")")).split(" ");
    return { state, threads: Number(fields[16]), ticks: fields[18] ?? "" };
  } catch {
    return undefined;
  }
}
