import test from "ava";
import fc from "fast-check";
import { SeriesStore } from "weir/sdk";
import { fakeHost } from "weir/sdk/testing";
import type { Temporality } from "../../adapters/otlp/encode-metrics.ts";
import { createMetricExport } from "../../adapters/otlp/metric-export.ts";
import { createNotices } from "../../adapters/otlp/notices.ts";
import type { Outcome, Transport } from "../../adapters/otlp/outcome.ts";
import { fuzzRuns } from "../fuzz-runs.ts";
import { attributes, decodeMetrics, type Point } from "./otlp-decoder.ts";

const taken: Outcome = { kind: "taken", rejected: 0, message: "" };
const away: Outcome = { kind: "retry", reason: "it is away" };
const refused: Outcome = { kind: "refused", reason: "it does not want it" };

type Answer = Outcome | ((signal: AbortSignal) => Outcome | Promise<Outcome>);

/** Exports whose receiver answers as it is told, and takes all once it is told nothing more. Pauses move the clock. */
function setUp(temporality: Temporality = "cumulative", answers: Answer[] = []) {
  const host = fakeHost({ now: 1_000_000 });
  const sent: { readonly at: number; readonly message: Uint8Array }[] = [];
  const pauses: number[] = [];
  const transport: Transport = {
    async send(_, message, signal) {
      sent.push({ at: host.now(), message });
      const next = answers.shift() ?? taken;
      return typeof next === "function" ? next(signal) : next;
    },
    close: () => undefined,
  };
  const store = new SeriesStore({
    maxSeries: 100_000,
    prefix: "",
    maxLabelLength: 100,
    linger: true,
    now: host.now,
    log: host.log,
    count: host.count.bind(host),
  });
  const nothing = new Uint8Array();
  const exporter = createMetricExport({
    transport,
    metrics: { store, temporality, resource: nothing, scope: nothing, now: host.now },
    deadlineMs: 60_000,
    lastDeadlineMs: 10_000,
    host,
    notices: createNotices(host),
    async pause(ms, signal) {
      if (signal.aborted) throw signal.reason;
      pauses.push(ms);
      host.setTime(host.now() + ms);
    },
    random: () => 1,
  });
  const requests = store.recorder({
    labels: ["path"],
    metrics: [
      { name: "requests", kind: "counter", help: "" },
      { name: "seconds", kind: "histogram", help: "", buckets: [1, 10] },
      { name: "level", kind: "gauge", help: "" },
    ],
  });
  const pass = (ms: number): void => host.setTime(host.now() + ms);
  /** The points of one metric, each as its path, start, end (from the test's beginning) and value. */
  const shown = (name: string) =>
    sent.flatMap(({ message }) => pointsOf(message, name).map((point) => brief(point))).map(([, ...rest]) => rest);
  return { exporter, host, sent, pauses, requests, store, pass, shown };
}

function pointsOf(message: Uint8Array, name: string): readonly Point[] {
  return decodeMetrics(message)
    .resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics ?? []))
    .filter((metric) => metric.name === name)
    .flatMap(({ gauge, sum, histogram }) => (gauge ?? sum ?? histogram)!.dataPoints);
}

function brief(point: Point): [path: unknown, start: number, end: number, value: unknown] {
  const since = (nanos: string | undefined): number => Number(nanos ?? NaN) / 1e6 - 1_000_000;
  const value = point.asDouble ?? [point.bucketCounts!.map(Number), point.sum];
  return [attributes(point.attributes)["path"], since(point.startTimeUnixNano), since(point.timeUnixNano), value];
}

test("cumulative points count from the beginning of their series", async (t) => {
  const { exporter, requests, pass, shown } = setUp("cumulative");
  requests.record(["/a"], [2, 0.5, 7]);
  pass(1000);
  await exporter.run();
  requests.record(["/a"], [3, 5, 4]);
  pass(1000);
  await exporter.run();
  await exporter.run();
  t.deepEqual(shown("requests"), [
    [0, 1000, 2],
    [0, 2000, 5],
    [0, 2000, 5],
  ]);
  t.deepEqual(shown("seconds").slice(0, 2), [
    [0, 1000, [[1, 0, 0], 0.5]],
    [0, 2000, [[1, 1, 0], 5.5]],
  ]);
  t.deepEqual(shown("level")[1]!.slice(1), [2000, 4]);
});

test("delta points count from where the last ended, and series with nothing new are left out", async (t) => {
  const { exporter, requests, pass, shown, sent } = setUp("delta");
  requests.record(["/a"], [2, 0.5, NaN]);
  pass(1000);
  await exporter.run();
  pass(1000);
  await exporter.run();
  t.is(sent.length, 1);
  requests.record(["/a"], [3, 5, NaN]);
  pass(1000);
  await exporter.run();
  t.deepEqual(shown("requests"), [
    [0, 1000, 2],
    [2000, 3000, 3],
  ]);
  t.deepEqual(shown("seconds"), [
    [0, 1000, [[1, 0, 0], 0.5]],
    [2000, 3000, [[0, 1, 0], 5]],
  ]);
});

test("nothing is sent where nothing was recorded", async (t) => {
  const { exporter, sent } = setUp();
  await exporter.run();
  await exporter.close();
  t.is(sent.length, 0);
});

test("what may be sent again is, later and later, and not before the receiver asks for it", async (t) => {
  const { exporter, requests, sent, pauses, host } = setUp("cumulative", [
    away,
    away,
    { ...away, afterMs: 20_000 },
    { ...away, afterMs: 5 },
  ]);
  requests.record(["/a"], [1, 1, 1]);
  await exporter.run();
  t.deepEqual(pauses, [500, 1000, 20_000, 4000]);
  t.is(new Set(sent.map(({ message }) => Buffer.from(message).toString("hex"))).size, 1, "the same bytes each time");
  t.deepEqual(
    host.logs.map(({ message }) => message),
    ["the receiver does not take metrics", "the receiver takes metrics again"],
  );
  t.is(host.events.get("export_failed"), undefined);
});

test("an export ends at its deadline, and does not wait for a time beyond it", async (t) => {
  const { exporter, requests, pauses, host, sent } = setUp(
    "cumulative",
    Array.from({ length: 100 }, () => away),
  );
  requests.record(["/a"], [1, 1, 1]);
  await exporter.run();
  t.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 16_000]);
  t.is(sent.length, 7);
  t.is(host.events.get("export_failed"), 1);

  const asked = setUp("cumulative", [{ ...away, afterMs: 61_000 }]);
  asked.requests.record(["/a"], [1, 1, 1]);
  await asked.exporter.run();
  t.deepEqual(asked.pauses, []);
});

test("what delta could not send in time is sent with what came since, from the same beginning", async (t) => {
  const { exporter, requests, pass, shown, host } = setUp("delta", [{ ...away, afterMs: 100_000 }]);
  requests.record(["/a"], [2, 0.5, 1]);
  pass(1000);
  await exporter.run();
  requests.record(["/a"], [3, 5, 1]);
  pass(1000);
  await exporter.run();
  t.deepEqual(shown("requests"), [
    [0, 1000, 2],
    [0, 2000, 5],
  ]);
  t.deepEqual(shown("seconds")[1], [0, 2000, [[1, 1, 0], 5.5]]);
  t.is(host.events.get("points_lost"), undefined);
});

test("a page that is refused is counted and not sent again, and the others go out", async (t) => {
  for (const temporality of ["cumulative", "delta"] as const) {
    const { exporter, requests, sent, host } = setUp(temporality, [refused]);
    for (let i = 0; i < 1500; i++) requests.record([`/${i}`], [1, NaN, NaN]);
    await exporter.run();
    t.is(sent.length, 2);
    t.is(host.events.get("export_failed"), 1);
    t.is(host.events.get("points_lost"), temporality === "delta" ? 1000 : undefined);
    await exporter.run();
    t.is(sent.length, temporality === "delta" ? 2 : 4);
  }
});

test("an export that is due while the one before goes on is left out", async (t) => {
  let answer: (outcome: Outcome) => void = () => undefined;
  const { exporter, requests, sent } = setUp("cumulative", [() => new Promise((resolve) => (answer = resolve))]);
  requests.record(["/a"], [1, 1, 1]);
  const first = exporter.run();
  await exporter.run();
  await exporter.run();
  t.is(sent.length, 1);
  answer(taken);
  await first;
  await exporter.run();
  t.is(sent.length, 2);
});

test("closing ends the export under way, and sends everything once more", async (t) => {
  const { exporter, requests, shown, pass } = setUp("delta", [
    (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(away))),
  ]);
  requests.record(["/a"], [2, NaN, NaN]);
  void exporter.run();
  pass(1000);
  requests.record(["/a"], [3, NaN, NaN]);
  await exporter.close();
  t.deepEqual(shown("requests"), [
    [0, 0, 2],
    [0, 1000, 5],
  ]);
  await exporter.run();
  t.is(shown("requests").length, 2, "nothing after close");
});

test("closing tries a receiver that is away once, where others keep what it does not take", async (t) => {
  const forever = (signal: AbortSignal): Promise<Outcome> =>
    new Promise((resolve) => signal.addEventListener("abort", () => resolve(away)));
  for (const last of [away, forever, taken]) {
    const longWait = { ...away, afterMs: 1e9 };
    const { exporter, requests, sent } = setUp("cumulative", [longWait, last]);
    requests.record(["/a"], [2, NaN, NaN]);
    const kept = exporter.exported({ atOnce: true }).then(
      () => "exported",
      () => "kept",
    );
    await exporter.run();
    await exporter.close();
    t.is(sent.length, 2);
    t.is(await kept, last === taken ? "exported" : "kept");
  }
});

test("closing gives up at its own deadline", async (t) => {
  const { exporter, requests, pauses } = setUp(
    "cumulative",
    Array.from({ length: 100 }, () => away),
  );
  requests.record(["/a"], [2, NaN, NaN]);
  await exporter.close();
  t.deepEqual(pauses, [500, 1000, 2000, 4000]);
});

test("whatever a receiver answers, delta adds up to what was recorded, but for what is counted as lost", async (t) => {
  const step = fc.oneof(
    fc.record({ record: fc.constantFrom("/a", "/b", "/c"), by: fc.integer({ min: 1, max: 100 }) }),
    fc.record({ answer: fc.constantFrom<Outcome>(taken, { ...away, afterMs: 1e9 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const answers: Answer[] = [];
      const { exporter, requests, pass, sent, host } = setUp("delta", answers);
      const arrived: Record<string, number> = {};
      const recorded: Record<string, number> = {};
      const run = async (answer: Outcome, close = false): Promise<void> => {
        const before = sent.length;
        answers.splice(0, answers.length, answer);
        await (close ? exporter.close() : exporter.run());
        if (answer !== taken) return;
        for (const { message } of sent.slice(before)) {
          for (const point of pointsOf(message, "requests")) {
            const [path, , , value] = brief(point);
            arrived[path as string] = (arrived[path as string] ?? 0) + (value as number);
          }
        }
      };
      for (const next of steps) {
        pass(10);
        if ("answer" in next) await run(next.answer);
        else {
          requests.record([next.record], [next.by, 1, NaN]);
          recorded[next.record] = (recorded[next.record] ?? 0) + next.by;
        }
      }
      pass(10);
      await run(taken, true);
      t.deepEqual(arrived, recorded);
      t.is(host.events.get("points_lost"), undefined);
    }),
    { numRuns: fuzzRuns(100) },
  );
});

/** What became of a promise so far. */
function watched(promise: Promise<void>): { state: string } {
  const seen = { state: "waits" };
  promise.then(
    () => (seen.state = "taken"),
    (error: Error) => (seen.state = error.message),
  );
  return seen;
}

test("what was recorded is told as exported by an export that begins after, when all of it was taken", async (t) => {
  const { exporter, requests, sent } = setUp("cumulative", [() => Promise.resolve(taken), refused, taken]);
  requests.record(["/a"], [1, NaN, NaN]);
  const underway = exporter.run();
  requests.record(["/a"], [1, NaN, NaN]);
  t.is(exporter.unexported(), 2);
  const due = watched(exporter.exported({ atOnce: false }));
  await underway;
  t.is(due.state, "waits", "that export began before");
  t.is(exporter.unexported(), 1);
  await exporter.run();
  t.is(due.state, "taken", "refused for good is given up: it would be refused again");
  t.is(exporter.unexported(), 0);
  const atOnce = exporter.exported({ atOnce: true });
  await atOnce;
  t.is(sent.length, 3);
});

test("one that is wanted at once begins when the one under way has ended", async (t) => {
  let end = (): void => undefined;
  const { exporter, requests, sent } = setUp("delta", [
    () => new Promise((resolve) => (end = () => resolve(taken))),
    taken,
  ]);
  requests.record(["/a"], [1, NaN, NaN]);
  const underway = exporter.run();
  requests.record(["/a"], [1, NaN, NaN]);
  const wanted = exporter.exported({ atOnce: true });
  end();
  await underway;
  await wanted;
  t.is(sent.length, 2);
});

test("while a receiver is away nothing is told as exported, and never by an adapter that is closed", async (t) => {
  const { exporter, requests, pass } = setUp("delta", Array<Outcome>(40).fill(away));
  requests.record(["/a"], [1, NaN, NaN]);
  const waiting = watched(exporter.exported({ atOnce: true }));
  await exporter.run();
  pass(60_000);
  await exporter.run();
  t.is(waiting.state, "waits");
  t.is(exporter.unexported(), 1);
  await exporter.close();
  t.is(exporter.unexported(), 1);
  t.is(waiting.state, "the adapter was closed before it could export");
  await t.throwsAsync(exporter.exported({ atOnce: false }), { message: "the adapter is closed" });
});
