import { builtinAdapters } from "../../adapters/index.ts";
import { formatProblem, loadPolicies, type Loaded } from "../policy/index.ts";
import type { PushedStore } from "../policy/load.ts";
import { openPolicyStore } from "../policy/pushed/open-store.ts";
import { textOf, type Moved } from "../policy/pushed/pushing.ts";
import type { PushedSet } from "../policy/pushed/pushed-set.ts";
import { rollOut } from "../policy/pushed/rollout.ts";
import type { Log, PolicyStore } from "../sdk/index.ts";
import { parseDuration } from "../sdk/index.ts";
import { Unreadable } from "../util/text-file.ts";
import { systemTimers } from "../util/timers.ts";
import { WeirError } from "../util/weir-error.ts";
import { outcomeLines, summaryOf } from "./hub-lines.ts";
import type { Io } from "./io.ts";

/** How long it is waited for hubs to say what they did, unless the command line says. */
export const defaultWait = "5s";

/** What the process exits with where policies hold now that some hub does not serve; 1 is for where nothing has changed. */
export const notEverywhere = 2;

export const waitHelp = "how long to wait for what the hubs say; 0s: not at all";

/** The part of the help that a push and a rollback share. */
export const exitHelp = `The exit status is 0 when every hub that is there serves them, 1 when nothing was changed (or the store was lost
and it is not known: the message says so), and ${notEverywhere} when they hold and a hub refused them or did not say within
--wait that it serves them.`;

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * Reads `weir.yaml`, and compiles a set with it as a hub does, where `of` gives one. Mistakes are written out.
 *
 * @returns the store that `policies.from` names, or `undefined` after mistakes
 */
export async function findStore(
  config: string | undefined,
  io: Io,
  of: (config: string) => Promise<PushedSet | Unreadable>,
): Promise<{ readonly store: PushedStore; readonly loaded: Loaded; readonly set: PushedSet | Unreadable } | undefined> {
  let found: { store: PushedStore; set: PushedSet | Unreadable } | undefined;
  const loaded = await loadPolicies({
    config: config ?? "weir.yaml",
    cwd: io.cwd,
    adapters: builtinAdapters,
    namedFiles: "leave",
    async pushed(store) {
      const set = await of(store.config);
      found = { store, set };
      return set;
    },
  });
  if (found !== undefined) return { ...found, loaded };
  if ("problems" in loaded) showProblems(loaded, io);
  else io.err("error[WEIR_USAGE]: weir.yaml does not say where policies are pushed to (policies: { from: ADAPTER })\n");
  io.exitCode = 1;
  return undefined;
}

export function showProblems(loaded: Loaded, io: Io): void {
  for (const problem of "problems" in loaded ? loaded.problems : loaded.warnings)
    io.err(`${formatProblem(problem)}\n\n`);
}

/** Changes what holds, and shows what the hubs make of it. What goes wrong is written out. */
export async function moveAndShow(
  found: PushedStore,
  options: { readonly wait: string; readonly did: string },
  io: Io,
  move: (store: PolicyStore) => Promise<Moved>,
): Promise<void> {
  const waitMs = parseDuration(options.wait);
  if (waitMs === undefined) {
    io.err(`error[WEIR_USAGE]: --wait is a duration such as 5s, got ${JSON.stringify(options.wait)}\n`);
    io.exitCode = 1;
    return;
  }
  await onStore(found, io, async (store) => {
    const rollout = await rollOut(store, move, {
      waitMs,
      monotonic: () => performance.now(),
      timers: systemTimers,
      moved({ version, from, litter }) {
        const before = from === undefined ? "nothing held before" : from === version ? "as before" : `before: ${from}`;
        io.out(`policies ${version} ${options.did} (${before})\n`);
        if (litter !== undefined) io.err(`warning: sets that are not kept any more could not be dropped: ${litter}\n`);
      },
      told: (outcome) => io.out(outcomeLines(outcome)),
    });
    if (waitMs === 0) return;
    const { line, isWhole } = summaryOf(rollout);
    io.out(line);
    if (!isWhole) io.exitCode = notEverywhere;
  });
}

/** Opens a store for one piece of work. What goes wrong is written out. */
export async function onStore(found: PushedStore, io: Io, work: (store: PolicyStore) => Promise<void>): Promise<void> {
  let store: PolicyStore | undefined;
  try {
    store = await openPolicyStore(found, quiet);
    await work(store);
  } catch (error) {
    io.err(`error[${error instanceof WeirError ? error.code : "WEIR_PUSH"}]: ${textOf(error)}\n`);
    io.exitCode = 1;
  } finally {
    await store?.close();
  }
}
