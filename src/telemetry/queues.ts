import type { Log, Methods } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import type { Timers } from "../util/timers.ts";
import { defaultQueueLimits, ExportQueue, type QueueLimits } from "./queue.ts";

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

/** An instance that exports. Two of the same identity are the same instance. */
export interface ExportingInstance {
  readonly logs: Methods<never>["logs"];
}

/** How full one queue is. */
export interface QueueState {
  readonly adapter: string;
  readonly entries: number;
  readonly bytes: number;
  readonly capacity: number;
}

/**
 * The queues of all exporting instances, which live as long as their instances: policy sets come and go, and what
 * waits for an instance that stays goes on.
 */
export interface Queues {
  /** The queue of an instance, made when there is none. Each call is to be undone with one {@link release}. */
  hold(adapter: string, instance: ExportingInstance, entries: number): ExportQueue;
  /** When nobody holds the queue any more: delivers what waits, for at most `deadlineMs`. The instance must live until then. */
  release(queue: ExportQueue, deadlineMs: number): Promise<void>;
  states(): readonly QueueState[];
}

export function createQueues(options: QueuesOptions): Queues {
  const { observer, log, now, random, timers } = options;
  const held = new Map<ExportingInstance, { readonly queue: ExportQueue; users: number }>();

  return {
    hold(adapter, instance, entries) {
      let entry = held.get(instance);
      if (entry === undefined) {
        const deliver = instance.logs.bind(instance);
        const limits = { ...defaultQueueLimits, ...options.limits, entries };
        const queue = new ExportQueue({ adapter, deliver, limits, observer, log, now, random, timers });
        held.set(instance, (entry = { queue, users: 0 }));
      }
      entry.users++;
      return entry.queue;
    },
    async release(queue, deadlineMs) {
      for (const [instance, entry] of held) {
        if (entry.queue !== queue || --entry.users > 0) continue;
        await queue.close(deadlineMs);
        held.delete(instance);
      }
    },
    states: () =>
      [...held.values()].map(({ queue }) => ({
        adapter: queue.adapter,
        entries: queue.length,
        bytes: queue.bytes,
        capacity: queue.capacity,
      })),
  };
}
