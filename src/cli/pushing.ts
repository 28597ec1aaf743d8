import { setTimeout } from "node:timers/promises";
import { builtinAdapters } from "../../adapters/index.ts";
import { formatProblem, loadPolicies, type Loaded } from "../policy/index.ts";
import type { PushedStore } from "../policy/load.ts";
import type { HubWord } from "../policy/pushed/hub-word.ts";
import { openPolicyStore } from "../policy/pushed/open-store.ts";
import { hubWords, type Moved } from "../policy/pushed/pushing.ts";
import type { PushedSet } from "../policy/pushed/pushed-set.ts";
import type { Log, PolicyStore } from "../sdk/index.ts";
import { parseDuration } from "../sdk/index.ts";
import { Unreadable } from "../util/text-file.ts";
import { WeirError } from "../util/weir-error.ts";
import type { Io } from "./io.ts";

/** How long it is waited for hubs to say what they did, unless the command line says. */
export const defaultWait = "5s";

/** How often it is looked what they say. */
const lookMs = 100;

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
    const { version, from } = await move(store);
    const before = from === undefined ? "nothing held before" : from === version ? "as before" : `before: ${from}`;
    io.out(`policies ${version} ${options.did} (${before})\n`);
    await showHubs(store, version, waitMs, io);
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

/** Waits until each hub has said what it did, or the time is over. Who refused, or said nothing, makes the command fail. */
async function showHubs(store: PolicyStore, version: string, waitMs: number, io: Io): Promise<void> {
  const endMs = performance.now() + waitMs;
  const hasSaid = ({ serves, refused }: HubWord): boolean => serves === version || refused?.version === version;
  let words = await hubWords(store);
  while (!words.every(hasSaid) && performance.now() < endMs) {
    await setTimeout(lookMs);
    words = await hubWords(store);
  }
  if (words.length === 0) io.out("no hub follows them at the moment\n");
  for (const { hub, serves, refused } of words) {
    if (serves === version) io.out(`  ${hub}  serves them\n`);
    else if (refused?.version !== version) io.out(`  ${hub}  has not taken them yet, and serves ${serves}\n`);
    else {
      io.out(`  ${hub}  refused them, and serves ${serves}\n`);
      for (const problem of refused.problems) io.out(`${problem.replace(/^/gm, "      ")}\n`);
    }
    if (serves !== version) io.exitCode = 1;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
