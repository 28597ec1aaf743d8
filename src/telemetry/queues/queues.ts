import type { Journal, Log } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Timers } from "../../util/timers.ts";
import { startFeed, type Feed } from "../buffer/feed.ts";
import { startMetricFeed, type MetricFeed } from "../buffer/metric-feed.ts";
import type { PushingInstance } from "../buffer/pushing-instance.ts";
import type { Risk } from "../ledger/risk.ts";
import type { AnyCargo, Cargo, ExportingInstance } from "./cargo.ts";
import type { Deliver } from "./offer.ts";
import { defaultQueueLimits, type QueueLimits } from "./queue-limits.ts";
import { ExportQueue } from "./queue.ts";

export interface QueuesOptions {
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** 0 up to 1, such as Math.random. */
  readonly random: () => number;
  readonly timers: Timers;
  /** Default: {@link defaultQueueLimits}. */
  readonly limits?: Partial<QueueLimits>;
}

/** A queue, whatever it holds. */
export type AnyQueue = Omit<ExportQueue<never>, "push">;

export interface HoldOptions {
  /** How many entries may wait; the queue keeps what it was made with. */
  readonly entries: number;
  /** What the queue is filled from, beside what is put in. What it gives is offered for `maxAgeMs` at least. */
  readonly journal?: Journal | undefined;
  readonly maxAgeMs: number;
}

/** How full one queue is. */
export interface QueueState {
  readonly adapter: string;
  readonly capability: AnyCargo["capability"];
  readonly entries: number;
  readonly bytes: number;
  readonly capacity: number;
}

/**
 * The queues of all exporting instances, which live as long as their instances: policy sets come and go, and what
 * waits for an instance that stays goes on.
 */
export interface Queues {
  /**
   * The queue of an instance for one kind of cargo, made when there is none. Two instances of the same identity are the
   * same. Each call is to be undone with one {@link release}.
   */
  hold<T>(cargo: Cargo<T>, adapter: string, instance: ExportingInstance, options: HoldOptions): ExportQueue<T>;
  /** When nobody holds the queue any more: delivers what waits, for at most `deadlineMs`. The instance must live until then. */
  release(queue: AnyQueue, deadlineMs: number): Promise<void>;
  /**
   * Brings samples of metrics that a journal keeps to an instance that pushes them, from now on. What it answers undoes
   * that, once: when nobody else wants them brought, all that was brought is exported first, for at most `deadlineMs`.
   */
  feedMetrics(adapter: string, instance: PushingInstance, journal: Journal): (deadlineMs: number) => Promise<void>;
  states(): readonly QueueState[];
  /** Where entries and samples wait that would end with the process, or be brought again. */
  risks(): readonly Risk[];
  /** Why an instance does not take what waits for it; `undefined` when it does, or nothing waits. */
  problem(instance: ExportingInstance): string | undefined;
}

export function createQueues(options: QueuesOptions): Queues {
  const { observer, log, now, random, timers } = options;
  const held = new Map<
    ExportingInstance,
    Map<AnyCargo, { readonly queue: AnyQueue; users: number; feed: Feed | undefined }>
  >();

  const metricFeeds = new Map<
    PushingInstance,
    { readonly feed: MetricFeed; readonly end: () => void; users: number }
  >();
  /** By adapter, when the last of its feeds has ended. */
  const metricFeedEnds = new Map<string, Promise<void>>();

  return {
    feedMetrics(adapter, instance, journal) {
      let fed = metricFeeds.get(instance);
      if (fed === undefined || fed.feed.journal !== journal) {
        if (fed !== undefined) void fed.feed.stop(0).then(fed.end);
        const after = metricFeedEnds.get(adapter) ?? Promise.resolve();
        let end = (): void => undefined;
        metricFeedEnds.set(adapter, new Promise((resolve) => (end = resolve)));
        const feed = startMetricFeed({ journal, adapter, instance, observer, log, timers, after });
        metricFeeds.set(instance, (fed = { feed, end, users: fed?.users ?? 0 }));
      }
      fed.users++;
      return async (deadlineMs) => {
        const current = metricFeeds.get(instance);
        if (current === undefined || --current.users > 0) return;
        metricFeeds.delete(instance);
        await current.feed.stop(deadlineMs);
        current.end();
      };
    },
    hold<T>(
      cargo: Cargo<T>,
      adapter: string,
      instance: ExportingInstance,
      { entries, journal, maxAgeMs }: HoldOptions,
    ) {
      let queues = held.get(instance);
      if (queues === undefined) held.set(instance, (queues = new Map()));
      let entry = queues.get(cargo);
      if (entry === undefined) {
        const method = instance[cargo.capability]! as unknown as Deliver<T>;
        const deliver = method.bind(instance);
        const patienceMs = journal === undefined ? 0 : maxAgeMs;
        const limits = { ...defaultQueueLimits, patienceMs, ...options.limits, entries };
        const queue = new ExportQueue<T>({ adapter, cargo, deliver, limits, observer, log, now, random, timers });
        queues.set(cargo, (entry = { queue, users: 0, feed: undefined }));
      }
      const queue = entry.queue as ExportQueue<T>;
      if (entry.feed?.journal !== journal) {
        entry.feed?.stop();
        entry.feed = journal && startFeed({ journal, adapter, cargo, queue, observer, log });
      }
      entry.users++;
      return queue;
    },
    async release(queue, deadlineMs) {
      for (const [instance, queues] of held) {
        for (const [cargo, entry] of queues) {
          if (entry.queue !== queue || --entry.users > 0) continue;
          entry.feed?.stop();
          await queue.close(deadlineMs);
          queues.delete(cargo);
          if (queues.size === 0) held.delete(instance);
        }
      }
    },
    risks: () => [
      ...[...held.values()].flatMap((queues) => Array.from(queues.values(), ({ queue }) => queue)),
      ...Array.from(metricFeeds.values(), ({ feed }) => feed),
    ],
    problem(instance) {
      for (const { queue } of held.get(instance)?.values() ?? []) if (queue.problem !== undefined) return queue.problem;
      return undefined;
    },
    states: () =>
      [...held.values()]
        .flatMap((queues) => [...queues.values()])
        .map(({ queue }) => ({
          adapter: queue.adapter,
          capability: queue.capability,
          entries: queue.length,
          bytes: queue.bytes,
          capacity: queue.capacity,
        })),
  };
}
