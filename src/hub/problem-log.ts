import type { Problem } from "../policy/index.ts";
import type { Log } from "../sdk/index.ts";

/** How many problems of one load are logged; `/status` and `weir validate` show them all. */
const maxLogged = 20;

/** Writes what is wrong in policies to the hub's own log: mistakes first. */
export function logProblems(log: Log, problems: readonly Problem[]): void {
  const isMistake = ({ severity }: Problem): boolean => severity === "error";
  for (const problem of problems.filter(isMistake).slice(0, maxLogged))
    log.error(logged(problem), "a mistake in the policies");
  for (const problem of problems.filter((each) => !isMistake(each)).slice(0, maxLogged))
    log.warn(logged(problem), "a warning about the policies");
  if (problems.length > maxLogged)
    log.warn({ problems: problems.length }, "not every problem is logged: see /status or weir validate");
}

function logged({ code, file, line, column, message, hint }: Problem): object {
  return { code, place: `${file}:${line}:${column}`, message, ...(hint === undefined ? {} : { hint }) };
}
