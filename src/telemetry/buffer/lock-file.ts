import { readFile, rm, writeFile } from "node:fs/promises";
import { WeirError } from "../../util/weir-error.ts";

/** That a process has something to itself. */
export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes `what` for this process by making a file: two hubs that write the same files would ruin them. The lock of a process
 * that is gone counts for nothing. Throws WEIR_BUFFER_IN_USE.
 */
export async function lock(path: string, what: string): Promise<Lock> {
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(path, String(process.pid), { flag: "wx" });
      return { release: () => rm(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const owner = Number(await readFile(path, "utf8").catch(() => ""));
      if (attempt > 3 || isRunning(owner)) {
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
