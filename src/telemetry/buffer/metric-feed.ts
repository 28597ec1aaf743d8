import type { Journal, Log, MetricRecorder, StoredBatch } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { Timers } from "../../util/timers.ts";
import { saysReady } from "../../util/says-ready.ts";
import { late, within } from "../../util/within.ts";
import type { Risk } from "../ledger/risk.ts";
import { recordingFaults } from "../recording-faults.ts";
import { batchEntries } from "./batch.ts";
import { readerName } from "./feed.ts";
import { metricSamples, type MetricSamples } from "./metric-samples.ts";
import type { PushingInstance } from "./pushing-instance.ts";

export interface MetricFeedOptions {
  readonly journal: Journal;
  readonly adapter: string;
  readonly instance: PushingInstance;
  readonly observer: Pick<Observer, "dropped" | "adapterCall">;
  readonly log: Log;
  readonly timers: Timers;
  /** Nothing is brought before: the instance that this one takes the place of has exported what it was brought. */
  readonly after: Promise<void>;
}

/** Brings samples out of a journal. Those that were recorded and not called done are brought again. */
export interface MetricFeed extends Risk {
  readonly journal: Journal;
  /**
   * Brings no more, and has what was brought exported, for at most so long and while the instance says that it can. What
   * is not exported then is brought again later.
   */
  stop(deadlineMs: number): Promise<void>;
}

/** How much is recorded at most and not exported yet: beyond it the next export is not waited for. */
const maxBatches = 256;
const maxSamples = 20_000;
/** How often, while its last export is waited for, an instance is asked whether it can export at all. */
const lookMs = 250;

/** Records what a journal keeps for one instance, and calls it done when the instance has exported it. */
export function startMetricFeed(options: MetricFeedOptions): MetricFeed {
  const { journal, adapter, instance, observer, log, timers, after } = options;
  const controller = new AbortController();
  const recorders = new Recorders(options);
  /** Of what is recorded and not exported. */
  let batches = 0;
  let samples = 0;

  /** Resolves when all that was recorded until now is exported; `false` when the instance was closed before. */
  async function exported(atOnce: boolean): Promise<boolean> {
    try {
      await instance.exported({ atOnce });
      return true;
    } catch (error) {
      // It is brought again, to whoever reads next.
      log.debug({ adapter, err: error }, "metrics were recorded and not exported");
      return false;
    }
  }

  async function finish(batch: StoredBatch, count: number): Promise<void> {
    const whole = await exported(false);
    batches--;
    samples -= count;
    if (batches === 0) recorders.close();
    if (whole) batch.done();
  }

  async function run(): Promise<void> {
    const aborted = new Promise<void>((resolve) =>
      controller.signal.addEventListener("abort", () => resolve(), { once: true }),
    );
    await Promise.race([after, aborted]);
    try {
      for await (const batch of journal.read(readerName(metricSamples, adapter), controller.signal)) {
        let entries: readonly MetricSamples[];
        try {
          entries = batchEntries(batch.bytes, adapter, metricSamples);
        } catch (error) {
          observer.dropped("batch", "unreadable", 1);
          log.warn({ adapter, err: error }, "a batch of the buffer cannot be read, and is left out");
          entries = [];
        }
        if (entries.length === 0) {
          batch.done();
          continue;
        }
        let count = 0;
        for (const entry of entries) count += recorders.record(entry);
        batches++;
        samples += count;
        void finish(batch, count);
        if (batches >= maxBatches || samples >= maxSamples) await exported(true);
      }
    } catch (error) {
      log.error({ adapter, err: error }, "the buffer cannot be read any more");
    }
  }

  const running = run();
  return {
    journal,
    what: "repeated_sample",
    adapter,
    get unsafe() {
      return samples;
    },
    async stop(deadlineMs) {
      controller.abort();
      const ended = (async () => {
        if (batches > 0) await exported(true);
        await running;
      })();
      let leftMs = deadlineMs;
      // One that cannot export tries a last time when it is closed.
      for (; leftMs > 0 && saysReady(instance); leftMs -= lookMs)
        if ((await within(ended, Math.min(leftMs, lookMs), timers)) !== late) return;
      if (batches === 0) return;
      const why = leftMs > 0 ? "the adapter does not take metrics" : "metrics were not exported in time";
      log.warn({ adapter, samples }, `${why}: the buffer keeps them`);
    },
  };
}

/** The most groups whose recorders are kept. */
const maxRecorders = 256;

/** Recorders of the groups that came. */
class Recorders {
  readonly #options: MetricFeedOptions;
  readonly #open = new Map<string, MetricRecorder>();
  readonly #noteFault: (error: unknown) => void;

  constructor(options: MetricFeedOptions) {
    this.#options = options;
    this.#noteFault = recordingFaults(options.adapter, options.observer, options.log);
  }

  /** Answers how many samples were recorded. */
  record({ group, rows }: MetricSamples): number {
    const { instance, adapter, observer, log } = this.#options;
    const key = JSON.stringify(group);
    let recorder = this.#open.get(key);
    try {
      if (recorder === undefined) {
        if (this.#open.size >= maxRecorders) this.close();
        this.#open.set(key, (recorder = instance.metrics(group)));
      }
    } catch (error) {
      // Its policies were refused for it, or the adapter is another one by now.
      observer.dropped("metric_sample", "refused", rows.length);
      log.warn({ adapter, err: error }, "the adapter does not take metrics that the buffer kept for it");
      return 0;
    }
    for (const { labels, values, exemplar } of rows) {
      try {
        recorder.record(labels, values, exemplar);
      } catch (error) {
        this.#noteFault(error);
      }
    }
    return rows.length * group.metrics.length;
  }

  /** Lets the recorders go: metrics that no policy has any more are exported a last time then. */
  close(): void {
    for (const recorder of this.#open.values()) recorder.close?.();
    this.#open.clear();
  }
}
