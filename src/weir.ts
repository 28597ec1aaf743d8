import { randomBytes } from "node:crypto";
import { builtinAdapters } from "../adapters/index.ts";
import { createConsole } from "./console/console.ts";
import { unreadyReason } from "./console/describe.ts";
import { createDoors, type Doors } from "./hub/doors.ts";
import { createPolicySource } from "./hub/policy-source.ts";
import { logProblems } from "./hub/problem-log.ts";
import { needsRestart, readCredentials } from "./listen/credentials.ts";
import { emptied, ownPart, type Problem } from "./policy/index.ts";
import type { Settings } from "./policy/config/settings.ts";
import type { Snapshot } from "./policy/snapshot.ts";
import { createLimitDesk } from "./runtime/limits/limit-desk.ts";
import { createRuntime, type ServingInstance } from "./runtime/runtime.ts";
import { fingerprint, watchFiles } from "./runtime/watch.ts";
import type { Adapter, Capability, Instance, Journal, Log } from "./sdk/index.ts";
import { openDiskJournal, type DiskJournal } from "./telemetry/buffer/disk-journal.ts";
import { createRecentRefusals } from "./telemetry/decisions/recent-refusals.ts";
import { createServiceGraph } from "./telemetry/graph/service-graph.ts";
import { createHubMetrics } from "./telemetry/hub-metrics/hub-metrics.ts";
import { createQueues } from "./telemetry/queues/queues.ts";
import type { ExportingInstance } from "./telemetry/queues/cargo.ts";
import { createReporter, type Reporter } from "./telemetry/report.ts";
import { systemTimers } from "./util/timers.ts";
import { createTraceIds } from "./util/trace-ids.ts";
import { weirVersion } from "./util/version.ts";
import { createGrpcServer } from "./wire/grpc/server.ts";
import { createHttpServer } from "./wire/http/http-server.ts";

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
  const policies = createPolicySource({
    load: { cwd, adapters, policies: options.policies, listen: options.listen },
    config: options.config,
    onPushed: async () => void (await reload("policies were pushed")),
    ...{ log, now, monotonic, timers: systemTimers },
  });
  const first = await policies.first();
  if ("problems" in first) return { problems: first.problems };
  logProblems(log, first.warnings);

  let snapshot: Snapshot = first.snapshot;
  const { settings } = snapshot;
  let caches: Doors["caches"] = [];
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
      adapterViews().map(({ entry: { name, adapter }, isLeftAlone, ...view }) => ({
        adapter: name,
        ready: unreadyReason(view) === undefined,
        ...(adapter.provides.some((capability) => decides.has(capability)) && { breakerOpen: isLeftAlone }),
      })),
    caches: () => caches,
    buffer: () => journalState?.(),
    credentials: () => credentials.states(),
    policyStoreUp: () => policies.storeUp(),
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
    await policies.close();
  };
  const problems = await runtime.activate(snapshot);
  if (problems.length > 0) {
    await closeRuntime(settings.shutdown.deadlineMs);
    return { problems };
  }
  observer.reload(true, snapshot.version);
  await policies.accepted();
  let lastReload = { ok: true, timeMs: now(), problems: [] as readonly string[] };

  const doors = createDoors({
    ...{ acquire: () => runtime.acquire(), observer, log, now, monotonic, timers: systemTimers },
    afterStart: settings.doors.ratelimitQuota.afterStart,
  });
  caches = doors.caches;
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
  const grpc = createGrpcServer({ doors: doors.grpc, gate: gates.grpc, ...serverOptions });
  const http = createHttpServer({ doors: doors.http, gate: gates.http, ...serverOptions });
  const adapterViews = () =>
    runtime.instances().map((each) => ({ ...each, undelivered: queues.problem(each.instance as ExportingInstance) }));
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
      adapters: adapterViews,
      limits: createLimitDesk({
        acquire: () => runtime.acquire(),
        divided: doors.divided,
        log,
        now,
        timers: systemTimers,
      }),
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
    const loaded = await policies.load();
    const found = "problems" in loaded ? loaded.problems : await serve(loaded.snapshot);
    const ok = !("problems" in loaded) && found.length === 0;
    const shown = policies.shown(found, loaded.config);
    lastReload = { ok, timeMs: now(), problems: shown };
    if (ok) {
      await credentials.refresh(loaded.snapshot.settings.listen);
      if (!sameListeners(settings, loaded.snapshot.settings)) {
        log.warn({}, "addresses, tls or limits of listeners changed: they take effect when the hub is started again");
      }
      if (JSON.stringify(buffer) !== JSON.stringify(loaded.snapshot.settings.telemetry.buffer))
        log.warn({}, "telemetry.buffer changed: it takes effect when the hub is started again");
      ({ snapshot } = loaded);
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
  let turn: Promise<unknown> = Promise.resolve();
  const reload = (why: string): Promise<readonly Problem[]> => {
    const done = turn.then(() => (draining ? [] : reloadOnce(why)));
    turn = done.catch((error: unknown) => log.error({ err: error, why }, "a reload failed; the old policies go on"));
    return done;
  };

  const stopWatching = watchFiles({
    paths: policies.files,
    known: policies.known,
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
  policies.follow();
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

/** Whether what the listeners were made with is the same: it cannot change under them. */
function sameListeners(a: Settings, b: Settings): boolean {
  const parts = ({ limits }: Settings) => [limits.messageBytes, limits.streamsPerConnection];
  return JSON.stringify(parts(a)) === JSON.stringify(parts(b)) && !needsRestart(a.listen, b.listen);
}
