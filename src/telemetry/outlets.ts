import type { Journal, Instance, Methods, MetricGroup, MetricRecorder } from "../sdk/index.ts";
import type { Snapshot } from "../policy/snapshot.ts";
import type { Observer } from "../util/observer.ts";
import { readerName } from "./buffer/feed.ts";
import { metricSamples, SampleCollector, type MetricSamples } from "./buffer/metric-samples.ts";
import { pushes } from "./buffer/pushing-instance.ts";
import { RecordBuffer, type BufferCounts, type EntrySink } from "./buffer/record-buffer.ts";
import { logEntries, spans, type Cargo } from "./queues/cargo.ts";
import type { ExportQueue } from "./queues/queue.ts";
import type { AnyQueue, Queues } from "./queues/queues.ts";

/** What telemetry needs of an instance: the methods of the capabilities that its adapter provides. */
export interface ReportingInstance {
  readonly metrics?: Methods<never>["metrics"];
  readonly logs?: Methods<never>["logs"];
  readonly spans?: Methods<never>["spans"];
  readonly exported?: Instance["exported"];
  unready?(): string | undefined;
}

export interface OutletsOptions {
  readonly snapshot: Pick<Snapshot, "adapters" | "reports" | "settings">;
  /** The running instance behind an adapter's name in `weir.yaml`. */
  readonly instanceOf: (adapter: string) => ReportingInstance;
  readonly queues: Queues;
  /** Keeps what records become until exporters have it. Left out: it waits in memory. */
  readonly journal?:
    { readonly journal: Journal; readonly counts: BufferCounts; readonly nextId: () => string } | undefined;
  readonly observer: Observer;
}

/** The ways from the rules of one snapshot to its adapters: opened as rules need them, and closed together. */
export interface Outlets {
  /** Where a rule puts entries for an adapter: the buffer beside memory where there is one, else the adapter's queue. */
  sink<T>(cargo: Cargo<T>, adapter: string): EntrySink<T>;
  /** The adapter's queue itself, for what is not part of a record. */
  queue<T>(cargo: Cargo<T>, adapter: string): ExportQueue<T>;
  /**
   * What takes the samples of a group of metrics: the adapter's own recorder, or a collector where the buffer keeps
   * them. Throws what the adapter's `metrics` throws.
   */
  recorder(adapter: string, group: MetricGroup): MetricRecorder | SampleCollector;
  /** Has a group closed before anything else is. */
  closing(group: { close(): void }): void;
  /** Opens the ways of what a journal may still have for adapters that no rule names any more. */
  openForJournal(): void;
  /** Lets the journal forget whom it has to keep nothing for any more. To be called when every rule has its ways. */
  forgetOthers(): void;
  /** Ends the records of a call, as {@link RecordBuffer.commit} does. */
  commit(): Promise<void> | undefined;
  /** Closes everything; queues that nobody else holds are delivered first, for at most `deadlineMs`. */
  release(deadlineMs: number): Promise<void>;
}

export function createOutlets(options: OutletsOptions): Outlets {
  const { snapshot, instanceOf, queues, journal: buffering, observer } = options;
  const { whenAway, queueEntries: entries, maxAgeMs } = snapshot.settings.telemetry;
  const journal = buffering?.journal;
  const buffer = buffering && new RecordBuffer({ ...buffering, whenAway, observer });
  const groups: { close(): void }[] = [];
  const held: AnyQueue[] = [];
  const collectors: SampleCollector[] = [];
  const fed: ((deadlineMs: number) => Promise<void>)[] = [];

  const queue = <T>(cargo: Cargo<T>, adapter: string): ExportQueue<T> => {
    const opened = queues.hold<T>(cargo, adapter, instanceOf(adapter), { entries, journal, maxAgeMs });
    held.push(opened);
    return opened;
  };
  const sink = <T>(cargo: Cargo<T>, adapter: string): EntrySink<T> => {
    const opened = queue(cargo, adapter);
    return buffer?.sink(cargo, adapter, opened) ?? opened;
  };

  return {
    sink,
    queue,
    recorder(adapter, group) {
      const instance = instanceOf(adapter);
      const recorder = instance.metrics!(group);
      if (buffer === undefined || !pushes(instance)) return recorder;
      const samples = buffer.sink(metricSamples, adapter, recordingSink(instance.metrics));
      const collector = new SampleCollector(group, samples, () => recorder.close?.());
      collectors.push(collector);
      return collector;
    },
    closing: (group) => void groups.push(group),
    openForJournal() {
      if (journal === undefined) return;
      for (const [cargo, adapter] of exportersOf(options)) {
        const instance = instanceOf(adapter);
        if (cargo !== metricSamples) sink<never>(cargo as Cargo<never>, adapter);
        else if (pushes(instance)) fed.push(queues.feedMetrics(adapter, instance, journal));
      }
    },
    forgetOthers() {
      journal?.forget?.(exportersOf(options).map(([cargo, adapter]) => readerName(cargo, adapter)));
    },
    commit() {
      for (const collector of collectors) collector.flush();
      return buffer?.commit();
    },
    async release(deadlineMs) {
      for (const group of groups.splice(0)) group.close();
      await Promise.all([
        ...held.splice(0).map((each) => queues.release(each, deadlineMs)),
        ...fed.splice(0).map((unfeed) => unfeed(deadlineMs)),
      ]);
    },
  };
}

/** Records samples at once, for those that go by the buffer: each time by recorders of their own. */
function recordingSink(open: Methods<never>["metrics"]): EntrySink<MetricSamples> {
  return {
    room: Infinity,
    push({ group, rows }) {
      const recorder: MetricRecorder = open(group);
      for (const { labels, values, exemplar } of rows) recorder.record(labels, values, exemplar);
      recorder.close?.();
    },
  };
}

/** Who takes what of a buffer: the adapters that rules name, and those that weir.yaml does, but for what may be the buffer itself. */
function exportersOf({
  snapshot: { adapters, reports },
  instanceOf,
}: OutletsOptions): readonly (readonly [cargo: { readonly capability: string }, adapter: string])[] {
  const used = new Set(reports.map(({ to }) => to));
  return [...adapters.values()].flatMap(({ name, adapter: { provides }, line }) => {
    if (!used.has(name) && (line === undefined || provides.includes("journal"))) return [];
    const cargos = [logEntries, spans].filter(({ capability }) => provides.includes(capability));
    return [...cargos, ...(pushes(instanceOf(name)) ? [metricSamples] : [])].map((cargo) => [cargo, name] as const);
  });
}
