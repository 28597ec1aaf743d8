import test from "ava";
import fc from "fast-check";
import { SeriesStore, type MetricGroup, type SeriesFamily } from "weir/sdk";
import { fakeHost } from "weir/sdk/testing";
import { labelHash } from "../../src/sdk/series/label-table.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

const group: MetricGroup = {
  labels: ["path"],
  metrics: [
    { name: "requests", kind: "counter", help: "" },
    { name: "seconds", kind: "histogram", help: "", buckets: [1] },
  ],
};

function newStore(linger = false) {
  const host = fakeHost({ now: 1000 });
  const { log, now } = host;
  const count = host.count.bind(host);
  const store = new SeriesStore({ maxSeries: 10, maxLabelLength: 100, prefix: "", linger, log, now, count });
  const names = (): string[] => store.families.map(({ name }) => name);
  return { host, store, names };
}

function rowOf(family: SeriesFamily, path: string): number {
  for (let row = 0; row < family.table.rows; row++)
    if (family.has(row) && family.table.value(row, 0) === path) return row;
  return -1;
}

test("a series counts from when it began, and anew from when it was taken", (t) => {
  const { host, store } = newStore();
  const recorder = store.recorder(group);
  recorder.record(["/a"], [2, 0.5]);
  host.setTime(2000);
  recorder.record(["/a"], [3, 5]);
  const [requests, seconds] = store.families as [SeriesFamily, SeriesFamily];
  const row = rowOf(requests, "/a");
  t.is(requests.startMs(row), 1000);
  t.deepEqual(requests.take(row, 2000), { startMs: 1000, value: 5, counts: [] });
  t.deepEqual(seconds.take(row, 2000), { startMs: 1000, value: 5.5, counts: [1, 1] });
  recorder.record(["/a"], [1, 0]);
  t.deepEqual([requests.value(row), requests.startMs(row)], [1, 2000]);
  t.deepEqual([seconds.count(row, 0), seconds.count(row, 1), seconds.value(row)], [1, 0, 0]);
});

test("what was taken can be given back while its series is there and was not taken again", (t) => {
  const { store } = newStore();
  const recorder = store.recorder(group);
  recorder.record(["/a"], [2, 0.5]);
  const [requests, seconds] = store.families as [SeriesFamily, SeriesFamily];
  const row = rowOf(requests, "/a");
  const [counted, observed] = [requests.take(row, 2000), seconds.take(row, 2000)];
  recorder.record(["/a"], [1, 3]);
  t.true(requests.giveBack(row, counted, 2000));
  t.true(seconds.giveBack(row, observed, 2000));
  t.deepEqual([requests.value(row), requests.startMs(row)], [3, 1000]);
  t.deepEqual([seconds.count(row, 0), seconds.count(row, 1), seconds.value(row)], [1, 1, 3.5]);
  t.false(requests.giveBack(row, counted, 2000), "twice");

  const again = requests.take(row, 3000);
  requests.take(row, 4000);
  t.false(requests.giveBack(row, again, 3000), "it was taken again");
  const last = requests.take(row, 5000);
  store.sweep(0);
  t.false(requests.giveBack(row, last, 5000), "the series is gone");
});

test("a metric that nobody records is gone at once, or lingers until it is dropped", (t) => {
  const plain = newStore();
  plain.store.recorder(group).close!();
  t.deepEqual(plain.names(), []);

  const { store, names } = newStore(true);
  const recorder = store.recorder(group);
  recorder.record(["/a"], [2, 1]);
  t.deepEqual(store.unused(), []);
  recorder.close!();
  t.deepEqual(names(), ["requests", "seconds"]);
  const unused = store.unused();
  t.is(unused.length, 2);

  const again = store.recorder({ labels: ["path"], metrics: [group.metrics[0]!] });
  store.drop(unused);
  t.deepEqual(names(), ["requests"], "the one that is recorded again keeps its series");
  t.is(store.families[0]!.value(rowOf(store.families[0]!, "/a")), 2);
  again.close!();
  store.drop(store.unused());
  store.drop(unused);
  t.deepEqual([names(), store.values], [[], 0]);
});

test("a counter and each bucket keep the last trace that fed them, until their series ends, and no more than so many", (t) => {
  let nowMs = 5000;
  const store = new SeriesStore({
    maxSeries: 100_000,
    prefix: "",
    maxLabelLength: 100,
    now: () => nowMs,
    log: fakeHost().log,
    count: () => undefined,
  });
  const recorder = store.recorder({
    labels: ["path"],
    metrics: [
      { name: "requests", kind: "counter", help: "" },
      { name: "seconds", kind: "histogram", help: "", buckets: [1, 10] },
      { name: "level", kind: "gauge", help: "" },
    ],
  });
  const of = (digit: string) => ({ traceId: digit.repeat(32), spanId: digit.repeat(16) });
  recorder.record(["/a"], [1, 0.5, 1]);
  const [level, requests, seconds] = store.families;
  t.is(requests!.exemplar(0), undefined);
  recorder.record(["/a"], [2, 0.5, 1], of("1"));
  nowMs = 6000;
  recorder.record(["/a"], [1, 99, 1], of("2"));
  recorder.record(["/a"], [1, NaN, 1]);
  t.deepEqual(requests!.exemplar(0), { ...of("2"), value: 1, timeMs: 6000 });
  t.deepEqual(seconds!.exemplar(0, 0), { ...of("1"), value: 0.5, timeMs: 5000 });
  t.is(seconds!.exemplar(0, 1), undefined);
  t.deepEqual(seconds!.exemplar(0, 2), { ...of("2"), value: 99, timeMs: 6000 });
  t.is(level!.exemplar(0), undefined);
  for (let i = 0; i < 10_000; i++) recorder.record([`/${i}`], [1, NaN, NaN], of("3"));
  t.is(requests!.exemplar(0), undefined, "the first made room");
  t.not(requests!.exemplar(10_000), undefined);
  store.sweep(1);
  store.sweep(1);
  t.is(requests!.exemplar(10_000), undefined);
  t.is(seconds!.exemplar(0, 0), undefined);
});

/** A store of counters with so many labels, and what it counted by the labels' values. */
function counters(width: number, maxSeries = 10_000) {
  const host = fakeHost({ now: 1000 });
  const count = host.count.bind(host);
  const options = {
    maxSeries,
    maxLabelLength: 20,
    prefix: "",
    linger: true,
    log: host.log,
    now: host.now,
    count,
  };
  const store = new SeriesStore(options);
  const labels = Array.from({ length: width }, (_, i) => `l${i}`);
  const recorder = () => store.recorder({ labels, metrics: [{ name: "n", kind: "counter", help: "" }] });
  const counted = (): Map<string, number> => {
    const [family] = store.families as [SeriesFamily];
    const values = new Map<string, number>();
    for (let row = 0; row < family.table.rows; row++)
      if (family.has(row)) values.set(labels.map((_, i) => family.table.value(row, i)).join(), family.value(row));
    return values;
  };
  return { store, recorder, counted };
}

test("records count by the values of all their labels in order, whoever records them and whatever ends meanwhile", (t) => {
  const value = fc.constantFrom("a", "b", "c", "d");
  const step = fc.oneof(
    { weight: 9, arbitrary: fc.tuple(fc.nat(2), fc.tuple(value, value, value)) },
    { weight: 1, arbitrary: fc.constant("sweep" as const) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { store, recorder, counted } = counters(3);
      const recorders = [recorder(), recorder(), recorder()];
      const expected = new Map<string, number>();
      const written = new Map<string, number>();
      let tick = 0;
      for (const each of steps) {
        if (each === "sweep") {
          store.sweep(1);
          tick++;
          for (const [key, at] of written) {
            if (at >= tick - 1) continue;
            written.delete(key);
            expected.delete(key);
          }
          continue;
        }
        const [by, labels] = each;
        const key = labels.join();
        recorders[by]!.record(labels, [1]);
        expected.set(key, (expected.get(key) ?? 0) + 1);
        written.set(key, tick);
      }
      t.deepEqual(new Map([...counted()].sort()), new Map([...expected].sort()));
    }),
    { numRuns: fuzzRuns(200) },
  );
});

test("a hint of which labels changed counts what comparing all of them does", (t) => {
  const change = fc.tuple(fc.nat(39), fc.constantFrom("a", "b", "c", "d", "a text that is too long", "\ud800"));
  const step = fc.record({
    changes: fc.array(change, { maxLength: 4 }),
    more: fc.integer(),
    isAnotherArray: fc.constantFrom(true, false, false, false),
    sweep: fc.constantFrom(true, false, false, false),
  });
  fc.assert(
    fc.property(fc.constantFrom(3, 32, 40), fc.array(step, { maxLength: 100 }), (width, steps) => {
      const [hinted, compared] = [counters(width, 5), counters(width, 5)];
      const [one, other] = [hinted.recorder(), compared.recorder()];
      let labels = new Array<string>(width).fill("a");
      for (const { changes, more, isAnotherArray, sweep } of steps) {
        if (sweep) for (const { store } of [hinted, compared]) store.sweep(1);
        let changed = more & ~(more >>> 1);
        for (const [at, text] of changes) {
          labels[at % width] = text;
          if (at % width < 32) changed |= 1 << (at % width);
        }
        if (isAnotherArray) labels = [...labels];
        one.record(labels, [1], undefined, isAnotherArray ? 0 : changed);
        other.record([...labels], [1]);
      }
      t.deepEqual(hinted.counted(), compared.counted());
    }),
    { numRuns: fuzzRuns(200) },
  );
});

test("a count goes on beyond 32 bits, and anew when it was taken", (t) => {
  const { store } = newStore();
  const recorder = store.recorder(group);
  recorder.record(["/a"], [1, 0.5]);
  const [, seconds] = store.families as [SeriesFamily, SeriesFamily];
  const row = rowOf(seconds, "/a");
  seconds.take(row, 2000);
  t.true(seconds.giveBack(row, { startMs: 1000, value: 1, counts: [2 ** 32 - 1, 2 ** 33 + 7] }, 2000));
  recorder.record(["/a"], [1, 0.5]);
  recorder.record(["/a"], [1, 5]);
  t.deepEqual([seconds.count(row, 0), seconds.count(row, 1)], [2 ** 32, 2 ** 33 + 8]);
  recorder.record(["/a"], [1, 0.5]);
  t.deepEqual(seconds.take(row, 3000).counts, [2 ** 32 + 1, 2 ** 33 + 8]);
  recorder.record(["/a"], [1, 0.5]);
  t.deepEqual([seconds.count(row, 0), seconds.count(row, 1)], [1, 0]);
});

test("labels whose hashes are the same are told apart", (t) => {
  const { recorder, counted } = counters(2);
  const { record } = recorder();
  // Values have numbers in the order in which they come.
  const many = 300;
  for (let i = 0; i < many; i++) record([`v${i}`, `v${i}`], [0]);
  const expected = new Map<string, number>();
  const add = (labels: readonly string[]): void => {
    record(labels, [1]);
    expected.set(labels.join(), (expected.get(labels.join()) ?? 0) + 1);
  };
  // Where numbers begin with 0, and where with 1.
  for (const first of [0, 1]) {
    const known = new Map<number, readonly string[]>();
    for (let b = 0; b < many; b++) {
      for (let a = 0; a < many; a++) {
        if (a === b) continue;
        const hash = (labelHash(0, first + a) + labelHash(1, first + b)) | 0;
        const labels = [`v${a}`, `v${b}`];
        const other = known.get(hash);
        if (other === undefined) known.set(hash, labels);
        else for (const each of [other, labels]) add(each);
      }
    }
  }
  t.true(expected.size > 20, `${expected.size} tuples`);
  const all = counted();
  for (const [labels, count] of expected) t.is(all.get(labels), count);
});
