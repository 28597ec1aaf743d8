import { setImmediate } from "node:timers/promises";
import test from "ava";
import fc from "fast-check";
import type { Journal, JournalRefusal, LogEntry, StoredBatch } from "../../src/sdk/index.ts";
import { batchEntries, BatchWriter } from "../../src/telemetry/buffer/batch.ts";
import { metricSamples, SampleCollector, type MetricSamples } from "../../src/telemetry/buffer/metric-samples.ts";
import { logEntries } from "../../src/telemetry/queues/cargo.ts";
import type { ReportingInstance } from "../../src/telemetry/outlets.ts";
import { createReporter, type Reporter } from "../../src/telemetry/report.ts";
import { recordOf } from "../attributes/bag-of.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { snapshotOf, TestHub } from "./hub.ts";

const policies = `
policy: p
report:
  - { metric: requests, type: counter, labels: { path: request.path }, to: other }
  - { metric: sizes, type: histogram, buckets: [1], value: request.size, labels: { path: request.path }, to: other }
  - { metric: scraped, type: counter, labels: {} }
`;

/** A journal in memory, which outlives the reporters that use it. */
class FakeJournal implements Journal {
  readonly maxBatchBytes = 768 * 1024;
  refused: JournalRefusal | undefined;
  readonly batches: { readonly bytes: Uint8Array; readonly doneBy: Set<string> }[] = [];
  readonly #waiting = new Set<() => void>();

  refusal(): JournalRefusal | undefined {
    return this.refused;
  }
  async append(bytes: Uint8Array): Promise<"stored" | JournalRefusal> {
    if (this.refused !== undefined) return this.refused;
    this.batches.push({ bytes, doneBy: new Set() });
    this.#wake();
    return "stored";
  }
  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
  async *read(reader: string, signal: AbortSignal): AsyncGenerator<StoredBatch> {
    signal.addEventListener("abort", () => this.#wake());
    for (let at = 0; !signal.aborted;) {
      const batch = this.batches[at];
      if (batch === undefined) {
        await new Promise<void>((resolve) => void this.#waiting.add(resolve));
        continue;
      }
      at++;
      if (!batch.doneBy.has(reader)) yield { bytes: batch.bytes, done: () => void batch.doneBy.add(reader) };
    }
  }
  /** How many batches the reader of metrics has not done with. */
  get left(): number {
    return this.batches.filter(({ doneBy }) => !doneBy.has("other/metrics")).length;
  }
}

/** An instance that pushes when it is told to. */
class Pushing {
  readonly hub: TestHub;
  readonly asked: boolean[] = [];
  readonly #waiting: { readonly resolve: () => void; readonly reject: (reason: Error) => void }[] = [];
  /** Why it cannot export. */
  reason: string | undefined;
  /** What its recorders throw. */
  broken: Error | undefined;
  constructor(hub: TestHub) {
    this.hub = hub;
  }
  readonly instance: ReportingInstance = {
    metrics: (group) => {
      if (this.broken === undefined) return this.hub.openRecorder(group);
      const { broken } = this;
      return {
        record: () => {
          throw broken;
        },
      };
    },
    exported: ({ atOnce }) =>
      new Promise((resolve, reject) => {
        this.asked.push(atOnce);
        this.#waiting.push({ resolve, reject });
      }),
    unready: () => this.reason,
  };
  push(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }
  close(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error("closed"));
  }
}

async function setUp(journal = new FakeJournal(), telemetry = "", hub = new TestHub(), rules = policies) {
  const pushing = new Pushing(hub);
  const snapshot = await snapshotOf(rules, `buffer: disk, disk: { folder: a }, ${telemetry}`);
  let batches = 0;
  const counts = { stored: 0, spilled: 0, refused: 0 };
  const reporter: Reporter = createReporter({
    snapshot,
    instanceOf: (adapter) => (adapter === "other" ? pushing.instance : hub.instanceOf(adapter)),
    queues: hub.queues,
    observer: hub.observer,
    counts: hub.counts,
    now: hub.clock.now,
    traceIds: hub.traceIds,
    log: hub.log,
    journal: { journal, counts, nextId: () => String(batches++) },
  });
  const report = (path: string) => {
    const outcome = reporter.report(recordOf(snapshot, { "request.path": path, "request.size": 5 }));
    return { outcome, committed: reporter.commit() };
  };
  const pushed = (): string[] => hub.samples.filter((sample) => !sample.startsWith("scraped"));
  return { hub, pushing, reporter, report, journal, counts, pushed };
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await setImmediate();
};

test("samples of an adapter that pushes are recorded out of the journal, and done with when they were exported", async (t) => {
  const { hub, pushing, report, journal, pushed, counts } = await setUp();
  for (const path of ["/a", "/b"]) {
    const { outcome, committed } = report(path);
    t.is(outcome, "taken");
    await committed;
  }
  t.deepEqual(hub.samples.slice(0, 1), ["scraped{} 1"], "what is scraped is counted at once");
  await turns();
  t.deepEqual(pushed(), ["requests{path=/a} 1", "sizes{path=/a} 5", "requests{path=/b} 1", "sizes{path=/b} 5"]);
  t.is(counts.stored, 2);
  t.is(journal.left, 2, "not exported yet");
  const unsafe = (): (number | string)[][] =>
    hub.queues
      .risks()
      .filter(({ what }) => what === "repeated_sample")
      .map((risk) => [risk.what, risk.adapter, risk.unsafe]);
  t.deepEqual(unsafe(), [["repeated_sample", "other", 4]]);
  t.deepEqual(pushing.asked, [false, false], "there is no hurry");
  pushing.push();
  await turns();
  t.is(journal.left, 0);
  t.deepEqual(unsafe(), [["repeated_sample", "other", 0]]);
});

test("what an adapter fails to record out of the journal is counted each time, and logged once", async (t) => {
  const { hub, pushing, report } = await setUp();
  pushing.broken = new Error("broken");
  for (const path of ["/a", "/b"]) await report(path).committed;
  await turns();
  t.deepEqual(
    hub.observer.told.filter((told) => told.startsWith("adapter")),
    ["adapter other metrics fault", "adapter other metrics fault"],
  );
  t.deepEqual(hub.log.lines, ["warn: adapter other failed to record metrics"]);
});

test("what was recorded and not exported is brought again, to the next hub too", async (t) => {
  const first = await setUp();
  await first.report("/a").committed;
  await turns();
  t.is(first.pushed().length, 2);
  // It is killed now: nobody hears of it any more.
  const second = await setUp(first.journal);
  await turns();
  t.deepEqual(second.pushed(), ["requests{path=/a} 1", "sizes{path=/a} 5"]);
  second.pushing.push();
  await turns();
  t.is(first.journal.left, 0);
});

test("a hub that stops has all of it exported first, or leaves it in the journal", async (t) => {
  const first = await setUp();
  await first.report("/a").committed;
  const stopping = first.reporter.close(1000);
  await turns();
  t.deepEqual(first.pushing.asked, [false, true], "now it is urgent");
  first.pushing.push();
  await stopping;
  t.is(first.journal.left, 0);

  const second = await setUp();
  await second.report("/a").committed;
  const stopped = second.reporter.close(1000);
  await turns();
  await second.hub.clock.advance(1000);
  await stopped;
  t.is(second.journal.left, 1);
  second.pushing.close();
  await turns();
  t.is(second.journal.left, 1, "an instance that was closed has exported nothing");
});

test("a hub that stops leaves in the journal what an instance says that it cannot export", async (t) => {
  const away = await setUp();
  away.pushing.reason = "nobody takes metrics";
  await away.report("/a").committed;
  await turns();
  await away.reporter.close(60_000);
  t.is(away.journal.left, 1);

  const goes = await setUp();
  await goes.report("/a").committed;
  let isClosed = false;
  const stopping = goes.reporter.close(60_000).then(() => (isClosed = true));
  await turns();
  await goes.hub.clock.advance(1000);
  t.false(isClosed);
  goes.pushing.reason = "nobody takes metrics";
  await goes.hub.clock.advance(1000);
  await stopping;
  t.is(goes.journal.left, 1);
});

test("a hub that stops waits for its whole deadline for an instance that says nothing, and no longer", async (t) => {
  const slow = await setUp();
  await slow.report("/a").committed;
  let isClosed = false;
  const stopping = slow.reporter.close(1100).then(() => (isClosed = true));
  for (const ms of [1000, 99]) {
    await turns();
    await slow.hub.clock.advance(ms);
    await turns();
    t.false(isClosed);
  }
  await slow.hub.clock.advance(1);
  await stopping;
  t.is(slow.journal.left, 1);
  t.deepEqual(slow.hub.log.lines, ["warn: metrics were not exported in time: the buffer keeps them"]);
});

test("an instance that takes the place of another is brought only what that one has not exported", async (t) => {
  const first = await setUp();
  await first.report("/a").committed;
  await turns();
  const second = await setUp(first.journal, "", first.hub);
  await first.report("/b").committed;
  await turns();
  const closing = first.reporter.close(1000);
  await turns();
  first.pushing.push();
  await closing;
  await second.report("/c").committed;
  await turns();
  second.pushing.push();
  await turns();
  t.deepEqual(
    first.pushed().filter((sample) => sample.startsWith("requests")),
    ["requests{path=/a} 1", "requests{path=/b} 1", "requests{path=/c} 1"],
  );
  t.is(first.journal.left, 0);
});

test("when much is recorded the next export is not waited for, and no more is recorded before it ended", async (t) => {
  const { pushing, report, journal, pushed } = await setUp();
  for (let i = 0; i < 300; i++) await report("/a").committed;
  await turns();
  t.is(pushed().length, 2 * 256);
  t.true(pushing.asked.includes(true));
  pushing.push();
  await turns();
  t.is(pushed().length, 2 * 300);
  pushing.push();
  await turns();
  t.is(journal.left, 0);
});

test("a record is not taken while the journal takes nothing, and nothing of it is counted", async (t) => {
  const { hub, report, journal, pushed } = await setUp();
  journal.refused = "full";
  t.is(report("/a").outcome, "full");
  t.deepEqual(hub.samples, []);
  journal.refused = "away";
  const { outcome, committed } = report("/a");
  t.is(outcome, "full");
  await t.throwsAsync(committed!, { code: "WEIR_REPORT_NOT_STORED" });
  await turns();
  t.deepEqual(pushed(), []);
});

test("a condition of a metric that the buffer keeps is asked once for a record", async (t) => {
  const rules = `
policy: p
report:
  - { metric: requests, type: counter, labels: {}, to: other, unless: 1 / (request.size - 5) == 0 }
`;
  const { hub, report, pushed } = await setUp(new FakeJournal(), "", new TestHub(), rules);
  t.is(report("/a").outcome, "taken");
  await turns();
  t.deepEqual(hub.observer.told, ["fault p/requests unless"]);
  t.deepEqual(pushed(), ["requests{} 1"]);
});

test("with whenAway: memory samples go by a journal that is away", async (t) => {
  const { report, journal, pushed, counts } = await setUp(new FakeJournal(), "whenAway: memory");
  journal.refused = "away";
  t.is(report("/a").outcome, "taken");
  await turns();
  t.deepEqual(pushed(), ["requests{path=/a} 1", "sizes{path=/a} 5"]);
  t.deepEqual(counts, { stored: 0, spilled: 1, refused: 0 });
});

test("entries of several rules for one adapter all come out of a batch", (t) => {
  let id = 0;
  const options = { maxBytes: 4096, nextId: () => String(id++), onTooLarge: () => t.fail() };
  const writer = new BatchWriter(options);
  const entry = (name: string): LogEntry => ({ name, timeMs: 1, severity: "info", fields: { a: 1 } });
  const [one, two, other] = [["out"], ["out"], ["else"]].map(([adapter]) => writer.section(adapter!, logEntries));
  one!(entry("1"));
  two!(entry("2"));
  other!(entry("3"));
  one!(entry("4"));
  const [batch, ...more] = writer.take();
  t.deepEqual(more, []);
  t.deepEqual(
    ["out", "else"].map((adapter) => batchEntries(batch!.bytes, adapter, logEntries).map(({ name }) => name)),
    [["1", "2", "4"], ["3"]],
  );
});

test("samples come out of a batch as they went in", (t) => {
  const value = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, 0));
  const hex = (length: number) =>
    fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`)).map((text) => text.padEnd(length, "0"));
  const exemplar = fc.option(fc.record({ traceId: hex(32), spanId: hex(16) }), { nil: undefined });
  const samples: fc.Arbitrary<MetricSamples> = fc.record({
    group: fc.constant<MetricSamples["group"]>({
      labels: ["a", "b"],
      metrics: [
        { name: "c", kind: "counter", help: "h" },
        { name: "h", kind: "histogram", help: "", buckets: [1, 2.5] },
      ],
    }),
    rows: fc.array(
      fc.record({
        labels: fc.tuple(fc.string({ unit: "grapheme" }), fc.string()),
        values: fc.tuple(value, value),
        exemplar,
      }),
      { maxLength: 5 },
    ),
  });
  fc.assert(
    fc.property(samples, (given) => {
      const packed = JSON.parse(JSON.stringify(metricSamples.pack([given]))) as unknown;
      // JSON has one zero.
      const rows = given.rows.map((row) => ({ ...row, values: row.values.map((each) => (each === 0 ? 0 : each)) }));
      t.deepEqual(metricSamples.unpack(packed, ""), [{ ...given, rows }]);
    }),
    { numRuns: fuzzRuns(200) },
  );
});

test("a label that is longer than a batch costs the buffer its own sample and no other", (t) => {
  const entries: MetricSamples[] = [];
  const sink = { room: Infinity, push: (entry: MetricSamples) => void entries.push(entry) };
  const collector = new SampleCollector({ labels: ["path"], metrics: [] }, sink, () => undefined);
  const labels = ["/a", "/b", "x".repeat(1_000_000), "/c", ...Array.from({ length: 1500 }, (_, i) => `/${i}`)];
  for (const label of labels) collector.record([label], [1]);
  collector.flush();
  collector.flush();
  t.deepEqual(
    entries.map(({ rows }) => rows.length),
    [2, 1, 1000, 501],
  );
  t.deepEqual(
    entries.flatMap(({ rows }) => rows.flatMap((row) => row.labels)),
    labels,
  );
});
