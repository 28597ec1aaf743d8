import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import { builtinAdapters } from "../adapters/index.ts";
import { createConsole } from "./console/console.ts";
import { openBuffer } from "./hub/buffer.ts";
import { createDoors, type Doors } from "./hub/doors.ts";
import { adapterStates, instanceViews, keysHeld, leasesOf } from "./hub/instance-views.ts";
import { createPolicySource } from "./hub/policy-source.ts";
import { logProblems } from "./hub/problem-log.ts";
import { createReloads } from "./hub/reloads.ts";
import { risksOf } from "./hub/risks.ts";
import { readCredentials } from "./listen/credentials.ts";
import type { Problem } from "./policy/index.ts";
import type { Snapshot } from "./policy/snapshot.ts";
import { fingerprint } from "./runtime/watch/fingerprint.ts";
import { systemFolderEvents } from "./runtime/watch/folder-events.ts";
import { createLimitDesk } from "./runtime/limits/limit-desk.ts";
import { createRuntime } from "./runtime/runtime.ts";
import { watchFiles } from "./runtime/watch/watch.ts";
import type { Adapter, Log } from "./sdk/index.ts";
import { createRecentRefusals } from "./telemetry/decisions/recent-refusals.ts";
import { createServiceGraph } from "./telemetry/graph/service-graph.ts";
import { createHubMetrics } from "./telemetry/hub-metrics/hub-metrics.ts";
import { openLedger } from "./telemetry/ledger/ledger.ts";
import type { Risk } from "./telemetry/ledger/risk.ts";
import { createQueues } from "./telemetry/queues/queues.ts";
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
  const { cwd = process.cwd(), adapters: known = builtinAdapters, log, version = weirVersion() } = options;
  const now = Date.now;
  const policies = createPolicySource({
    load: { cwd, adapters: known, policies: options.policies, listen: options.listen },
    config: options.config,
    onPushed: async () => void (await reloads.reload("policies were pushed")),
    ...{ log, now, monotonic, timers: systemTimers },
  });
  const first = await policies.first();
  if ("problems" in first) return { problems: first.problems };
  logProblems(log, first.warnings);

  const { settings } = first.snapshot;
  let caches: Doors["caches"] = [];
  const metrics = createHubMetrics({
    version,
    now,
    loaded: () => reloads.snapshot,
    queues: () => queues.states(),
    leases: () => leasesOf(runtime.instances()),
    rules: () => runtime.ruleTotals(),
    limitKeys: () => keysHeld(reloads.snapshot, runtime.instances()),
    adapters: () => adapterStates(adapters()),
    caches: () => caches,
    buffer: () => buffer.state(),
    credentials: () => credentials.states(),
    ledger: () => ledger?.view(),
    policyStoreUp: () => policies.storeUp(),
  });
  const { observer } = metrics;
  const { windowMs, maxEdges } = settings.telemetry.graph;
  const graph =
    windowMs === 0 ? undefined : createServiceGraph({ windowMs, maxEdges, observer, now, random: Math.random });
  const buffer = await openBuffer({
    settings: settings.telemetry,
    counts: metrics.buffered,
    ...{ observer, log, now, timers: systemTimers },
  });
  const queues = createQueues({ observer, log, now, random: Math.random, timers: systemTimers });
  let unsafeEntries = (): number => 0;
  const risks = (): readonly Risk[] =>
    risksOf({
      instances: runtime.instances(),
      queues,
      keepsSamples: settings.telemetry.buffer.kind !== "memory",
      observer,
      unsafeEntries,
    });
  const { ledger: path } = settings.telemetry;
  const ledger =
    path === undefined ? undefined : await openLedger({ ...{ path, risks, observer, log, now }, timers: systemTimers });
  const traceIds = createTraceIds(randomBytes);
  const refusals = createRecentRefusals(settings.telemetry.decisions.recent);
  const runtime = createRuntime<Reporter>({
    fallback: known.get("memory")!,
    observer,
    log,
    now,
    monotonic,
    random: randomBytes,
    timers: systemTimers,
    prepare: (snapshot, instanceOf, produce) =>
      createReporter({
        snapshot,
        instanceOf,
        produce,
        queues,
        observer,
        counts: metrics.records,
        now,
        graph,
        traceIds,
        log,
        refusals,
        journal: buffer.journalOf(instanceOf),
      }),
    trace: (reporter, span) => reporter.trace(span),
    retire: (reporter, deadlineMs) => reporter.close(deadlineMs),
  });

  const closeRuntime = async (deadlineMs: number): Promise<void> => {
    const places = risks();
    await runtime.close(deadlineMs);
    await ledger?.close(places);
    await buffer.close();
    await policies.close();
  };
  const problems = await runtime.activate(first.snapshot);
  if (problems.length > 0) {
    await closeRuntime(settings.shutdown.deadlineMs);
    return { problems };
  }
  observer.reload(true, first.snapshot.version);
  await policies.accepted();
  const reloads = createReloads({
    first: first.snapshot,
    policies,
    activate: (next) => runtime.activate(next),
    refreshCredentials: (listeners) => credentials.refresh(listeners),
    ...{ observer, log, now },
  });

  const doors = createDoors({
    ...{ acquire: () => runtime.acquire(), observer, log, now, monotonic, timers: systemTimers },
    afterStart: settings.doors.ratelimitQuota.afterStart,
  });
  ({ caches, unsafeEntries } = doors);
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
  const adapters = () => instanceViews(runtime.instances(), queues);
  let draining = false;
  const listening = { grpc: "", http: "", admin: "" };
  const console = createConsole({
    hub: {
      version,
      startedMs: now(),
      listeners: () => listening,
      credentials: credentials.states,
      loaded: () => reloads.snapshot,
      lastReload: reloads.last,
      adapters,
      limits: createLimitDesk({
        acquire: () => runtime.acquire(),
        divided: doors.divided,
        log,
        now,
        timers: systemTimers,
      }),
      draining: () => draining,
      metrics: metrics.render,
      ledger: () => ledger?.view(),
      graph: () => graph?.view(),
      refusals: refusals.list,
    },
    log,
    now,
    timers: systemTimers,
    gate: gates.admin,
    tokens: credentials.tokens,
  });

  const stopWatching = watchFiles({
    paths: policies.files,
    known: policies.known,
    onChange: async () => void (await reloads.reload("files changed")),
    ...{ timers: systemTimers, now: monotonic },
    watchFolder: systemFolderEvents,
    onUntold: (untold) =>
      log.debug(untold, "changes in folders of policies are not told by the system: they are looked for"),
    onError: (error) => log.error({ err: error }, "the files of the policies could not be watched"),
  });

  const stopWatchingCredentials = watchFiles({
    paths: credentials.files,
    known: credentials.known,
    onChange: () => credentials.refresh(),
    ...{ timers: systemTimers, now: monotonic },
    onError: (error) => log.error({ err: error }, "the files of certificates and tokens could not be watched"),
  });

  const close = async (): Promise<boolean> => {
    draining = true;
    reloads.stop();
    const { deadlineMs } = reloads.snapshot.settings.shutdown;
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
        return reloads.snapshot;
      },
      reload: reloads.reload,
      close,
    },
  };
}

/** Milliseconds of a clock that is never set. Imported: the global `performance` is a getter, which each reading would pay. */
const monotonic = (): number => performance.now();
