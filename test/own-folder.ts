/**
 * Gives each process of tests a folder of its own for what is temporary (`os.tmpdir()`, which children inherit), and
 * takes it away at the end. What processes that were killed left behind goes when the next one starts. ava loads this
 * file before those with tests.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { basename, dirname, join } from "node:path";

const name = `weir-tests-${userInfo().uid}`;
const outer = tmpdir();
/** A process of tests that another has started shares what is swept, and no folder. */
const all = basename(dirname(outer)) === name ? dirname(outer) : join(outer, name);
const own = join(all, String(process.pid));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** What somebody else's processes left, or still write to, may not be ours to take away: the next run tries again. */
function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // Left for the next.
  }
}

mkdirSync(all, { recursive: true });
for (const folder of readdirSync(all)) if (/^\d+$/.test(folder) && !isAlive(Number(folder))) remove(join(all, folder));
remove(own);
mkdirSync(own);
process.env["TMPDIR"] = own;
process.once("exit", () => remove(own));
