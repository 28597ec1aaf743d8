import type { Journal, Log } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Cargo } from "../queues/cargo.ts";
import type { ExportQueue } from "../queues/queue.ts";
import { batchEntries } from "./batch.ts";

export interface FeedOptions<T> {
  readonly journal: Journal;
  readonly adapter: string;
  readonly cargo: Cargo<T>;
  readonly queue: ExportQueue<T>;
  readonly observer: Pick<Observer, "dropped">;
  readonly log: Log;
}

/** By which name an adapter's queue reads a journal. */
export function readerName({ capability }: { readonly capability: string }, adapter: string): string {
  return `${adapter}/${capability}`;
}

/** What brings entries out of a journal. */
export interface Feed {
  readonly journal: Journal;
  /** Brings no more. What is in the queue is still called done when it is delivered. */
  stop(): void;
}

/** Brings what a journal keeps for one adapter into the adapter's queue, as there is room. */
export function startFeed<T>(options: FeedOptions<T>): Feed {
  const controller = new AbortController();
  void run(options, controller.signal);
  return { journal: options.journal, stop: () => controller.abort() };
}

async function run<T>(
  { journal, adapter, cargo, queue, observer, log }: FeedOptions<T>,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const batch of journal.read(readerName(cargo, adapter), signal)) {
      let entries;
      try {
        entries = batchEntries(batch.bytes, adapter, cargo);
      } catch (error) {
        observer.dropped("batch", "unreadable", 1);
        log.warn({ adapter, err: error }, "a batch of the buffer cannot be read, and is left out");
        entries = [] as const;
      }
      if (entries.length === 0) {
        batch.done();
        continue;
      }
      let left = entries.length;
      const delivered = (): void => {
        if (--left === 0) batch.done();
      };
      for (const entry of entries) {
        while (queue.room <= 0) {
          if (signal.aborted) return;
          await queue.waitForRoom(signal);
        }
        queue.push(entry, delivered);
      }
    }
  } catch (error) {
    log.error({ adapter, err: error }, "the buffer cannot be read any more");
  }
}
