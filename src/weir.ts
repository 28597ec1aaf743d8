import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { builtinAdapters } from "../adapters/index.ts";
import { needsRestart, readCredentials } from "./listen/credentials.ts";
import { createConsole } from "./console/console.ts";
import { unreadyReason } from "./console/describe.ts";
import {
  emptied,
  formatProblem,
  loadPolicies,
  ownPart,
  type Loaded,
  type LoadOptions,
  type Problem,
} from "./policy/index.ts";
import { openFollower, type Follower } from "./policy/pushed/follower.ts";
import { openPolicyStore } from "./policy/pushed/open-store.ts";
import type { PushedSet } from "./policy/pushed/pushed-set.ts";
import type { PushedStore } from "./policy/load.ts";
import type { Settings } from "./policy/settings.ts";
import type { Snapshot } from "./policy/snapshot.ts";
import { Apportioner } from "./runtime/quota/apportioner.ts";
import type { QuotaLimits } from "./runtime/quota/bucket-limits.ts";
import { createLimitDesk } from "./runtime/limits/limit-desk.ts";
import { createRuntime, type Serving, type ServingInstance } from "./runtime/runtime.ts";
import { fingerprint, watchFiles } from "./runtime/watch.ts";
import type { Adapter, Capability, Instance, Journal, Log } from "./sdk/index.ts";
import { notedCheck, notedJudgements } from "./telemetry/decisions/noted.ts";
import { createRecentRefusals } from "./telemetry/decisions/recent-refusals.ts";
import { createServiceGraph } from "./telemetry/graph/service-graph.ts";
import { createHubMetrics } from "./telemetry/hub-metrics.ts";
import { openDiskJournal, type DiskJournal } from "./telemetry/buffer/disk-journal.ts";
import { createQueues } from "./telemetry/queues.ts";
import { createReporter, type Reporter } from "./telemetry/report.ts";
import type { Unreadable } from "./util/text-file.ts";
import type { CacheCounts } from "./util/cache-counts.ts";
import { systemTimers } from "./util/timers.ts";
import { createTraceIds } from "./util/trace-ids.ts";
import { weirVersion } from "./util/version.ts";
import type { DoorOptions, GrpcDoor } from "./wire/call.ts";
import { createAccessLogDoor } from "./wire/envoy/access-log/access-log-door.ts";
import { createAuthzDoor } from "./wire/authz/authz-door.ts";
import { createExtAuthzDoor } from "./wire/envoy/ext-authz/ext-authz-door.ts";
import { createRateLimitQuotaDoor, type QuotaSession } from "./wire/envoy/rate-limit-quota/rate-limit-quota-door.ts";
import { createRateLimitDoor } from "./wire/envoy/ratelimit/rate-limit-door.ts";
import { createGrpcServer } from "./wire/grpc/server.ts";
import { createHttpDoor } from "./wire/http/http-door.ts";
import { createHttpServer } from "./wire/http/http-server.ts";
import { createMixerDoor } from "./wire/mixer/mixer-door.ts";
import type { Session } from "./wire/session.ts";
import { createStreamDoor } from "./wire/stream/stream-door.ts";

export interface WeirOptions {
  /**
   * Path of `weir.yaml`. Left out: `weir.yaml` in `cwd`, else the one in the folder that `policies` names, where there is
   * one; else everything has its default.
   */
  readonly config?: string;
  /** Folder of policy files, instead of the one that `weir.yaml` names. */
  readonly policies?: string;
  /** Addresses as `host:port`, instead of those of `weir.yaml`; port 0 takes a free one. */
  readonly listen?: { readonly grpc?: string; readonly http?: string; readonly admin?: string };
  /** The folder that relative paths are meant from. Default: the process's. */
  readonly cwd?: string;
  /** The adapters that `weir.yaml` may name without a path. `memory` must be among them. Default: those that come with Weir. */
  readonly adapters?: ReadonlyMap<string, Adapter>;
  /** Shown to operators. Default: Weir's own. */
  readonly version?: string;
  /** Fields first, sentence last: a pino logger is one. */
  readonly log: Log;
}

/** A hub that serves. */
export interface Weir {
  readonly version: string;
  /** Where it listens, as `host:port`. */
  readonly listening: { readonly grpc: string; readonly http: string; readonly admin: string };
  /** The policy set that serves now. */
  readonly snapshot: Snapshot;
  /** Reads all files again and swaps the policy set, or changes nothing. Answers what is wrong; empty when it went well. */
  reload(why: string): Promise<readonly Problem[]>;
  /**
   * Drains and stops: health turns NOT_SERVING, calls in flight end, adapters flush. Answers whether all of it was done
   * within the deadline of `weir.yaml`; what was left then is cut. Never rejects.
   */
  close(): Promise<boolean>;
}

/**
 * Builds the rooms, joins them and starts to serve. Mistakes in files are answered as problems; a listener that cannot
 * be had is thrown as WEIR_LISTEN.
 */
export async function createWeir(
  options: WeirOptions,
): Promise<{ readonly weir: Weir } | { readonly problems: readonly Problem[] }> {
  const { cwd = process.cwd(), adapters = builtinAdapters, log, version = weirVersion() } = options;
  const now = Date.now;
  const load: LoadOptions = { cwd, adapters, policies: options.policies, listen: options.listen };

  let { config } = options;
  let files: readonly string[] = [];
  let serving = false;
  let seen = "";
  let follower: Follower | undefined;
  /** The adapter that the policies are pushed to, and where their copy is: they are followed there while the hub lives. */
  let followed = "";
  const followedOf = ({ entry, copy }: PushedStore): string => `${entry.fingerprint} ${copy}`;
  let whichPushed: "pushed" | "served" = "pushed";
  const pushed = async (store: PushedStore): Promise<PushedSet | Unreadable> => {
    if (follower === undefined) {
      followed = followedOf(store);
      follower = await openFollower({
        open: (host) => openPolicyStore(store, log, host),
        copy: store.copy,
        hub: `${hostname().replace(/[^A-Za-z0-9-]/g, "-")}-${randomBytes(4).toString("hex")}`,
        log,
        timers: systemTimers,
        onChange: async () => void (await reload("policies were pushed")),
      });
    } else if (followedOf(store) !== followed) {
      log.warn({}, "where policies are pushed to changed: it takes effect when the hub is started again");
    }
    return follower.set(whichPushed);
  };
  const shownOf = (found: { readonly problems: readonly Problem[]; readonly config: string | undefined }) =>
    found.problems.map((problem) => formatProblem(withoutSecrets(problem, cwd, found.config)));
  const loadNow = async (): Promise<Loaded> => {
    const prints: string[] = [];
    const beforeReading = async (paths: readonly string[]): Promise<void> => {
      prints.push(await fingerprint(paths));
    };
    const loaded = await loadPolicies({
      ...load,
      config,
      beforeReading,
      pushed,
      namedFiles: serving ? "leave" : "try",
    });
    // A weir.yaml that was there once must not fall back to defaults because it is gone for a moment.
    ({ config = config, files } = loaded);
    seen = prints.join("\n");
    return loaded;
  };
  let first = await loadNow();
  if ("problems" in first && follower?.refused(shownOf(first)) === true) {
    logProblems(log, first.problems);
    log.error({}, "the pushed policies are refused: the hub starts with the last that served here");
    whichPushed = "served";
    first = await loadNow();
    whichPushed = "pushed";
  }
  serving = true;
  if ("problems" in first) {
    await follower?.close();
    return { problems: first.problems };
  }
  logProblems(log, first.warnings);

  let snapshot: Snapshot = first.snapshot;
  const { settings } = snapshot;
  let caches: ReturnType<typeof cachesOf> = [];
  const metrics = createHubMetrics({
    version,
    now,
    loaded: () => snapshot,
    queues: () => queues.states(),
    leases: () =>
      runtime
        .instances()
        .flatMap(({ entry, instance }) =>
          Array.from(instance.leases?.() ?? [], (lease) => ({ ...lease, adapter: entry.name })),
        ),
    rules: () => runtime.ruleTotals(),
    limitKeys: () => keysHeld(snapshot, runtime.instances()),
    adapters: () =>
      runtime.instances().map(({ entry: { name, adapter }, instance, isLeftAlone }) => ({
        adapter: name,
        ready: unreadyReason(instance) === undefined,
        ...(adapter.provides.some((capability) => decides.has(capability)) && { breakerOpen: isLeftAlone }),
      })),
    caches: () => caches,
    buffer: () => journalState?.(),
    credentials: () => credentials.states(),
  });
  const { observer } = metrics;
  const { windowMs, maxEdges } = settings.telemetry.graph;
  const graph =
    windowMs === 0 ? undefined : createServiceGraph({ windowMs, maxEdges, observer, now, random: Math.random });
  const buffer = settings.telemetry.buffer;
  const disk: DiskJournal | undefined =
    buffer.kind === "disk"
      ? await openDiskJournal({
          ...buffer,
          maxAgeMs: settings.telemetry.maxAgeMs,
          ...{ observer, log, now, timers: systemTimers },
        })
      : undefined;
  let journalState: Journal["state"];
  const journalOf = (instanceOf: (adapter: string) => Instance): Journal | undefined => {
    const journal = buffer.kind === "journal" ? instanceOf(buffer.adapter).journal!() : disk;
    journalState = journal?.state?.bind(journal);
    return journal;
  };
  const batchPrefix = randomBytes(12).toString("base64url");
  let batches = 0;
  const nextBatch = (): string => `${batchPrefix}-${batches++}`;
  const queues = createQueues({ observer, log, now, random: Math.random, timers: systemTimers });
  const traceIds = createTraceIds(randomBytes);
  const refusals = createRecentRefusals(settings.telemetry.decisions.recent);
  const runtime = createRuntime<Reporter>({
    fallback: adapters.get("memory")!,
    observer,
    log,
    now,
    monotonic,
    random: randomBytes,
    timers: systemTimers,
    prepare(prepared, instanceOf) {
      const journal = journalOf(instanceOf);
      return createReporter({
        snapshot: prepared,
        instanceOf,
        queues,
        observer,
        counts: metrics.records,
        now,
        graph,
        traceIds,
        refusals,
        journal: journal && { journal, counts: metrics.buffered, nextId: nextBatch },
      });
    },
    trace: (reporter, span) => reporter.trace(span),
    retire: (reporter, deadlineMs) => reporter.close(deadlineMs),
  });

  const closeRuntime = async (deadlineMs: number): Promise<void> => {
    await runtime.close(deadlineMs);
    await disk?.close();
    await follower?.close();
  };
  const problems = await runtime.activate(snapshot);
  if (problems.length > 0) {
    await closeRuntime(settings.shutdown.deadlineMs);
    return { problems };
  }
  observer.reload(true, snapshot.version);
  await follower?.accepted();
  let lastReload = { ok: true, timeMs: now(), problems: [] as readonly string[] };

  const doorFor = (name: string): DoorOptions => {
    // One session object serves all requests of a door on a snapshot.
    let session: { readonly serving: Serving<Reporter>; readonly session: Session } | undefined;
    const open = (): Session => {
      const serving = runtime.acquire();
      if (session?.serving !== serving) session = { serving, session: sessionOn(serving, name) };
      return session.session;
    };
    return { open, observer, log };
  };
  const credentials = await readCredentials({
    listeners: settings.listen,
    observer,
    log,
    now,
    timers: systemTimers,
    fingerprint,
  }).catch(async (error: unknown) => {
    await closeRuntime(settings.shutdown.deadlineMs);
    throw error;
  });
  const { gates } = credentials;
  const serverOptions = { limits: settings.limits, observer, log, now, monotonic };
  const accessLog = createAccessLogDoor({ ...doorFor("access_log"), now, timers: systemTimers });
  const apportioner = new Apportioner({
    member: randomBytes(12).toString("base64url"),
    now: monotonic,
    observer,
    stores: storesOf(() => runtime.acquire()),
    ttlMs: assignmentMs,
  });
  const openQuotas = (): QuotaSession => {
    const serving = runtime.acquire();
    return {
      layout: serving.snapshot.layout,
      limitsOf: serving.quotas.limitsOf,
      end: () => serving.release(),
    };
  };
  const grpcDoors = [
    createMixerDoor(doorFor("mixer")),
    createStreamDoor(doorFor("stream")),
    createExtAuthzDoor(doorFor("ext_authz")),
    createRateLimitDoor(doorFor("ratelimit")),
    createRateLimitQuotaDoor({ open: openQuotas, apportioner, observer, timers: systemTimers }),
    accessLog,
  ];
  caches = cachesOf(grpcDoors);
  const grpc = createGrpcServer({
    doors: grpcDoors,
    gate: gates.grpc,
    ...serverOptions,
  });
  const http = createHttpServer({
    doors: [createHttpDoor(doorFor("http")), createAuthzDoor({ ...doorFor("authz"), now })],
    gate: gates.http,
    ...serverOptions,
  });
  let draining = false;
  const listening = { grpc: "", http: "", admin: "" };
  const console = createConsole({
    hub: {
      version,
      startedMs: now(),
      listeners: () => listening,
      credentials: credentials.states,
      loaded: () => snapshot,
      lastReload: () => lastReload,
      adapters: () => runtime.instances(),
      limits: createLimitDesk({ acquire: () => runtime.acquire(), log, now, timers: systemTimers }),
      draining: () => draining,
      metrics: metrics.render,
      graph: () => graph?.view(),
      refusals: refusals.list,
    },
    log,
    now,
    timers: systemTimers,
    gate: gates.admin,
    tokens: credentials.tokens,
  });

  const serve = async (next: Snapshot): Promise<readonly Problem[]> => {
    const problem = emptied(snapshot, next);
    return problem === undefined ? await runtime.activate(next) : [problem];
  };
  const reloadOnce = async (why: string): Promise<readonly Problem[]> => {
    const loaded = await loadNow();
    const found = "problems" in loaded ? loaded.problems : await serve(loaded.snapshot);
    const ok = !("problems" in loaded) && found.length === 0;
    const shown = shownOf({ problems: found, config: loaded.config });
    lastReload = { ok, timeMs: now(), problems: shown };
    if (ok) {
      await credentials.refresh(loaded.snapshot.settings.listen);
      if (!sameListeners(settings, loaded.snapshot.settings)) {
        log.warn({}, "addresses, tls or limits of listeners changed: they take effect when the hub is started again");
      }
      if (JSON.stringify(buffer) !== JSON.stringify(loaded.snapshot.settings.telemetry.buffer))
        log.warn({}, "telemetry.buffer changed: it takes effect when the hub is started again");
      ({ snapshot } = loaded);
      await follower?.accepted();
      logProblems(log, loaded.warnings);
      log.info({ why, version: snapshot.version, policies: ownPart(snapshot).policies.length }, "policies reloaded");
    } else {
      follower?.refused(shown);
      logProblems(log, found);
      const mistakes = found.filter(({ severity }) => severity === "error").length;
      log.error({ why, version: snapshot.version, mistakes }, "reload refused: the old policies go on");
    }
    observer.reload(ok, snapshot.version);
    return found;
  };
  let turn: Promise<unknown> = Promise.resolve();
  const reload = (why: string): Promise<readonly Problem[]> => {
    const done = turn.then(() => (draining ? [] : reloadOnce(why)));
    turn = done.catch((error: unknown) => log.error({ err: error, why }, "a reload failed; the old policies go on"));
    return done;
  };

  const stopWatching = watchFiles({
    paths: () => files,
    known: () => seen,
    onChange: async () => void (await reload("files changed")),
    timers: systemTimers,
    onError: (error) => log.error({ err: error }, "the files of the policies could not be watched"),
  });

  const stopWatchingCredentials = watchFiles({
    paths: credentials.files,
    known: credentials.known,
    onChange: () => credentials.refresh(),
    timers: systemTimers,
    onError: (error) => log.error({ err: error }, "the files of certificates and tokens could not be watched"),
  });

  const close = async (): Promise<boolean> => {
    draining = true;
    const { deadlineMs } = snapshot.settings.shutdown;
    const endMs = monotonic() + deadlineMs;
    const force = new AbortController();
    const cancel = systemTimers.after(deadlineMs / 2, () => force.abort());
    stopWatching();
    stopWatchingCredentials();
    credentials.close();
    await Promise.all([grpc.drain(force.signal), http.drain(force.signal)]);
    cancel();
    await closeRuntime(Math.max(0, endMs - monotonic()));
    await console.close();
    const inTime = !force.signal.aborted && monotonic() < endMs;
    log.info({ inTime }, "stopped");
    return inTime;
  };

  try {
    listening.grpc = await grpc.listen(settings.listen.grpc.address);
    listening.http = await http.listen(settings.listen.http.address);
    listening.admin = await console.start(settings.listen.admin.address);
  } catch (error) {
    await close();
    throw error;
  }
  follower?.start();
  return {
    weir: {
      version,
      listening,
      get snapshot() {
        return snapshot;
      },
      reload,
      close,
    },
  };
}

/** Milliseconds of a clock that is never set. */
const monotonic = (): number => performance.now();

/** The capabilities whose calls decisions wait for. */
const decides: ReadonlySet<string> = new Set(["check", "quota"] satisfies Capability[]);

function cachesOf(doors: readonly GrpcDoor[]): [door: string, cache: string, counts: CacheCounts][] {
  return doors.flatMap(({ name, caches = {} }) =>
    Object.entries(caches).map(([cache, counts]): [string, string, CacheCounts] => [name, cache, counts]),
  );
}

/** How many counts of each limit its adapter holds, where it can say at once. */
function* keysHeld(
  { checks }: Snapshot,
  instances: readonly ServingInstance[],
): Generator<{ readonly rule: string; readonly keys: number }> {
  const byName = new Map(instances.map(({ entry, instance }) => [entry.name, instance]));
  for (const rule of checks) {
    if (rule.kind !== "limit") continue;
    const keys = byName.get(rule.via)?.usage?.held?.(rule.limit);
    if (keys !== undefined) yield { rule: rule.id, keys };
  }
}

/** What a door sees of a snapshot that serves. */
export function sessionOn(serving: Serving<Reporter>, door: string): Session {
  const { snapshot, holds, prepared } = serving;
  const { decisions: log } = prepared;
  const noting = log && { log, door, monotonic };
  const check = noting === undefined ? serving.check : notedCheck(serving.check, noting);
  const rateLimit: Session["rateLimit"] =
    noting === undefined ? serving.rateLimit : notedJudgements(serving.rateLimit, noting);
  return {
    layout: snapshot.layout,
    reportLayout: snapshot.reportLayout,
    vocabulary: snapshot.vocabulary,
    version: snapshot.version,
    doors: snapshot.settings.doors,
    check,
    rateLimit,
    report: reportOf(prepared, holds),
    commit: prepared.commit,
    hold: holds.change,
    notTried: prepared.notTried,
    end: () => serving.release(),
  };
}

/** What takes a record; where rules ask for it, also what ends what the request held. */
function reportOf({ report }: Reporter, { end }: Serving<Reporter>["holds"]): Session["report"] {
  if (end === undefined) return report;
  return (bag) => {
    const outcome = report(bag);
    if (outcome === "taken") end(bag);
    return outcome;
  };
}

/** How long an assignment to a proxy that keeps to a limit by itself holds. */
const assignmentMs = 10_000;

/** The stores of the policies that serve when they are asked. */
function storesOf(acquire: () => Serving<Reporter>): Pick<QuotaLimits, "isShared" | "apportion"> {
  return {
    isShared(adapter) {
      const serving = acquire();
      try {
        return serving.quotas.isShared(adapter);
      } finally {
        serving.release();
      }
    },
    apportion(adapter, stakes) {
      const serving = acquire();
      const answer = serving.quotas.apportion(adapter, stakes);
      if (answer instanceof Promise) return answer.finally(() => serving.release());
      serving.release();
      return answer;
    },
  };
}

/** Whether what the listeners were made with is the same: it cannot change under them. */
function sameListeners(a: Settings, b: Settings): boolean {
  const parts = ({ limits }: Settings) => [limits.messageBytes, limits.streamsPerConnection];
  return JSON.stringify(parts(a)) === JSON.stringify(parts(b)) && !needsRestart(a.listen, b.listen);
}

/** A problem as the admin listener may show it: a line of `weir.yaml` may hold a password. */
function withoutSecrets(problem: Problem, cwd: string, config: string | undefined): Problem {
  if (config === undefined || resolve(cwd, problem.file) !== config) return problem;
  const { text: _, ...rest } = problem;
  return rest;
}

/** How many problems of one load are logged; `/status` and `weir validate` show them all. */
const maxLogged = 20;

function logProblems(log: Log, problems: readonly Problem[]): void {
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
