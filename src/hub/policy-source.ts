import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { formatProblem, loadPolicies, type Loaded, type LoadOptions, type Problem } from "../policy/index.ts";
import type { PushedStore } from "../policy/load.ts";
import { openFollower, type Follower } from "../policy/pushed/follower.ts";
import { openPolicyStore } from "../policy/pushed/open-store.ts";
import type { PushedSet } from "../policy/pushed/pushed-set.ts";
import { fingerprint } from "../runtime/watch/fingerprint.ts";
import type { Log } from "../sdk/index.ts";
import type { Unreadable } from "../util/text-file.ts";
import type { Timers } from "../util/timers.ts";
import { logProblems } from "./problem-log.ts";

/** Where a hub has its policies from: files, and the bucket that they are pushed to where `weir.yaml` names one. */
export interface PolicySource {
  /**
   * The policies to start with. Where the pushed ones are refused, those that served here last; answers the problems of
   * the pushed ones where there are none, with nothing left open.
   */
  first(): Promise<Loaded>;
  /** The policies as they are now. */
  load(): Promise<Loaded>;
  /** Problems as operators may see them. */
  shown(problems: readonly Problem[], config: string | undefined): readonly string[];
  /** Notes that what was loaded last serves now, or why it does not. */
  accepted(): Promise<void>;
  refused(shown: readonly string[]): void;
  /** The files that were read last, and their fingerprint at that time. */
  files(): readonly string[];
  known(): string;
  /** Whether pushed policies can be had from their store; `undefined` where none are followed. */
  storeUp(): boolean | undefined;
  /** Follows what is pushed from now on. */
  follow(): void;
  close(): Promise<void>;
}

export interface PolicySourceOptions {
  readonly load: Omit<LoadOptions, "config" | "beforeReading" | "pushed" | "namedFiles"> & { readonly cwd: string };
  /** Path of `weir.yaml`, where one is named. */
  readonly config: string | undefined;
  /** Called when other policies were pushed. */
  readonly onPushed: () => Promise<void>;
  readonly log: Log;
  readonly timers: Timers;
  now(): number;
  /** Milliseconds of a clock that is never set. */
  monotonic(): number;
}

export function createPolicySource({ load, onPushed, log, ...options }: PolicySourceOptions): PolicySource {
  let { config } = options;
  let files: readonly string[] = [];
  let isServing = false;
  let known = "";
  let follower: Follower | undefined;
  /** The adapter that the policies are pushed to, and where their copy is: they are followed there while the hub lives. */
  let followed = "";
  const followedOf = ({ entry, copy }: PushedStore): string => `${entry.fingerprint} ${copy}`;
  let whichPushed: "pushed" | "served" = "pushed";

  async function pushed(store: PushedStore): Promise<PushedSet | Unreadable> {
    if (follower === undefined) {
      followed = followedOf(store);
      follower = await openFollower({
        open: (host) => openPolicyStore(store, log, host),
        copy: store.copy,
        hub: `${hostname().replace(/[^A-Za-z0-9-]/g, "-")}-${randomBytes(4).toString("hex")}`,
        log,
        timers: options.timers,
        now: options.now,
        monotonic: options.monotonic,
        onChange: onPushed,
      });
    } else if (followedOf(store) !== followed) {
      log.warn({}, "where policies are pushed to changed: it takes effect when the hub is started again");
    }
    return follower.set(whichPushed);
  }

  async function loadNow(): Promise<Loaded> {
    const prints: string[] = [];
    const beforeReading = async (paths: readonly string[]): Promise<void> => {
      prints.push(await fingerprint(paths));
    };
    const namedFiles = isServing ? "leave" : "try";
    const loaded = await loadPolicies({ ...load, config, beforeReading, pushed, namedFiles });
    // A weir.yaml that was there once must not fall back to defaults because it is gone for a moment.
    ({ config = config, files } = loaded);
    known = prints.join("\n");
    return loaded;
  }

  const shown = (problems: readonly Problem[], from: string | undefined): readonly string[] =>
    problems.map((problem) => formatProblem(withoutSecrets(problem, load.cwd, from)));

  return {
    async first() {
      let first = await loadNow();
      if ("problems" in first && follower?.refused(shown(first.problems, first.config)) === true) {
        logProblems(log, first.problems);
        log.error({}, "the pushed policies are refused: the hub starts with the last that served here");
        whichPushed = "served";
        first = await loadNow();
        whichPushed = "pushed";
      }
      isServing = true;
      if ("problems" in first) await follower?.close();
      return first;
    },
    load: loadNow,
    shown,
    accepted: async () => follower?.accepted(),
    refused: (problems) => void follower?.refused(problems),
    files: () => files,
    known: () => known,
    storeUp: () => follower?.canBeHad(),
    follow: () => follower?.start(),
    close: async () => follower?.close(),
  };
}

/** A problem as the admin listener may show it: a line of `weir.yaml` may hold a password. */
function withoutSecrets(problem: Problem, cwd: string, config: string | undefined): Problem {
  if (config === undefined || resolve(cwd, problem.file) !== config) return problem;
  const { text: _, ...rest } = problem;
  return rest;
}
