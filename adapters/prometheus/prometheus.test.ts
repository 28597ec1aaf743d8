import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import test from "ava";
import fc from "fast-check";
import { overflowValue, SeriesStore, type Exposition, type MetricGroup, type MetricSpec } from "weir/sdk";
import { fakeHost, makeInstance, testAdapter } from "weir/sdk/testing";
import { parseExposition, type ParsedFamily } from "./exposition-parser.ts";
import prometheus from "./index.ts";
import { checkNames } from "./names.ts";
import { render } from "./render.ts";

testAdapter(test, prometheus, {
  config: {},
  refusedConfigs: [
    { maxSeries: 0 },
    { maxSeries: 1.5 },
    { expire: "soon" },
    { expire: "10ms" },
    { prefix: "1st" },
    { prefix: "my-" },
    { listen: "nowhere" },
    { maxLabelLength: 1 },
    { path: "metrics" },
    { path: "/a b" },
  ],
});

const counter = (name: string): MetricSpec => ({ name, kind: "counter", help: `Help of ${name}.` });
const gauge = (name: string): MetricSpec => ({ name, kind: "gauge", help: `Help of ${name}.` });
const histogram = (name: string, buckets: readonly number[]): MetricSpec => ({
  name,
  kind: "histogram",
  help: "",
  buckets,
});

function newStore(options: Partial<ConstructorParameters<typeof SeriesStore>[0]> = {}): {
  store: SeriesStore;
  host: ReturnType<typeof fakeHost>;
} {
  const host = fakeHost();
  const { log, count, now } = host;
  return {
    store: new SeriesStore({
      maxSeries: 1000,
      prefix: "",
      maxLabelLength: 1024,
      checkNames,
      now,
      log,
      count,
      ...options,
    }),
    host,
  };
}

function shown(store: SeriesStore, format: Exposition["format"] = "prometheus"): Map<string, ParsedFamily> {
  const text = [...render(store, format)].join("");
  return parseExposition(format === "openmetrics" ? `${text}# EOF\n` : text, format);
}

/** The samples of one family, each under its labels' values joined with a slash (and `le` where there is one). */
function samples(store: SeriesStore, name: string): Record<string, number> {
  const family = shown(store).get(name);
  return Object.fromEntries(
    [...(family?.samples ?? [])].map(([key, value]) => {
      const labels = JSON.parse(key.slice(key.indexOf("{"))) as Record<string, string>;
      return [key.slice(name.length, key.indexOf("{")) + Object.values(labels).join("/"), value];
    }),
  );
}

test("counters add, gauges take on, histograms observe", (t) => {
  const { store } = newStore();
  const recorder = store.recorder({
    labels: ["code"],
    metrics: [counter("requests_total"), gauge("in_flight"), histogram("seconds", [0.1, 1])],
  });
  recorder.record(["200"], [2, 7, 0.1]);
  recorder.record(["200"], [3, 5, 0.5]);
  recorder.record(["500"], [1, NaN, 3]);
  t.deepEqual(samples(store, "requests_total"), { "200": 5, "500": 1 });
  t.deepEqual(samples(store, "in_flight"), { "200": 5 });
  t.deepEqual(samples(store, "seconds"), {
    "_bucket200/0.1": 1,
    "_bucket200/1": 2,
    "_bucket200/+Inf": 2,
    _sum200: 0.6,
    _count200: 2,
    "_bucket500/0.1": 0,
    "_bucket500/1": 0,
    "_bucket500/+Inf": 1,
    _sum500: 3,
    _count500: 1,
  });
});

test("a histogram with many buckets finds the right one for values on and beside each bound", (t) => {
  const bounds = Array.from({ length: 30 }, (_, i) => i * 10);
  for (const [i, bound] of bounds.entries()) {
    for (const [value, bucket] of [
      [bound, i],
      [bound + 0.5, i + 1],
      [bound - 0.5, i],
    ] as const) {
      const { store } = newStore();
      store.recorder({ labels: [], metrics: [histogram("h", bounds)] }).record([], [value]);
      const family = store.families[0]!;
      t.is(family.count(0, bucket), 1, `${value} in bucket ${bucket}`);
    }
  }
});

test("a counter never goes back", (t) => {
  const { store } = newStore();
  const recorder = store.recorder({ labels: [], metrics: [counter("c")] });
  recorder.record([], [5]);
  recorder.record([], [-3]);
  t.deepEqual(samples(store, "c"), { "": 5 });
});

test("text 0.0.4 and OpenMetrics 1.0 are written to the letter", (t) => {
  const { store } = newStore();
  const help = 'back\\slash, "quotes" and\na line';
  store
    .recorder({
      labels: ["path"],
      metrics: [
        { name: "bytes", kind: "counter", help },
        { name: "requests_total", kind: "counter", help: "Requests." },
      ],
    })
    .record(['/a"b\\c\nd'], [1.5, 2]);
  store.recorder({ labels: [], metrics: [histogram("seconds", [0.5, 1])] }).record([], [1]);
  store.recorder({ labels: ["x"], metrics: [gauge("level")] }).record([""], [-Infinity]);
  const lines = (format: Exposition["format"]): string[] => [...render(store, format)].join("").split("\n");
  t.deepEqual(lines("prometheus"), [
    '# HELP bytes back\\\\slash, "quotes" and\\na line',
    "# TYPE bytes counter",
    'bytes{path="/a\\"b\\\\c\\nd"} 1.5',
    "# HELP level Help of level.",
    "# TYPE level gauge",
    'level{x=""} -Inf',
    "# HELP requests_total Requests.",
    "# TYPE requests_total counter",
    'requests_total{path="/a\\"b\\\\c\\nd"} 2',
    "# HELP seconds ",
    "# TYPE seconds histogram",
    'seconds_bucket{le="0.5"} 0',
    'seconds_bucket{le="1"} 1',
    'seconds_bucket{le="+Inf"} 1',
    "seconds_sum 1",
    "seconds_count 1",
    "",
  ]);
  t.deepEqual(lines("openmetrics"), [
    '# HELP bytes back\\\\slash, \\"quotes\\" and\\na line',
    "# TYPE bytes counter",
    'bytes_total{path="/a\\"b\\\\c\\nd"} 1.5',
    "# HELP level Help of level.",
    "# TYPE level gauge",
    'level{x=""} -Inf',
    "# HELP requests Requests.",
    "# TYPE requests counter",
    'requests_total{path="/a\\"b\\\\c\\nd"} 2',
    "# HELP seconds ",
    "# TYPE seconds histogram",
    'seconds_bucket{le="0.5"} 0',
    'seconds_bucket{le="1.0"} 1',
    'seconds_bucket{le="+Inf"} 1',
    "seconds_sum 1",
    "seconds_count 1",
    "",
  ]);
});

// Few values, so that series meet again; texts of all kinds, so that escaping is tried. The store's own overflow text is
// left out, which a caller may well send.
const labelText = fc.oneof(
  fc.constantFrom("a", "b", "", '"', "\\", "\n", "\\n", "ü", "😀", " "),
  fc.string({ unit: "binary", maxLength: 4 }),
);
const anySample = fc.tuple(
  fc.array(labelText, { minLength: 2, maxLength: 2 }),
  fc.double({ min: -5, max: 5, noNaN: true }),
);

/** What the store must show, kept in the plainest way. */
class NaiveStore {
  readonly sums = new Map<string, { labels: readonly string[]; counter: number; gauge: number; observed: number[] }>();

  record(labels: readonly string[], value: number): void {
    const key = JSON.stringify(labels);
    const series = this.sums.get(key) ?? { labels, counter: 0, gauge: 0, observed: [] };
    this.sums.set(key, series);
    series.counter += Math.max(0, value);
    series.gauge = value;
    series.observed.push(value);
  }

  samples(bounds: readonly number[]): Map<string, number> {
    const all = new Map<string, number>();
    for (const { labels, counter, gauge, observed } of this.sums.values()) {
      const pairs = { x: labels[0], y: labels[1] };
      const put = (name: string, value: number, more = {}): void => {
        all.set(name + JSON.stringify({ ...pairs, ...more }), value);
      };
      put("c", counter);
      put("g", gauge);
      for (const bound of bounds) put("h_bucket", observed.filter((v) => v <= bound).length, { le: String(bound) });
      put("h_bucket", observed.length, { le: "+Inf" });
      put(
        "h_sum",
        observed.reduce((a, b) => a + b, 0),
      );
      put("h_count", observed.length);
    }
    return all;
  }
}

test("whatever is recorded parses back as what a plain map has", (t) => {
  const bounds = [-1, 0, 0.5, 3];
  fc.assert(
    fc.property(fc.array(anySample, { maxLength: 200 }), (records) => {
      const { store } = newStore();
      const naive = new NaiveStore();
      const group: MetricGroup = { labels: ["x", "y"], metrics: [counter("c"), gauge("g"), histogram("h", bounds)] };
      const recorders = [store.recorder(group), store.recorder(group)];
      for (const [i, [labels, value]] of records.entries()) {
        recorders[i % 2]!.record(labels, [value, value, value]);
        naive.record(labels, value);
      }
      const found = new Map([...shown(store).values()].flatMap(({ samples }) => [...samples]));
      const expected = naive.samples(bounds);
      t.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
      for (const [key, value] of expected) t.is(found.get(key)! + 0, value + 0, key);
    }),
    { numRuns: 200 },
  );
});

test("series come and go without being mixed up", (t) => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(40), fc.constant("sweep" as const)), { maxLength: 300 }), (steps) => {
      const { store } = newStore();
      const recorder = store.recorder({ labels: ["x", "y"], metrics: [counter("c")] });
      const expected = new Map<number, { count: number; sweeps: number }>();
      for (const step of steps) {
        if (step !== "sweep") {
          recorder.record([`x${step % 7}`, `y${step}`], [1]);
          expected.set(step, { count: (expected.get(step)?.count ?? 0) + 1, sweeps: 0 });
          continue;
        }
        store.sweep(2);
        for (const [key, series] of expected) if (++series.sweeps > 2) expected.delete(key);
      }
      t.deepEqual(
        samples(store, "c"),
        Object.fromEntries([...expected].map(([key, { count }]) => [`x${key % 7}/y${key}`, count])),
      );
      // What no series uses any more is not kept.
      const values = new Set([...expected.keys()].flatMap((key) => [`x${key % 7}`, `y${key}`]));
      t.is(store.values, values.size);
    }),
    { numRuns: 200 },
  );
});

test("a metric beyond its budget counts in one overflow series and says which label is to blame, once", (t) => {
  const { store, host } = newStore({ maxSeries: 3 });
  const recorder = store.recorder({ labels: ["code", "user"], metrics: [counter("c"), gauge("g")] });
  for (let user = 0; user < 10; user++) recorder.record(["200", `user-${user}`], [1, NaN]);
  recorder.record(["200", "user-0"], [1, NaN]);
  t.deepEqual(samples(store, "c"), {
    "200/user-0": 2,
    "200/user-1": 1,
    "200/user-2": 1,
    [`${overflowValue}/${overflowValue}`]: 7,
  });
  t.is(host.events.get("series_overflow"), 7);
  t.deepEqual(
    host.logs.map(({ level, fields }) => ({ level, fields })),
    [{ level: "warn", fields: { metric: "c", maxSeries: 3, label: "user", values: 3 } }],
  );
  // The budget is each metric's own.
  recorder.record(["200", "user-9"], [NaN, 1]);
  t.deepEqual(samples(store, "g"), { "200/user-9": 1 });
});

test("room that expired series leave is used again", (t) => {
  const { store } = newStore({ maxSeries: 1 });
  const recorder = store.recorder({ labels: ["x"], metrics: [counter("c")] });
  recorder.record(["a"], [1]);
  recorder.record(["b"], [1]);
  store.sweep(0);
  recorder.record(["b"], [1]);
  t.deepEqual(samples(store, "c"), { b: 1 });
});

test("a caller that sends the overflow text itself breaks nothing", (t) => {
  const { store } = newStore({ maxSeries: 2 });
  const recorder = store.recorder({ labels: ["x"], metrics: [counter("c")] });
  for (const label of [overflowValue, "a", "b", "c", overflowValue]) recorder.record([label], [1]);
  t.deepEqual(samples(store, "c"), { [overflowValue]: 3, a: 1, c: 1 });
});

test("long label values are cut and halves of characters replaced, so that no two series look the same", (t) => {
  const { store, host } = newStore({ maxLabelLength: 16 });
  const recorder = store.recorder({ labels: ["x"], metrics: [counter("c")] });
  for (const label of ["y".repeat(20), "y".repeat(16), "\ud800", "\ud801", `${"z".repeat(15)}😀`])
    recorder.record([label], [1]);
  t.deepEqual(samples(store, "c"), { ["y".repeat(16)]: 2, "\ufffd": 2, [`${"z".repeat(15)}\ufffd`]: 1 });
  t.is(host.events.get("label_cut"), 2);
});

test("a metric keeps its counts over a reload, also in another group and with another help", (t) => {
  const { store } = newStore();
  const before = store.recorder({ labels: ["x"], metrics: [counter("c"), gauge("g")] });
  before.record(["a"], [1, 1]);
  const after = store.recorder({ labels: ["x"], metrics: [{ ...counter("c"), help: "Better." }] });
  before.close!();
  after.record(["a"], [1]);
  t.deepEqual(samples(store, "c"), { a: 2 });
  t.is(shown(store).get("c")!.help, "Better.");
  t.false(shown(store).has("g"), "a metric that no policy has any more is gone");
});

for (const [what, spec, labels] of [
  ["labels", counter("m"), ["y"]],
  ["kind", gauge("m"), ["x"]],
  ["buckets", histogram("m", [2]), ["x"]],
] as const) {
  test(`a metric whose ${what} changed begins anew`, (t) => {
    const { store } = newStore();
    const before = store.recorder({
      labels: ["x"],
      metrics: [what === "buckets" ? histogram("m", [1]) : counter("m")],
    });
    before.record(["a"], [1]);
    const after = store.recorder({ labels, metrics: [spec] });
    t.is(shown(store).get("m"), undefined, "nothing of the old definition is shown");
    after.record(["b"], [1]);
    before.record(["a"], [1]);
    before.close!();
    t.deepEqual(
      samples(store, "m"),
      what === "buckets" ? { "_bucketb/2": 1, "_bucketb/+Inf": 1, _sumb: 1, _countb: 1 } : { b: 1 },
    );
  });
}

test("a metric that a reload defines anew takes the place of the old one, and the others keep their series", (t) => {
  const { store } = newStore();
  const before = store.recorder({ labels: ["x"], metrics: [counter("kept"), counter("changed")] });
  before.record(["a"], [1, 1]);
  const same = store.recorder({ labels: ["x"], metrics: [counter("kept")] });
  const anew = store.recorder({ labels: ["x", "y"], metrics: [counter("changed")] });
  // Requests that began under the old policies still end.
  before.record(["a"], [1, 1]);
  same.record(["a"], [1]);
  anew.record(["a", "b"], [5]);
  t.deepEqual([samples(store, "kept"), samples(store, "changed")], [{ a: 3 }, { "a/b": 5 }]);
  before.close!();
  t.deepEqual([samples(store, "kept"), samples(store, "changed")], [{ a: 3 }, { "a/b": 5 }]);
  t.is([...render(store, "prometheus")].join("").match(/# TYPE changed /g)!.length, 1);
});

test("label values of a megabyte take the memory of what is shown of them", (t) => {
  const { store, host } = newStore({ maxLabelLength: 256 });
  const recorder = store.recorder({ labels: ["path"], metrics: [counter("c")] });
  const rest = "x".repeat(1_000_000);
  const before = usedAfterCollection();
  for (let i = 0; i < 200; i++) {
    // In one piece, as it comes from a wire.
    const label = Buffer.from(`/${i}/${rest}`).toString("latin1");
    recorder.record([label], [1]);
    recorder.record([label], [1]);
  }
  const grown = usedAfterCollection() - before;
  t.true(grown < 20e6, `${grown} bytes`);
  t.is(store.families[0]!.series, 200);
  t.is(host.events.get("label_cut"), 400);
  t.true(
    [...render(store, "prometheus")]
      .join("")
      .split("\n")
      .every((line) => line.length < 300),
  );
});

/** How many bytes the heap has in use, once what is not is collected. */
function usedAfterCollection(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

test("a policy set that was prepared and given up leaves the one that serves as it was", (t) => {
  const { store } = newStore();
  const serving = store.recorder({ labels: ["x"], metrics: [counter("m")] });
  serving.record(["a"], [1]);
  store.recorder({ labels: ["x"], metrics: [gauge("m")] }).close!();
  t.deepEqual(samples(store, "m"), { a: 1 });
});

for (const [group, message] of [
  [{ labels: ["a-b"], metrics: [counter("c")] }, /"a-b" is no label name/],
  [{ labels: ["__name__"], metrics: [counter("c")] }, /"__name__" is no label name/],
  [{ labels: ["x", "x"], metrics: [counter("c")] }, /stands twice/],
  [{ labels: [], metrics: [counter("a.b")] }, /"a.b" is no metric name/],
  [{ labels: ["le"], metrics: [histogram("h", [1])] }, /label "le"/],
] as const) {
  test(`refuses a group that Prometheus could not read: ${message.source}`, (t) => {
    const { store } = newStore();
    t.throws(() => store.recorder(group), { message });
    t.deepEqual(store.families, []);
  });
}

test("a scrape of many series comes in pieces, and series that come meanwhile are not in it twice", (t) => {
  const { store } = newStore({ maxSeries: 10_000 });
  const recorder = store.recorder({ labels: ["x"], metrics: [counter("c")] });
  const from = (first: number): void => {
    for (let i = first; i < 5000; i++) recorder.record([`value-${i}-${"x".repeat(40)}`], [1]);
  };
  from(0);
  store.sweep(1);
  from(100);
  let text = "";
  let pieces = 0;
  for (const piece of render(store, "prometheus")) {
    t.true(piece.endsWith("\n"));
    t.true(piece.length < 40_000);
    text += piece;
    // The first series go, and come again in other rows, while the scrape is under way.
    if (pieces++ > 0) continue;
    store.sweep(1);
    t.is(store.families[0]!.series, 4900);
    for (let i = 99; i >= 0; i--) recorder.record([`value-${i}-${"x".repeat(40)}`], [1]);
  }
  t.true(pieces > 1);
  t.notThrows(() => parseExposition(text, "prometheus"));
});

test("idle series expire by the configured time", async (t) => {
  const host = fakeHost();
  const instance = await makeInstance(prometheus, { expire: "8m" }, host);
  const recorder = instance.metrics({ labels: ["x"], metrics: [counter("c")] });
  recorder.record(["idle"], [1]);
  const expose = async (): Promise<string> => {
    let text = "";
    for await (const piece of instance.expose!({ format: "prometheus" })) text += piece;
    return text;
  };
  for (let minute = 0; minute < 8; minute++) {
    recorder.record(["busy"], [1]);
    await host.advance(60_000);
  }
  t.regex(await expose(), /idle/);
  recorder.record(["busy"], [1]);
  await host.advance(60_000);
  const text = await expose();
  t.notRegex(text, /idle/);
  t.regex(text, /c\{x="busy"\} 9\n/);
  t.is(host.events.get("series_expired"), 1);
});

test("serves /metrics on a listener of its own, and is then not on the admin listener's", async (t) => {
  const address = await freeAddress();
  const instance = await makeInstance(prometheus, { listen: address, prefix: "my_" }, fakeHost());
  t.teardown(() => instance.close!());
  instance.metrics({ labels: [], metrics: [counter("c_total")] }).record([], [3]);
  t.is(instance.expose, undefined);
  const text = await get(address, "/metrics");
  t.is(text.status, 200);
  t.is(text.type, "text/plain; version=0.0.4; charset=utf-8");
  t.regex(text.body, /^my_c_total 3$/m);
  const open = await get(address, "/metrics", { accept: "application/openmetrics-text; version=1.0.0" });
  t.is(open.type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
  t.is(parseExposition(open.body, "openmetrics").get("my_c")!.type, "counter");
  t.is((await get(address, "/")).status, 404);
  t.is((await get(address, "/metrics", {}, "POST")).status, 405);
  const head = await get(address, "/metrics", {}, "HEAD");
  t.deepEqual([head.status, head.body], [200, ""]);
});

test("a sample is told of until a scrape has it that began after and was taken whole", async (t) => {
  const instance = await makeInstance(prometheus, {}, fakeHost());
  const recorder = instance.metrics({ labels: [], metrics: [counter("a_total"), counter("b_total")] });
  t.is(instance.unexported!(), 0);
  recorder.record([], [1, NaN]);
  recorder.record([], [1, 1]);
  t.is(instance.unexported!(), 3);
  /** A scrape of which so many pieces are read, and what becomes of it. */
  const scrape = async (pieces: number, isTaken: boolean, during = (): void => undefined): Promise<void> => {
    let tell: (isTaken: boolean) => void = () => undefined;
    const taken = new Promise<boolean>((resolve) => (tell = resolve));
    for await (const _ of instance.expose!({ format: "prometheus", taken })) {
      during();
      if (--pieces === 0) break;
    }
    t.true(instance.unexported!() >= 3, "it is not known yet");
    tell(isTaken);
    await taken;
  };
  for await (const _ of instance.expose!({ format: "prometheus" }));
  t.is(instance.unexported!(), 3, "nobody knows whether it was taken");
  await scrape(1, true);
  t.is(instance.unexported!(), 3, "the end of it was not read");
  await scrape(Infinity, false);
  t.is(instance.unexported!(), 3);
  await scrape(Infinity, true, () => recorder.record([], [1, NaN]));
  t.is(instance.unexported!(), 1, "what came meanwhile may be in it or not");
});

test("on a listener of its own whoever asks is a scraper, until one came that says that it is", async (t) => {
  const address = await freeAddress();
  const instance = await makeInstance(prometheus, { listen: address }, fakeHost());
  t.teardown(() => instance.close!());
  const recorder = instance.metrics({ labels: [], metrics: [counter("c_total")] });
  const scraper = { "x-prometheus-scrape-timeout-seconds": "10" };
  const unexported = async (is: number): Promise<void> => {
    for (let turns = 1000; turns > 0 && instance.unexported!() !== is; turns--) await setImmediate();
    t.is(instance.unexported!(), is);
  };
  recorder.record([], [1]);
  await get(address, "/metrics", {}, "HEAD");
  await unexported(1);
  await get(address, "/metrics");
  await unexported(0);
  recorder.record([], [1]);
  await get(address, "/metrics", scraper);
  await unexported(0);
  recorder.record([], [1]);
  await get(address, "/metrics");
  await unexported(1);
  await get(address, "/metrics", scraper);
  await unexported(0);
});

test("several instances show each its own metrics, at its own address and path", async (t) => {
  const addresses = [await freeAddress(), await freeAddress()] as const;
  const paths = ["/teams/metrics", "/metrics"] as const;
  for (const [i, listen] of addresses.entries()) {
    const instance = await makeInstance(prometheus, { listen, path: paths[i] }, fakeHost());
    t.teardown(() => instance.close!());
    instance.metrics({ labels: [], metrics: [counter("c_total")] }).record([], [i + 1]);
  }
  const onAdmin = await makeInstance(prometheus, { prefix: "admin_" }, fakeHost());
  onAdmin.metrics({ labels: [], metrics: [counter("c_total")] }).record([], [3]);
  t.regex((await get(addresses[0], "/teams/metrics")).body, /^c_total 1$/m);
  t.is((await get(addresses[0], "/metrics")).status, 404);
  t.regex((await get(addresses[1], "/metrics?x=1")).body, /^c_total 2$/m);
  let text = "";
  for await (const piece of onAdmin.expose!({ format: "prometheus" })) text += piece;
  t.regex(text, /^admin_c_total 3$/m);
});

test("waits for an address that is in use and says so meanwhile", async (t) => {
  const address = await freeAddress();
  const host = fakeHost();
  const before = await makeInstance(prometheus, { listen: address }, fakeHost());
  const after = await makeInstance(prometheus, { listen: address, maxSeries: 5 }, host);
  t.teardown(() => after.close!());
  t.is(after.unready!(), `${address} is in use`);
  await host.advance(1000);
  t.is(after.unready!(), `${address} is in use`);
  await before.close!();
  await host.advance(1000);
  t.is(after.unready!(), undefined);
  t.is((await get(address, "/metrics")).status, 200);
});

async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}

function get(
  address: string,
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
): Promise<{ status: number; type: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    request(`http://${address}${path}`, { headers, method, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.on("end", () => resolve({ status: response.statusCode!, type: response.headers["content-type"], body }));
    })
      .on("error", reject)
      .end();
  });
}

test("the README has every key of the configuration", (t) => {
  const documented = [...readFileSync("adapters/prometheus/README.md", "utf8").matchAll(/^\| `(\w+)` *\|/gm)].map(
    ([, key]) => key,
  );
  t.deepEqual(documented, Object.keys(prometheus.config.shape));
});
