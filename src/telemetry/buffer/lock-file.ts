import { readFile, rm, writeFile } from "node:fs/promises";
import { WeirError } from "../../util/weir-error.ts";

/** That a process has something to itself. */
export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes `what` for this process by making a file: two hubs that write the same files would ruin them. The lock of a process
 * that is gone counts for nothing, also where its number is another's by now: after a restart of the machine, or of a
 * container. Throws WEIR_BUFFER_IN_USE.
 */
export async function lock(path: string, what: string): Promise<Lock> {
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(path, `${process.pid} ${(await beginOf(process.pid)) ?? ""}`.trimEnd(), { flag: "wx" });
      return { release: () => rm(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const [pid = "", begin] = (await readFile(path, "utf8").catch(() => "")).split(" ");
      const owner = Number(pid);
      if (attempt > 3 || (isRunning(owner) && (await mayHaveBegun(owner, begin)))) {
        const message = `${what} is in use by process ${owner}; where that is no hub, remove ${path}`;
        throw new WeirError("WEIR_BUFFER_IN_USE", message);
      }
      await rm(path, { force: true });
    }
  }
}

/** Whether another process of that number runs. In a container a hub that is started again has the number of the one before. */
function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Whether a process may be the one that began then. */
async function mayHaveBegun(pid: number, begin: string | undefined): Promise<boolean> {
  const known = begin === undefined ? undefined : await beginOf(pid);
  return known === undefined || known === begin;
}

/**
 * Which boot of the machine a process began in, and how many ticks after it, by which it is told from others that have the
 * same number at other times. See proc(5); `undefined` where the system does not say.
 */
async function beginOf(pid: number): Promise<string | undefined> {
  try {
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in brackets, which may have blanks and brackets in it.
    const [, , ...fields] = stat.slice(stat.lastIndexOf(")")).split(" ");
    return `${boot.trim()}-${fields[18]}`;
  } catch {
    return undefined;
  }
}
