import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate, setTimeout } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { fakeHost, makeInstance, testAdapter, type FakeHost } from "weir/sdk/testing";
import statsd from "../../adapters/statsd/index.ts";
import { notRun } from "../e2e/programs.ts";
import { findUnixDatagrams } from "../e2e/unix-datagrams.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-statsd-"));
test.after.always(() => rmSync(folder, { recursive: true }));
let sockets = 0;
const socketPath = (): string => join(folder, `${sockets++}.sock`);

testAdapter(test, statsd, { config: { address: `unixstream://${socketPath()}` }, refusedConfigs: [] });

/** The most bytes of a packet that an agent takes; beyond them it drops the connection (`dogstatsd_buffer_size`). */
const agentBytes = 8192;

/** Takes packets out of what a connection has sent, or throws where an agent drops the connection. Answers what is left. */
type Unframe = (bytes: Buffer, packet: (text: string) => void) => Buffer;

/** As agents that speak DogStatsD do: a length of 32 bits in little endian, then the packet. */
const byLength: Unframe = (bytes, packet) => {
  while (bytes.length >= 4) {
    const length = bytes.readUInt32LE(0);
    if (length > agentBytes) throw new Error(`a packet of ${length} bytes`);
    if (bytes.length < 4 + length) break;
    packet(bytes.toString("utf8", 4, 4 + length));
    bytes = bytes.subarray(4 + length);
  }
  return bytes;
};

const byLines: Unframe = (bytes, packet) => {
  const end = bytes.lastIndexOf("\n");
  if (end > 0) packet(bytes.toString("utf8", 0, end));
  return bytes.subarray(end + 1);
};

/** A server on a Unix stream socket. */
async function listen(t: ExecutionContext, path: string, unframe: Unframe, reads = true) {
  const packets: string[] = [];
  const connections = new Set<Socket>();
  const problems: string[] = [];
  const waiting = new Set<() => void>();
  let rest = 0;
  const server: Server = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket)).on("error", () => undefined);
    if (!reads) return void socket.pause();
    let bytes: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      try {
        bytes = unframe(Buffer.concat([bytes, chunk]), (packet) => packets.push(packet));
      } catch (error) {
        problems.push((error as Error).message);
        socket.destroy();
      }
      rest = bytes.length;
      for (const check of waiting) check();
    });
  });
  server.listen(path);
  await once(server, "listening");
  const kill = (): void => {
    for (const connection of connections) connection.destroy();
    server.close();
  };
  t.teardown(kill);
  const lines = (): string[] => packets.flatMap((packet) => packet.split("\n"));
  return {
    packets,
    lines,
    problems,
    connections,
    rest: () => rest,
    /** Resolves when there are so many lines. */
    saw: (wanted: number) =>
      new Promise<void>((resolve) => {
        const check = (): void => void (lines().length >= wanted && waiting.delete(check) && resolve());
        waiting.add(check);
        check();
      }),
    kill,
  };
}

async function setUp(t: ExecutionContext, config: object) {
  const host = fakeHost();
  const instance = await makeInstance(statsd, config, host);
  t.teardown(async () => {
    await instance.close!();
    host.close();
  });
  const counter = instance.metrics({ labels: ["l"], metrics: [{ name: "c", kind: "counter", help: "" }] });
  const histogram = instance.metrics({
    labels: ["l"],
    metrics: [{ name: "h", kind: "histogram", help: "", buckets: [1] }],
  });
  return { host, instance, counter, histogram };
}

/** Moves time on, a second at a time, until something holds. */
async function advanceUntil(host: FakeHost, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !holds(); i++) {
    await host.advance(1000);
    await setImmediate();
  }
}

/** The sum of a counter's lines, in either dialect. */
const total = (lines: readonly string[]): number =>
  lines.filter((line) => line.startsWith("c")).reduce((sum, line) => sum + Number(/:(\d+)\|c/.exec(line)![1]), 0);

for (const [name, config, unframe] of [
  ["dogstatsd: each packet behind its length", { dialect: "dogstatsd" }, byLength],
  ["dogstatsd: lines, where that is asked for", { dialect: "dogstatsd", framing: "lines" }, byLines],
  ["statsd: lines", {}, byLines],
  ["statsd: each packet behind its length, where that is asked for", { framing: "length" }, byLength],
] as const) {
  test(`a stream socket gets ${name}`, async (t) => {
    const path = socketPath();
    const server = await listen(t, path, unframe);
    const { host, counter, histogram } = await setUp(t, { address: `unixstream://${path}`, ...config });
    for (let i = 0; i < 2000; i++) counter.record([`value-${i}`], [1]);
    histogram.record(["a"], [2.5]);
    await host.advance(1000);
    await server.saw(2001);
    t.is(total(server.lines()), 2000);
    t.deepEqual(server.problems, []);
    t.is(server.rest(), 0);
    if (unframe === byLength) {
      t.true(server.packets.length < 20, "packets are filled");
      t.true(server.packets.every(({ length }) => length <= agentBytes));
    }
    t.deepEqual([...host.events], []);
  });
}

test("while a stream's server is away counters wait, single values are counted as lost, and both go on after", async (t) => {
  const path = socketPath();
  const { host, counter, histogram } = await setUp(t, { address: `unixstream://${path}` });
  counter.record(["a"], [3]);
  histogram.record(["a"], [1]);
  await host.advance(3000);
  t.true(host.events.get("connect_failed")! >= 3);
  t.is(host.events.get("values_lost"), 1);
  const warnings = () => host.logs.filter(({ level }) => level === "warn").length;
  t.is(warnings(), 1);
  const server = await listen(t, path, byLines);
  counter.record(["a"], [4]);
  await advanceUntil(host, () => server.lines().length > 0);
  t.deepEqual(server.lines(), ["c.a:7|c"]);
  t.is(host.logs.at(-1)!.message, "the statsd server is connected again");
  t.is(warnings(), 1);
});

test("a stream's server that is killed costs what it had not read, and nothing that comes after", async (t) => {
  const path = socketPath();
  const first = await listen(t, path, byLength);
  const { host, counter } = await setUp(t, { address: `unixstream://${path}`, dialect: "dogstatsd" });
  counter.record(["a"], [1]);
  await host.advance(1000);
  await first.saw(1);
  first.kill();
  while (!host.logs.some(({ message }) => message.includes("no connection"))) await setImmediate();
  for (let i = 0; i < 5; i++) {
    counter.record(["a"], [1]);
    await host.advance(1000);
  }
  const second = await listen(t, path, byLength);
  await advanceUntil(host, () => second.lines().length > 0);
  t.is(total(first.lines()) + total(second.lines()), 6);
});

/** Series of a counter, far more of them than the system keeps for a socket. */
const series = 40_000;
const longLabel = (i: number): string => `value-${i}-${"x".repeat(200)}`;

test("a stream's server that does not read holds up sending, then is left; what was not handed on is sent again", async (t) => {
  const path = socketPath();
  const stuck = await listen(t, path, byLength, false);
  const config = { address: `unixstream://${path}`, framing: "length", timeout: "300ms", maxSeries: 50_000 };
  const { host, counter } = await setUp(t, config);
  for (let i = 0; i < series; i++) counter.record([longLabel(i)], [1]);
  await host.advance(1000);
  t.is(host.events.get("datagram_failed"), 1);
  while (!JSON.stringify(host.logs).includes("took nothing for 300 ms")) await setImmediate();
  stuck.kill();
  const reading = await listen(t, path, byLength);
  await advanceUntil(host, () => reading.lines().length > 1000);
  for (let before = -1; before !== reading.lines().length; await setTimeout(20)) before = reading.lines().length;
  const sent = total(reading.lines());
  t.true(
    sent > series / 2 && sent < series,
    `${sent}: lost is what the system had taken for the one that did not read`,
  );
  t.is(new Set(reading.lines()).size, reading.lines().length, "nothing is sent twice");
});

test("closing does not wait for a server that does not read", async (t) => {
  const path = socketPath();
  await listen(t, path, byLength, false);
  const host = fakeHost();
  const instance = await makeInstance(
    statsd,
    { address: `unixstream://${path}`, timeout: "300ms", maxSeries: 50_000 },
    host,
  );
  const counter = instance.metrics({ labels: ["l"], metrics: [{ name: "c", kind: "counter", help: "" }] });
  for (let i = 0; i < series; i++) counter.record([longLabel(i)], [1]);
  await instance.close!();
  t.is(host.events.get("datagram_failed"), 2, "one that was on its way, and a line that had been taken with it");
  host.close();
});

/** A server of datagrams that is none of ours: Python's. It prints each datagram as JSON, from when it is told to read. */
async function listenForDatagrams(t: ExecutionContext, path: string) {
  const script = join(folder, "receive.py");
  writeFileSync(
    script,
    `import json, os, socket, sys
path = sys.argv[1]
if os.path.exists(path):
    os.unlink(path)
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(path)
print("ready", flush=True)
sys.stdin.readline()
while True:
    print(json.dumps(receiver.recv(65536).decode()), flush=True)
`,
  );
  const child = spawn("python3", [script, path], { stdio: ["pipe", "pipe", "inherit"] });
  t.teardown(() => child.kill("SIGKILL"));
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  while (!text.includes("ready\n")) await once(child.stdout, "data");
  const datagrams = (): string[] =>
    text
      .split("\n")
      .slice(1, -1)
      .map((line) => JSON.parse(line) as string);
  return {
    datagrams,
    read: () => child.stdin.write("\n"),
    async saw(lines: number) {
      while (datagrams().flatMap((datagram) => datagram.split("\n")).length < lines) await once(child.stdout, "data");
    },
    async kill() {
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

test("a datagram socket gets datagrams of the agents' size, also when it is full for a while", async (t) => {
  const gap = await findUnixDatagrams();
  if (gap !== undefined) return notRun(t, gap);
  const path = socketPath();
  const server = await listenForDatagrams(t, path);
  const config = { address: `unixgram://${path}`, dialect: "dogstatsd", maxSeries: 50_000, timeout: "1m" };
  const { host, counter } = await setUp(t, config);
  for (let i = 0; i < 20_000; i++) counter.record([`value-${i}`], [1]);
  const sent = host.advance(1000);
  await setImmediate();
  server.read();
  await sent;
  await server.saw(20_000);
  t.is(total(server.datagrams().flatMap((datagram) => datagram.split("\n"))), 20_000);
  t.true(server.datagrams().every(({ length }) => length <= 8192));
  t.deepEqual([...host.events], []);
});

test("a datagram socket's server that is away or killed costs no counts: what nobody took is sent again", async (t) => {
  const gap = await findUnixDatagrams();
  if (gap !== undefined) return notRun(t, gap);
  const path = socketPath();
  const { host, counter, histogram } = await setUp(t, { address: `unixgram://${path}` });
  counter.record(["a"], [3]);
  await host.advance(2000);
  t.is(host.logs.filter(({ level }) => level === "warn").length, 1);
  const first = await listenForDatagrams(t, path);
  first.read();
  counter.record(["a"], [1]);
  await host.advance(1000);
  await first.saw(2);
  await first.kill();
  counter.record(["a"], [10]);
  histogram.record(["a"], [5]);
  await host.advance(3000);
  counter.record(["a"], [20]);
  const second = await listenForDatagrams(t, path);
  second.read();
  await host.advance(1000);
  await second.saw(3);
  t.deepEqual(
    [first, second].map(({ datagrams }) => datagrams()),
    [
      ["c.a:3|c", "c.a:1|c"],
      ["h.a:5|ms\nc.a:10|c", "c.a:20|c"],
    ],
  );
  t.is(host.events.get("datagram_failed"), undefined);
  t.is(host.logs.at(-1)!.message, "datagrams reach the statsd server again");
});

test("a datagram socket that stays full is given up, and nothing is held up for ever", async (t) => {
  const gap = await findUnixDatagrams();
  if (gap !== undefined) return notRun(t, gap);
  const path = socketPath();
  await listenForDatagrams(t, path);
  const { host, counter } = await setUp(t, { address: `unixgram://${path}`, datagramSize: 128, timeout: "20ms" });
  for (let i = 0; i < 200; i++) counter.record([`value-${"x".repeat(60)}-${i}`], [1]);
  await host.advance(1000);
  t.true(host.events.get("datagram_failed")! >= 1);
  t.regex(JSON.stringify(host.logs), /took nothing for 20 ms/);
});

test("what nobody took is not told as exported, until a server is there that did", async (t) => {
  const path = socketPath();
  const { host, instance, counter } = await setUp(t, { address: `unixstream://${path}` });
  counter.record(["a"], [3]);
  let told = false;
  const exported = instance.exported!({ atOnce: true }).then(() => (told = true));
  await host.advance(3000);
  t.false(told);
  t.is(instance.unexported!(), 1);
  t.is(instance.unready!(), `nobody takes datagrams at ${path}`);
  const server = await listen(t, path, byLines);
  await advanceUntil(host, () => told);
  await exported;
  await server.saw(1);
  t.deepEqual(server.lines(), ["c.a:3|c"]);
  t.is(instance.unready!(), undefined);
  t.is(instance.unexported!(), 0);
});
