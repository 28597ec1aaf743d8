import type { AdapterEntry } from "../policy/snapshot.ts";
import type { Host, Instance, Log } from "../sdk/index.ts";
import { misspeltMembers } from "../sdk/misspelt.ts";
import type { Observer } from "../util/observer.ts";
import type { Timers } from "../util/timers.ts";
import { late, within } from "../util/within.ts";
import { AdapterCalls } from "./adapter-call.ts";
import type { BreakerOptions } from "./circuit-breaker.ts";

/** What instances are made with. */
export interface InstanceEnvironment {
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
  readonly timers: Timers;
  /** How long a call may take, in milliseconds. */
  readonly timeoutMs: () => number;
  /** How long making an instance may take, in milliseconds. */
  readonly createMs: number;
  /** How many calls may wait for one instance at once. Default 1,000. */
  readonly maxWaiting?: number;
  readonly breaker?: BreakerOptions;
}

/** A running instance and all that belongs to it. */
export interface ManagedInstance {
  readonly entry: AdapterEntry;
  readonly instance: Instance;
  readonly calls: AdapterCalls;
  /**
   * Ends the instance: its jobs stop, calls under way may end, then `close` is called, then its signal is aborted.
   * After `deadlineMs` whatever is left is aborted and no longer waited for. Never rejects.
   */
  close(deadlineMs: number): Promise<void>;
}

/**
 * Makes an instance of the adapter of an entry. Rejects with what `create` throws, when it takes too long, or when the
 * instance lacks a method that its adapter declares; what was half made is let go.
 *
 * @param folder where relative paths of the configuration are meant from
 */
export async function createInstance(
  entry: AdapterEntry,
  folder: string,
  environment: InstanceEnvironment,
): Promise<ManagedInstance> {
  const { observer, now, monotonic, timers, timeoutMs, createMs } = environment;
  const log = childLog(environment.log, entry.name);
  const controller = new AbortController();
  const jobs = new Jobs(timers, log);
  const host: Host = {
    name: entry.name,
    folder,
    log,
    now,
    monotonic,
    every: (ms, job) => jobs.every(ms, job),
    signal: controller.signal,
    count: (event, by = 1) => observer.adapterEvent(entry.name, event, by),
  };
  const end = (reason: unknown): void => {
    jobs.stop();
    controller.abort(reason);
  };

  let instance: Instance;
  try {
    const making = Promise.resolve(entry.adapter.create(entry.config, host));
    const inTime = await within(making, createMs, timers);
    if (inTime === late) {
      making.then((made) => made.close?.()).catch(() => undefined);
      throw new Error(`it was not ready within ${createMs} ms`);
    }
    instance = inTime;
    const misspelt =
      typeof instance === "object" && instance !== null ? misspeltMembers(instance, entry.adapter.provides) : [];
    for (const capability of entry.adapter.provides) {
      if (typeof instance?.[capability] === "function") continue;
      await instance?.close?.();
      const name = misspelt.find(({ meant }) => meant === capability)?.name;
      const near = name === undefined ? "" : `; it has "${name}"`;
      throw new TypeError(`it declares ${capability} but its instance has no such method${near}`);
    }
    for (const { name, meant } of misspelt)
      log.warn({ member: name }, `the instance has "${name}", which nobody calls: did you mean "${meant}"?`);
  } catch (error) {
    end(error);
    throw error;
  }

  const calls = new AdapterCalls({
    name: entry.name,
    instance,
    timeoutMs: () => Math.min(instance.timeoutMs ?? Infinity, timeoutMs()),
    observer,
    log: environment.log,
    now,
    monotonic,
    timers,
    ...(environment.maxWaiting === undefined ? {} : { maxWaiting: environment.maxWaiting }),
    ...(environment.breaker === undefined ? {} : { breaker: environment.breaker }),
  });

  return {
    entry,
    instance,
    calls,
    async close(deadlineMs) {
      jobs.stop();
      const closing = (async () => {
        await Promise.all([calls.idle(), jobs.idle()]);
        await instance.close?.();
      })();
      try {
        if ((await within(closing, deadlineMs, timers)) === late) {
          log.warn({ deadlineMs }, "the adapter did not close in time and is aborted");
          calls.abort(new Error("the instance is closed"));
          closing.catch((error: unknown) => log.warn({ err: error }, "the adapter failed to close"));
        }
      } catch (error) {
        log.warn({ err: error }, "the adapter failed to close");
      }
      controller.abort(new Error("the instance is closed"));
    },
  };
}

/** The jobs of one instance, each `ms` after its last run ended. */
class Jobs {
  readonly #timers: Timers;
  readonly #log: Log;
  readonly #waiting = new Set<() => void>();
  readonly #running = new Set<Promise<void>>();
  #stopped = false;

  constructor(timers: Timers, log: Log) {
    this.#timers = timers;
    this.#log = log;
  }

  every(ms: number, job: () => void | Promise<void>): void {
    if (!(ms > 0)) throw new RangeError(`every: expected a time above 0 ms, got ${ms}`);
    if (this.#stopped) return;
    const cancel = this.#timers.after(ms, () => {
      this.#waiting.delete(cancel);
      const run = this.#run(job).then(() => {
        this.#running.delete(run);
        this.every(ms, job);
      });
      this.#running.add(run);
    });
    this.#waiting.add(cancel);
  }

  async #run(job: () => void | Promise<void>): Promise<void> {
    try {
      await job();
    } catch (error) {
      this.#log.error({ err: error }, "a job failed");
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#waiting) cancel();
    this.#waiting.clear();
  }

  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }
}

function childLog(log: Log, adapter: string): Log {
  return {
    debug: (fields, message) => log.debug({ adapter, ...fields }, message),
    info: (fields, message) => log.info({ adapter, ...fields }, message),
    warn: (fields, message) => log.warn({ adapter, ...fields }, message),
    error: (fields, message) => log.error({ adapter, ...fields }, message),
  };
}
