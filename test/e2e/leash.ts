import { existsSync } from "node:fs";

/** Of util-linux, which every Debian has. */
const setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].find((path) => existsSync(path));

/**
 * The command line that runs a program which ends with this process, whatever this one ends of: a test that runs out of
 * time or crashes gets to no teardown. The kernel sends the signal (prctl(2), PR_SET_PDEATHSIG), so where there is no
 * `setpriv` the program runs without. It is the process that `spawn` answers, not a child of it.
 *
 * @param signal `TERM` for a program that has processes of its own to end.
 */
export function leashed(
  command: string,
  args: readonly string[],
  signal: "KILL" | "TERM" = "KILL",
): [command: string, args: readonly string[]] {
  return setpriv === undefined ? [command, args] : [setpriv, ["--pdeathsig", signal, command, ...args]];
}
