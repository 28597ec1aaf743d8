import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Instance, MetricGroup } from "weir/sdk";
import { fakeHost, makeInstance, testAdapter, type FakeHost } from "weir/sdk/testing";
import statsd from "../../adapters/statsd/index.ts";
import { pack } from "../../adapters/statsd/pack.ts";
import { openUdpTarget } from "../../adapters/statsd/udp-target.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

testAdapter(test, statsd, {
  config: { address: "127.0.0.1:9" },
  refusedConfigs: [
    { address: "127.0.0.1:0" },
    { address: "127.0.0.1:70000" },
    { address: "udp://127.0.0.1:8125" },
    { address: "/var/run/statsd.sock" },
    { address: "unix:///var/run/statsd.sock" },
    { address: "unixstream://var/run/statsd.sock" },
    { address: `unixgram:///${"a".repeat(103)}` },
    { address: "127.0.0.1", framing: "lines" },
    { address: "unixstream:///a", framing: "json" },
    { address: "unixstream:///a", timeout: "0s" },
    { dialect: "influx" },
    { tags: { env: "prod" } },
    { dialect: "dogstatsd", tags: { env: "a,b" } },
    { dialect: "dogstatsd", tags: { env: "a\nb" } },
    { histograms: "distribution" },
    { names: { requests: "{metric" } },
    { names: { requests: "a:b" } },
    { names: { requests: "a\nb" } },
    { prefix: "a|b" },
    { rate: 0 },
    { rate: 2 },
    { datagramSize: 100_000 },
    { interval: "1h", expire: "1h" },
    { surprise: true },
  ],
});

/** A socket that keeps what comes, as whole datagrams. */
async function receive(t: ExecutionContext, port = 0, address = "127.0.0.1") {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  const datagrams: string[] = [];
  const waiting = new Set<() => void>();
  socket.on("message", (message) => {
    datagrams.push(message.toString());
    for (const check of waiting) check();
  });
  socket.bind(port, address);
  await once(socket, "listening");
  const close = (): void => closeOnce(socket);
  t.teardown(close);
  const lines = (): string[] => datagrams.flatMap((datagram) => datagram.split("\n"));
  return {
    port: socket.address().port,
    datagrams,
    lines,
    /** Resolves when there are so many lines, or the one. */
    saw: (wanted: number | string) =>
      new Promise<void>((resolve) => {
        const check = (): void => {
          if (typeof wanted === "number" ? lines().length < wanted : !lines().includes(wanted)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
    close,
  };
}

const closed = new WeakSet<Socket>();
function closeOnce(socket: Socket): void {
  if (closed.has(socket)) return;
  closed.add(socket);
  socket.close();
}

async function setUp(t: ExecutionContext, config: object = {}) {
  const receiver = await receive(t);
  const host = fakeHost();
  const instance = await makeInstance(statsd, { address: `127.0.0.1:${receiver.port}`, ...config }, host);
  t.teardown(async () => {
    await instance.close!();
    host.close();
  });
  return { receiver, host, instance };
}

const group: MetricGroup = {
  labels: ["source", "code"],
  metrics: [
    { name: "requests_total", kind: "counter", help: "" },
    { name: "open", kind: "gauge", help: "" },
    { name: "duration_ms", kind: "histogram", help: "", buckets: [1, 10] },
  ],
};

/** Two requests and one of another service, sent. */
async function sendThree(host: FakeHost, instance: Instance<"metrics">): Promise<void> {
  const recorder = instance.metrics(group);
  recorder.record(["reviews", "200"], [1, 3, 12.5]);
  recorder.record(["reviews", "200"], [1, 2, 0.25]);
  recorder.record(["rat:ings.v1", "503"], [1.5, -4, NaN]);
  await host.advance(1000);
}

test("statsd gets deltas, gauges and timers, with the labels in their names", async (t) => {
  const { receiver, host, instance } = await setUp(t, { prefix: "weir." });
  await sendThree(host, instance);
  await receiver.saw(7);
  t.deepEqual(receiver.lines(), [
    "weir.duration_ms.reviews.200:12.5|ms",
    "weir.duration_ms.reviews.200:0.25|ms",
    "weir.open.reviews.200:2|g",
    "weir.open.rat_ings_v1.503:0|g",
    "weir.open.rat_ings_v1.503:-4|g",
    "weir.requests_total.reviews.200:2|c",
    "weir.requests_total.rat_ings_v1.503:1.5|c",
  ]);
  await host.advance(1000);
  await receiver.saw(10);
  t.deepEqual(
    receiver
      .lines()
      .slice(7)
      .filter((line) => !line.endsWith("|g")),
    [],
    "what was sent is not sent again, but for gauges",
  );
});

test("dogstatsd gets labels as tags, and distributions", async (t) => {
  const { receiver, host, instance } = await setUp(t, { dialect: "dogstatsd", tags: { env: "prod" } });
  await sendThree(host, instance);
  await receiver.saw(6);
  t.deepEqual(receiver.lines(), [
    "duration_ms:12.5|d|#env:prod,source:reviews,code:200",
    "duration_ms:0.25|d|#env:prod,source:reviews,code:200",
    "open:2|g|#env:prod,source:reviews,code:200",
    "open:-4|g|#env:prod,source:rat:ings.v1,code:503",
    "requests_total:2|c|#env:prod,source:reviews,code:200",
    "requests_total:1.5|c|#env:prod,source:rat:ings.v1,code:503",
  ]);
});

test("a metric is named by its template, whose labels are then no tags", async (t) => {
  const { receiver, host, instance } = await setUp(t, {
    dialect: "dogstatsd",
    names: { requests_total: "mesh.{source}.{metric}", open: "open-{code}" },
    histograms: "histogram",
  });
  await sendThree(host, instance);
  await receiver.saw(6);
  t.deepEqual(receiver.lines().sort(), [
    "duration_ms:0.25|h|#source:reviews,code:200",
    "duration_ms:12.5|h|#source:reviews,code:200",
    "mesh.rat_ings_v1.requests_total:1.5|c|#code:503",
    "mesh.reviews.requests_total:2|c|#code:200",
    "open-200:2|g|#source:reviews",
    "open-503:-4|g|#source:rat:ings.v1",
  ]);
});

test("a template that asks for a label which the metric lacks is refused with the policy", async (t) => {
  const { instance } = await setUp(t, { names: { requests_total: "{metric}.{path}" } });
  t.throws(() => instance.metrics(group), { message: /\{path\}/ });
});

test("a label's value cannot begin a line, a type or a tag of its own", async (t) => {
  const hostile = "a\nevil:1|c|#x:y,z\u2028\r b";
  for (const [dialect, line] of [
    ["statsd", "c.a_evil_1_c__x_y_z___b:1|c"],
    ["dogstatsd", "c:1|c|#l:a_evil:1_c_#x:y_z___b"],
  ] as const) {
    const { receiver, host, instance } = await setUp(t, { dialect });
    instance.metrics({ labels: ["l"], metrics: [{ name: "c", kind: "counter", help: "" }] }).record([hostile], [1]);
    await host.advance(1000);
    await receiver.saw(1);
    t.deepEqual(receiver.lines(), [line]);
  }
});

test("of many observations the part that is asked for is sent, and says so; counters are whole", async (t) => {
  const { receiver, host, instance } = await setUp(t, { rate: 0.1 });
  const recorder = instance.metrics(group);
  for (let i = 0; i < 5000; i++) recorder.record(["a", "b"], [1, NaN, 5]);
  await host.advance(1000);
  await receiver.saw("requests_total.a.b:5000|c");
  const timers = receiver.lines().filter((line) => line.includes("|ms"));
  t.true(timers.every((line) => line === "duration_ms.a.b:5|ms|@0.1"));
  // Six standard deviations of 5000 tries at 0.1.
  t.true(Math.abs(timers.length - 500) < 130, `${timers.length}`);
});

test("datagrams are packed up to their size", async (t) => {
  const { receiver, host, instance } = await setUp(t, { datagramSize: 128 });
  const recorder = instance.metrics({ labels: ["l"], metrics: [{ name: "c", kind: "counter", help: "" }] });
  for (let i = 0; i < 100; i++) recorder.record([`value-${i}`], [1]);
  recorder.record(["x".repeat(200)], [1]);
  await host.advance(1000);
  await receiver.saw(100);
  t.is(receiver.lines().length, 100);
  t.true(receiver.datagrams.every(({ length }) => length <= 128));
  t.true(receiver.datagrams.slice(0, -1).every(({ length }) => length > 128 - 20));
  t.is(host.events.get("line_too_long"), 1);
});

test("packing keeps every line that has room, whole and in order", (t) => {
  const line = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }).map((text) => text.replace(/\s/g, "_"));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 60 }), fc.integer({ min: 16, max: 200 }), (lines, size) => {
      let tooLong = 0;
      const packed = [...pack(lines, { size, tooLong: () => tooLong++, left: () => t.fail() })];
      const fitting = lines.filter((text) => Buffer.byteLength(text) <= size);
      t.true(packed.every((datagram) => datagram.length > 0 && datagram.length <= size));
      t.deepEqual(
        packed.flatMap((datagram) => datagram.toString().split("\n")),
        fitting,
      );
      t.is(tooLong, lines.length - fitting.length);
    }),
    { numRuns: fuzzRuns(200) },
  );
});

test("packing that is left early hands back what it took of the lines", (t) => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z]{1,20}$/), { maxLength: 40 }), fc.nat(5), (lines, asked) => {
      const rest = lines[Symbol.iterator]();
      const seen: string[] = [];
      const see = (bytes: Buffer): void => void seen.push(...bytes.toString().split("\n"));
      let given = 0;
      for (const datagram of pack(rest, { size: 40, tooLong: () => t.fail(), left: see })) {
        // What is left is told of after the datagram that was given last.
        see(datagram);
        if (++given > asked) break;
      }
      t.deepEqual([...seen, ...rest], lines);
    }),
    { numRuns: fuzzRuns(200) },
  );
});

test("observations beyond what may wait are dropped and counted", async (t) => {
  const { host, instance } = await setUp(t);
  const recorder = instance.metrics(group);
  // All in one turn, so that nothing can be sent meanwhile: the first are taken to be sent, then so many may wait.
  for (let i = 0; i < 100_000; i++) recorder.record(["a", "b"], [NaN, NaN, 1]);
  t.is(host.events.get("values_lost"), 100_000 - 4096 - 65_536);
});

test("numbers that no server takes are not sent", async (t) => {
  const { receiver, host, instance } = await setUp(t);
  const recorder = instance.metrics(group);
  recorder.record(["a", "b"], [Infinity, -Infinity, Infinity]);
  recorder.record(["c", "d"], [1, NaN, -1]);
  await host.advance(1000);
  await receiver.saw(1);
  t.deepEqual(receiver.lines(), ["requests_total.c.d:1|c"]);
  t.is(host.events.get("values_lost"), 4);
});

test("label sets beyond the budget are one series, also those of histograms", async (t) => {
  const { receiver, host, instance } = await setUp(t, { maxSeries: 2, dialect: "dogstatsd" });
  const recorder = instance.metrics({
    labels: ["user"],
    metrics: [
      { name: "c", kind: "counter", help: "" },
      { name: "h", kind: "histogram", help: "", buckets: [1] },
    ],
  });
  for (const user of ["a", "b", "c", "d"]) recorder.record([user], [1, 7]);
  await host.advance(1000);
  await receiver.saw(7);
  t.deepEqual(receiver.lines(), [
    "h:7|d|#user:a",
    "h:7|d|#user:b",
    "h:7|d|#user:__overflow__",
    "h:7|d|#user:__overflow__",
    "c:1|c|#user:a",
    "c:1|c|#user:b",
    "c:2|c|#user:__overflow__",
  ]);
  t.is(host.events.get("series_overflow"), 4);
  t.true(host.logs.some(({ message }) => message.includes("label user has 2 different values")));
});

test("a metric that a reload drops or defines anew is sent a last time, and the others go on", async (t) => {
  const { receiver, host, instance } = await setUp(t);
  const counter = (name: string) => ({ name, kind: "counter", help: "" }) as const;
  const before = instance.metrics({ labels: [], metrics: [counter("kept"), counter("gone"), counter("changed")] });
  before.record([], [1, 2, 3]);
  const after = instance.metrics({
    labels: [],
    metrics: [counter("kept"), { name: "changed", kind: "gauge", help: "" }],
  });
  before.record([], [1, 2, 3]);
  before.close!();
  after.record([], [1, 9]);
  await host.advance(1000);
  await receiver.saw(4);
  t.deepEqual(receiver.lines().sort(), ["changed:6|c", "changed:9|g", "gone:4|c", "kept:3|c"]);
});

test("what was recorded last is sent when the instance is closed", async (t) => {
  const { receiver, instance } = await setUp(t);
  instance.metrics(group).record(["a", "b"], [1, NaN, 2]);
  await instance.close!();
  await receiver.saw(2);
  t.deepEqual(receiver.lines(), ["duration_ms.a.b:2|ms", "requests_total.a.b:1|c"]);
});

test("a server that is not there is told of once, and gets what comes when it is back", async (t) => {
  const { receiver, host, instance } = await setUp(t);
  receiver.close();
  const recorder = instance.metrics({ labels: [], metrics: [{ name: "c", kind: "counter", help: "" }] });
  // That nobody listened comes back as an error of its own, when the system has time for it.
  for (let i = 0; i < 1000 && (host.events.get("datagram_failed") ?? 0) < 3; i++) {
    recorder.record([], [1]);
    await host.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.true(host.events.get("datagram_failed")! >= 3);
  const warnings = () => host.logs.filter(({ level }) => level === "warn").map(({ message }) => message);
  t.deepEqual(warnings(), ["datagrams do not reach the statsd server"]);
  const again = await receive(t, receiver.port);
  for (let i = 0; i < 8; i++) {
    recorder.record([], [5]);
    await host.advance(1000);
  }
  await again.saw(8);
  t.deepEqual(again.lines(), Array(8).fill("c:5|c"));
  t.is(warnings().length, 1);
  t.is(host.logs.at(-1)!.message, "datagrams reach the statsd server again, as it seems");
});

test("a name is looked up again: a new address is used, a known one kept, and without an answer the last", async (t) => {
  const [first, second] = [await receive(t), await receive(t, 0, "::1")];
  const moved = await receive(t, first.port, "::1");
  t.teardown(second.close);
  const host = fakeHost();
  const four = { address: "127.0.0.1", family: 4 };
  const six = { address: "::1", family: 6 };
  let answer: readonly { address: string; family: number }[] | Error = new Error("ENOTFOUND");
  const target = await openUdpTarget({
    host: "statsd.example",
    port: first.port,
    resolveMs: 30_000,
    hub: host,
    lookup: async () => {
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  t.teardown(() => target.close());
  t.false(target.isKnown(), "a name that has no address yet is no reason not to start");
  const sendAfter = async (text: string, next: typeof answer): Promise<void> => {
    answer = next;
    await host.advance(30_000);
    await target.send(Buffer.from(text));
  };
  await sendAfter("1", [four]);
  await sendAfter("2", [six, four]);
  await sendAfter("3", new Error("ETIMEOUT"));
  await sendAfter("4", []);
  await first.saw(4);
  await sendAfter("5", [six]);
  await moved.saw(1);
  t.deepEqual([first.lines(), moved.lines()], [["1", "2", "3", "4"], ["5"]]);
  t.is(host.events.get("resolve_failed"), 3);
  t.deepEqual(
    host.logs.map(({ level }) => level),
    ["warn", "info", "warn", "info"],
  );
});

test("while the server has no address counters wait, and single values are lost and counted", async (t) => {
  const host = fakeHost();
  // RFC 6761, 6.4: a name that never resolves.
  const instance = await makeInstance(statsd, { address: "statsd.invalid" }, host);
  const recorder = instance.metrics(group);
  recorder.record(["a", "b"], [1, 1, 1]);
  await host.advance(1000);
  t.is(host.events.get("values_lost"), 1);
  t.is(host.events.get("datagram_failed"), undefined);
  await instance.close!();
});

test("the README has every key of the configuration", (t) => {
  const text = readFileSync("adapters/statsd/README.md", "utf8")
    .split(/^## /m)
    .find((part) => part.startsWith("Keys"))!;
  const documented = [...text.matchAll(/^\| `(\w+)` *\|/gm)].map(([, key]) => key);
  t.deepEqual(documented, Object.keys(statsd.config.shape));
});

test("what was recorded is told as exported when it was sent: by the next turn or at once, and never after closing", async (t) => {
  const receiver = await receive(t);
  const host = fakeHost();
  const instance = await makeInstance(statsd, { address: `127.0.0.1:${receiver.port}` }, host);
  const recorder = instance.metrics({ labels: [], metrics: [{ name: "c", kind: "counter", help: "" }] });
  recorder.record([], [1]);
  let told = false;
  const due = instance.exported!({ atOnce: false }).then(() => (told = true));
  await new Promise((resolve) => setImmediate(resolve));
  t.false(told);
  await host.advance(1000);
  await due;
  recorder.record([], [2]);
  await instance.exported!({ atOnce: true });
  await receiver.saw(2);
  t.deepEqual(receiver.lines(), ["c:1|c", "c:2|c"]);
  await instance.close!();
  await t.throwsAsync(instance.exported!({ atOnce: true }), { message: "the adapter is closed" });
  host.close();
});
