import type { Bag } from "../attributes/bag.ts";
import type { AdapterEntry, Snapshot } from "../policy/snapshot.ts";
import type { Problem } from "../policy/problem.ts";
import type { Adapter, Instance, Log, Span } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import type { Timers } from "../util/timers.ts";
import { WeirError } from "../util/weir-error.ts";
import { within } from "../util/within.ts";
import { createCheck } from "./check.ts";
import type { BreakerOptions } from "./circuit-breaker.ts";
import { Tracer } from "./decision-trace.ts";
import { createTraceIds } from "../util/trace-ids.ts";
import { decisionIds, lazyDecisionIds } from "./decision-id.ts";
import { optionalInputs } from "./prepared-rule.ts";
import { producerOf } from "./produce.ts";
import { createHolds } from "./limits/holds.ts";
import type { InstanceEnvironment, ManagedInstance } from "./instance.ts";
import { createFallback, InstancePool } from "./instance-pool.ts";
import { LocalLimits } from "./limits/local-limits.ts";
import { problemOf, unprepared } from "./load-problem.ts";
import { createQuotaLimits } from "./quota/bucket-limits.ts";
import { createRateLimit } from "./rate-limit.ts";
import { RuleUse, RuleUses, type RuleTotals } from "./rules/rule-use.ts";
import { Holding } from "./serving.ts";
import type { Serving } from "./serving.ts";

export type { Serving } from "./serving.ts";

export interface RuntimeOptions<T> {
  /** Keeps the limits of `onError: local` while their own adapter fails; made without configuration. Answers at once. */
  readonly fallback: Adapter;
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set, such as `performance.now`. */
  readonly monotonic: () => number;
  /** That many random bytes that nobody can guess, such as `crypto.randomBytes`. */
  readonly random: (bytes: number) => Uint8Array;
  readonly timers: Timers;
  /**
   * Makes what else lives as long as a snapshot serves, such as its report rules. Called when all its instances are
   * there and before it serves. When it throws, the snapshot does not serve. `produce` makes what adapters know of a
   * reported request, where rules read such.
   */
  prepare(snapshot: Snapshot, instanceOf: (adapter: string) => Instance, produce?: (bag: Bag) => void): T;
  /**
   * Lets go of what {@link RuntimeOptions.prepare} made: after the last request of the snapshot and before those of its
   * instances are closed that no other snapshot uses. It is waited for no longer than `deadlineMs`.
   */
  retire(prepared: T, deadlineMs: number): void | Promise<void>;
  /** Takes a span of the hub's own, where `telemetry.traces` asks for them. */
  trace?(prepared: T, span: Span): void;
  /** How long making an instance may take. Default 30 s. */
  readonly createMs?: number;
  /** How many calls may wait for one instance at once. Default 1,000. */
  readonly maxWaiting?: number;
  readonly breaker?: BreakerOptions;
}

/** An instance that serves, for probes, listings and scrapes. */
export interface ServingInstance {
  readonly entry: AdapterEntry;
  readonly instance: Instance;
  /** Whether its circuit breaker keeps calls from it now. */
  readonly isLeftAlone: boolean;
}

/**
 * Keeps the snapshot that serves and the instances of its adapters, and swaps both at once.
 *
 * An instance is made once, stays over a reload that does not change its configuration, and is closed once, after the
 * last call of the last snapshot that uses it.
 */
export interface Runtime<T> {
  /**
   * Lets a snapshot serve: instances that are missing are made, then one reference is swapped. Answers problems, placed
   * where `weir.yaml` names the adapter, when one cannot be made; everything is then as it was. Calls wait for each other.
   */
  activate(snapshot: Snapshot): Promise<readonly Problem[]>;
  /** The snapshot that serves, held until it is released. Throws WEIR_SHUTTING_DOWN before the first and after `close`. */
  acquire(): Serving<T>;
  /** The instances of the snapshot that serves, in the order of `weir.yaml`. */
  instances(): readonly ServingInstance[];
  /** How the check rules of the snapshot that serves were used, with what was counted of them before reloads. */
  ruleTotals(): Iterable<RuleTotals>;
  /**
   * Ends the serving: requests under way may end, for half of `deadlineMs`; then every instance is closed. After
   * `deadlineMs` it waits no longer and aborts what is left. Never rejects.
   */
  close(deadlineMs: number): Promise<void>;
}

/** Makes a {@link Runtime} that does not serve yet. */
export function createRuntime<T>(options: RuntimeOptions<T>): Runtime<T> {
  const { observer, log, now, monotonic, timers } = options;
  const nextId = decisionIds(options.random);
  const nextLazyId = lazyDecisionIds(options.random);
  const traceIds = createTraceIds(options.random);
  /** Snapshots that serve, or on which there are still requests. */
  const holdings = new Set<Holding<T>>();
  const endings = new Set<Promise<void>>();
  const ruleUses = new RuleUses();
  let current: Holding<T> | undefined;
  let fallback: ManagedInstance | undefined;
  let localLimits: LocalLimits | undefined;
  /** While closing: when it must be over, by the monotonic clock. */
  let closeBy: number | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  const environment: InstanceEnvironment = {
    observer,
    log,
    now,
    monotonic,
    timers,
    timeoutMs: () => current?.snapshot.settings.check.adapterTimeoutMs ?? 1000,
    createMs: options.createMs ?? 30_000,
    ...(options.maxWaiting === undefined ? {} : { maxWaiting: options.maxWaiting }),
    ...(options.breaker === undefined ? {} : { breaker: options.breaker }),
  };
  const pool = new InstancePool(environment);

  /** What a snapshot used is let go. */
  async function drop(instances: readonly ManagedInstance[], deadlineMs: number): Promise<void> {
    for (const { calls } of await pool.drop(instances, deadlineMs)) localLimits?.forget(calls);
  }

  async function activate(snapshot: Snapshot): Promise<readonly Problem[]> {
    refuseWhenClosing();
    const { folder, shutdown } = snapshot.settings;
    const local = (fallback ??= await createFallback(options.fallback, folder, environment));
    localLimits ??= new LocalLimits({ ...local, observer, log, now, monotonic, timers, nextId });
    const problems: Problem[] = [];
    const obtained = await Promise.all(
      [...snapshot.adapters.values()].map(async (entry) => {
        try {
          return await pool.obtain(entry, folder);
        } catch (error) {
          log.error({ adapter: entry.name, err: error }, "the adapter could not be made");
          problems.push(problemOf(entry, error));
          return undefined;
        }
      }),
    );
    const held = obtained.filter((instance) => instance !== undefined);
    try {
      if (problems.length === 0) {
        refuseWhenClosing();
        const next = hold(snapshot, held, local);
        const before = current;
        current = next;
        before?.replace();
        return [];
      }
    } catch (error) {
      log.error({ err: error }, "the policies could not be prepared");
      problems.push(unprepared(snapshot, error));
    }
    await drop(held, shutdown.deadlineMs);
    return problems.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line));
  }

  function refuseWhenClosing(): void {
    if (closeBy !== undefined) throw new WeirError("WEIR_SHUTTING_DOWN", "the hub is stopping");
  }

  function hold(snapshot: Snapshot, held: readonly ManagedInstance[], local: ManagedInstance): Holding<T> {
    const byName = new Map(held.map((instance) => [instance.entry.name, instance]));
    const managed = (adapter: string): ManagedInstance => {
      const instance = byName.get(adapter);
      if (instance === undefined) throw new WeirError("WEIR_INTERNAL", `no adapter is called ${adapter}`);
      return instance;
    };
    const callsOf = (adapter: string) => managed(adapter).calls;
    const instanceOf = (adapter: string): Instance => managed(adapter).instance;
    const { traces } = snapshot.settings.telemetry;
    const { layout } = snapshot;
    const send = (span: Span): void => options.trace?.(prepared, span);
    const tracer = traces && new Tracer({ settings: traces, layout, ids: traceIds, now, monotonic, observer, send });
    const tables = (adapter: string) => (key: string) => instanceOf(adapter).table?.(key);
    const use = new RuleUse(snapshot.checks);
    const producing = {
      instanceOf,
      optionalInputs: (adapter: string) => optionalInputs(adapter, snapshot),
      ...{ observer, log, now },
    };
    const context = {
      snapshot,
      produce: producerOf(snapshot.produced.check, layout, producing),
      use,
      tracer,
      callsOf,
      tables,
      fallback: local.calls,
      local: localLimits!,
      observer,
      log,
      nextId,
      nextLazyId,
      now,
      monotonic,
    };
    const check = createCheck(context);
    const rateLimit = createRateLimit(context);
    const holds = createHolds(context);
    const quotas = createQuotaLimits(context);
    const prepared = options.prepare(
      snapshot,
      instanceOf,
      producerOf(snapshot.produced.report, snapshot.reportLayout, producing),
    );
    const holding = new Holding(snapshot, prepared, check, rateLimit, holds, quotas, instanceOf, held, (ended) => {
      holdings.delete(ended);
      ruleUses.end(use);
      const ending = end(ended).finally(() => endings.delete(ending));
      endings.add(ending);
    });
    holdings.add(holding);
    ruleUses.begin(use);
    return holding;
  }

  /** After the last request of a snapshot that serves no more. */
  async function end(ended: Holding<T>): Promise<void> {
    const left = (): number =>
      closeBy === undefined ? ended.snapshot.settings.shutdown.deadlineMs : Math.max(0, closeBy - monotonic());
    try {
      // Half of the time, so that some is left to close the instances.
      const retireMs = left() / 2;
      await within(Promise.resolve(options.retire(ended.prepared, retireMs)), retireMs, timers);
    } catch (error) {
      log.error({ err: error }, "what belonged to the last policies could not be let go");
    }
    await drop(ended.held, left());
  }

  return {
    activate(snapshot) {
      const activated = turn.then(() => activate(snapshot));
      turn = activated.catch(() => undefined);
      return activated;
    },

    acquire() {
      if (current === undefined) throw new WeirError("WEIR_SHUTTING_DOWN", "the hub does not serve");
      return current.acquire();
    },

    instances: () =>
      current?.held.map(({ entry: made, instance, calls }) => {
        // An instance that was kept over a reload was made with the entry of then.
        const entry = current!.snapshot.adapters.get(made.name) ?? made;
        return { entry, instance, isLeftAlone: calls.isLeftAlone };
      }) ?? [],

    ruleTotals: () => ruleUses.totals(),

    async close(deadlineMs) {
      const end = monotonic() + deadlineMs;
      closeBy = end;
      const left = (): number => Math.max(0, end - monotonic());
      const requests = (async () => {
        await turn;
        const last = current;
        current = undefined;
        last?.replace();
        await Promise.all([...holdings].map((holding) => holding.ended));
      })();
      await within(requests, deadlineMs / 2, timers);
      // What requests still hold is taken from them.
      current = undefined;
      for (const holding of holdings) holding.force();
      // Each of these ends by itself in the time that is left.
      await Promise.all(endings);
      await pool.close(left());
      localLimits?.close();
      await fallback?.close(left());
    },
  };
}
