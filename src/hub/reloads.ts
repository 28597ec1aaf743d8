import type { ReloadView } from "../console/view.ts";
import { needsRestart } from "../listen/credentials.ts";
import type { Listeners } from "../listen/settings.ts";
import { emptied, ownPart, type Problem } from "../policy/index.ts";
import type { Settings } from "../policy/config/settings.ts";
import type { Snapshot } from "../policy/snapshot.ts";
import type { Log } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import type { PolicySource } from "./policy-source.ts";
import { logProblems } from "./problem-log.ts";

/** Which policies serve: those that the hub began with, then those of each reload that went well. */
export interface Reloads {
  /** The set that serves now. */
  readonly snapshot: Snapshot;
  /** How the last attempt went. */
  last(): ReloadView;
  /**
   * Reads all files again and lets them serve, or changes nothing. Answers what is wrong; empty when it went well. One
   * waits for the other.
   */
  reload(why: string): Promise<readonly Problem[]>;
  /** From now on nothing is loaded any more. */
  stop(): void;
}

export interface ReloadsOptions {
  /** The set that serves already. */
  readonly first: Snapshot;
  readonly policies: Pick<PolicySource, "load" | "shown" | "accepted" | "refused">;
  readonly activate: (next: Snapshot) => Promise<readonly Problem[]>;
  /** Reads certificates and tokens again, as listeners are now said to have them. */
  readonly refreshCredentials: (listeners: Listeners) => Promise<void>;
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export function createReloads(options: ReloadsOptions): Reloads {
  const { policies, observer, log, now } = options;
  const began = options.first.settings;
  let snapshot = options.first;
  let last: ReloadView = { ok: true, timeMs: now(), problems: [] };
  let isStopped = false;
  let turn: Promise<unknown> = Promise.resolve();

  const serve = async (next: Snapshot): Promise<readonly Problem[]> => {
    const problem = emptied(snapshot, next);
    return problem === undefined ? await options.activate(next) : [problem];
  };
  const reloadOnce = async (why: string): Promise<readonly Problem[]> => {
    const loaded = await policies.load();
    const found = "problems" in loaded ? loaded.problems : await serve(loaded.snapshot);
    const ok = !("problems" in loaded) && found.length === 0;
    const shown = policies.shown(found, loaded.config);
    last = { ok, timeMs: now(), problems: shown };
    if (ok) {
      ({ snapshot } = loaded);
      await options.refreshCredentials(snapshot.settings.listen);
      warnOfRestart(began, snapshot.settings, log);
      await policies.accepted();
      logProblems(log, loaded.warnings);
      log.info({ why, version: snapshot.version, policies: ownPart(snapshot).policies.length }, "policies reloaded");
    } else {
      policies.refused(shown);
      logProblems(log, found);
      const mistakes = found.filter(({ severity }) => severity === "error").length;
      log.error({ why, version: snapshot.version, mistakes }, "reload refused: the old policies go on");
    }
    observer.reload(ok, snapshot.version);
    return found;
  };

  return {
    get snapshot() {
      return snapshot;
    },
    last: () => last,
    reload(why) {
      const done = turn.then(() => (isStopped ? [] : reloadOnce(why)));
      turn = done.catch((error: unknown) => {
        const { version } = snapshot;
        last = { ok: false, timeMs: now(), problems: ["the reload failed within the hub, whose log says why"] };
        observer.reload(false, version);
        log.error({ err: error, why, version }, "a reload failed: the policies of this version serve");
      });
      return done;
    },
    stop() {
      isStopped = true;
    },
  };
}

/** Says which settings of a reload the hub cannot change while it runs. */
function warnOfRestart(began: Settings, next: Settings, log: Log): void {
  if (!sameListeners(began, next))
    log.warn({}, "addresses, tls or limits of listeners changed: they take effect when the hub is started again");
  if (JSON.stringify(began.telemetry.buffer) !== JSON.stringify(next.telemetry.buffer))
    log.warn({}, "telemetry.buffer changed: it takes effect when the hub is started again");
  if (began.telemetry.ledger !== next.telemetry.ledger)
    log.warn({}, "telemetry.ledger changed: it takes effect when the hub is started again");
}

/** Whether what the listeners were made with is the same: it cannot change under them. */
function sameListeners(a: Settings, b: Settings): boolean {
  const parts = ({ limits }: Settings) => [limits.messageBytes, limits.streamsPerConnection];
  return JSON.stringify(parts(a)) === JSON.stringify(parts(b)) && !needsRestart(a.listen, b.listen);
}
