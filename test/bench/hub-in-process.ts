import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import { builtinAdapters } from "../../adapters/index.ts";
import { compilePolicies } from "../../src/policy/index.ts";
import type { Snapshot } from "../../src/policy/snapshot.ts";
import { createRuntime } from "../../src/runtime/runtime.ts";
import { createHubMetrics } from "../../src/telemetry/hub-metrics/hub-metrics.ts";
import { createQueues } from "../../src/telemetry/queues/queues.ts";
import { createReporter, type Reporter } from "../../src/telemetry/report.ts";
import type { Observer } from "../../src/util/observer.ts";
import { systemTimers } from "../../src/util/timers.ts";
import { createTraceIds } from "../../src/util/trace-ids.ts";
import { sessionOn } from "../../src/hub/session-of.ts";
import type { DoorOptions } from "../../src/wire/call.ts";
import type { Session } from "../../src/wire/session.ts";
import type { Files } from "./policies.ts";
import { silentLog } from "./silent.ts";

/** What stands behind the doors of a hub, joined as `src/weir.ts` joins it, without a listener. */
export interface HubInProcess {
  readonly snapshot: Snapshot;
  readonly session: Session;
  /** Counts into the hub's own metrics. */
  readonly observer: Observer;
  readonly door: DoorOptions;
}

export async function hubInProcess(files: Files): Promise<HubInProcess> {
  const compiled = await compilePolicies({
    config: { path: "weir.yaml", text: "adapters: { memory: {}, prometheus: {} }\n" },
    files: Array.from(files, ([path, text]) => ({ path, text })),
    adapters: builtinAdapters,
    folder: process.cwd(),
  });
  if ("problems" in compiled) throw new Error(compiled.problems[0]!.message);
  const { snapshot } = compiled;
  const outside = { log: silentLog, now: Date.now, timers: systemTimers };
  const { observer, records } = createHubMetrics({
    version: "0",
    now: Date.now,
    loaded: () => snapshot,
    queues: () => queues.states(),
    leases: () => [],
    rules: () => [],
    limitKeys: () => [],
    adapters: () => [],
    caches: () => [],
    buffer: () => undefined,
    credentials: () => [],
    ledger: () => undefined,
    policyStoreUp: () => undefined,
  });
  const queues = createQueues({ observer, random: Math.random, ...outside });
  const traceIds = createTraceIds(randomBytes);
  const runtime = createRuntime<Reporter>({
    fallback: builtinAdapters.get("memory")!,
    observer,
    monotonic: () => performance.now(),
    random: randomBytes,
    ...outside,
    prepare: (prepared, instanceOf) =>
      createReporter({ snapshot: prepared, instanceOf, queues, observer, counts: records, traceIds, ...outside }),
    retire: (reporter, deadlineMs) => reporter.close(deadlineMs),
  });
  const [problem] = await runtime.activate(snapshot);
  if (problem !== undefined) throw new Error(problem.message);
  const session = sessionOn(runtime.acquire(), "bench", () => performance.now());
  const open = (): Session => (runtime.acquire(), session);
  return { snapshot, session, observer, door: { open, observer, log: silentLog } };
}
