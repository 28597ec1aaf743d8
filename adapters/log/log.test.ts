import { spawn } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { JsonValue, LogEntry, Span } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance, testAdapter } from "weir/sdk/testing";
import { createFileSink } from "./file-sink.ts";
import log from "./index.ts";
import { formatEntry, formatSpan } from "./format-line.ts";
import { LineWriter, type Sink } from "./line-writer.ts";
import { createStreamSink } from "./stream-sink.ts";

const contractFolder = mkdtempSync(join(tmpdir(), "weir-log-"));
test.after.always(() => rmSync(contractFolder, { recursive: true, force: true }));

let contractFiles = 0;
let contractFile = "";
testAdapter(test.serial, log, {
  config: () => ({ to: (contractFile = join(contractFolder, `${++contractFiles}.log`)) }),
  refusedConfigs: [
    { to: "" },
    { to: 1 },
    { maxSize: 5 },
    { maxSize: "1B" },
    { maxSize: "big" },
    { maxFiles: 0 },
    { rotateEvery: "1s" },
    { keepFor: "often" },
    { compression: "zstd" },
  ],
  spans: { delivered: () => readLines(contractFile).map(({ span_id: id }) => id as string) },
  logs: {
    delivered: () =>
      readLines(contractFile).map(({ log: name, ...rest }) => {
        const { time: _time, severity: _severity, ...fields } = rest;
        return { name: name as string, fields };
      }),
  },
});

type Line = Record<string, JsonValue>;

const outside = { now: Date.now, failed: () => {} };

function readLines(path: string): Line[] {
  const text = readFileSync(path, "utf8");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
}

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), "weir-log-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const entry = (fields: LogEntry["fields"]): LogEntry => ({
  name: "access",
  timeMs: 1_700_000_000_123,
  severity: "info",
  fields,
});
const numbered = (from: number, count: number): LogEntry[] =>
  Array.from({ length: count }, (_, i) => entry({ n: from + i }));

/** The numbers in a file and those put aside, oldest first. */
function numbersIn(path: string): JsonValue[] {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const files = readdirSync(join(path, ".."))
    .filter((file) => file.startsWith(name))
    .sort((a, b) => Number(b.slice(name.length + 1) || 0) - Number(a.slice(name.length + 1) || 0));
  return files.flatMap((file) => readLines(join(path, "..", file)).map((line) => line["n"]!));
}

test("a line has time, severity, log and the fields, and a field of such a name stands in its place", (t) => {
  t.is(
    formatEntry(entry({ path: '/a"\n', code: 200 })),
    '{"time":"2023-11-14T22:13:20.123Z","severity":"info","log":"access","path":"/a\\"\\n","code":200}\n',
  );
  t.is(formatEntry(entry({ time: "then" })), '{"time":"then","severity":"info","log":"access"}\n');
});

test("relative files are meant from the host's folder, which is made when it is missing", async (t) => {
  const path = folder(t);
  const instance = await makeInstance(log, { to: "deep/er/access.log" }, fakeHost({ folder: path }));
  await instance.logs(numbered(0, 3), fakeCall());
  await instance.close!();
  t.deepEqual(numbersIn(join(path, "deep/er/access.log")), [0, 1, 2]);
});

test("a file that cannot be opened is told when the instance is made", async (t) => {
  await t.throwsAsync(async () => makeInstance(log, { to: folder(t) }, fakeHost()), { message: /EISDIR/ });
});

test("a line that was torn when its process was killed costs itself alone", async (t) => {
  const path = join(folder(t), "access.log");
  const write = async (): Promise<void> => {
    const sink = await createFileSink({ path, maxBytes: 1000, maxFiles: 2, ...outside });
    await sink.write(Buffer.from('{"n":1}\n'));
    await sink.close();
  };
  await write();
  await write();
  t.is(readFileSync(path, "utf8"), '{"n":1}\n{"n":1}\n');
  writeFileSync(path, '{"n":1}\n{"n');
  await write();
  t.is(readFileSync(path, "utf8"), '{"n":1}\n{"n\n{"n":1}\n');
});

test("a full file is put aside, the oldest goes, and no line is torn, lost before its time or written twice", async (t) => {
  const path = join(folder(t), "access.log");
  const line = Buffer.byteLength(formatEntry(entry({ n: 10 })));
  const sink = await createFileSink({ path, maxBytes: line * 4, maxFiles: 3, ...outside });
  const writer = new LineWriter(sink);
  for (const [from, count] of [
    [10, 3],
    [13, 1],
    [14, 7],
    [21, 1],
  ] as const) {
    t.is(await writer.logs(numbered(from, count)), undefined);
  }
  t.deepEqual(numbersIn(path), [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]);
  t.deepEqual(readdirSync(join(path, "..")).sort(), ["access.log", "access.log.1", "access.log.2"]);
  t.is(await writer.logs(numbered(22, 9)), undefined);
  await writer.close();
  t.deepEqual(numbersIn(path), [22, 23, 24, 25, 26, 27, 28, 29, 30]);
  t.deepEqual(readdirSync(join(path, "..")).sort(), ["access.log", "access.log.1", "access.log.2"]);
});

test("any sizes of lines, batches and files leave the newest lines whole and in order", async (t) => {
  const base = folder(t);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 8 }), { maxLength: 12 }),
      fc.integer({ min: 100, max: 1000 }),
      fc.integer({ min: 1, max: 4 }),
      async (batches, maxBytes, maxFiles) => {
        const path = join(base, String(++run), "a.log");
        let n = 0;
        for (const batch of batches) {
          // A new sink for each batch: a restart in between changes nothing.
          const sink = await createFileSink({ path, maxBytes, maxFiles, ...outside });
          const writer = new LineWriter(sink);
          t.is(await writer.logs(batch.map((length) => entry({ n: n++, pad: "x".repeat(length) }))), undefined);
          await writer.close();
        }
        if (batches.length === 0) return;
        const numbers = numbersIn(path);
        t.deepEqual(
          numbers,
          Array.from({ length: numbers.length }, (_, i) => n - numbers.length + i),
        );
        const files = readdirSync(join(path, ".."));
        t.true(files.length <= maxFiles);
        for (const file of files) {
          const { size } = statSync(join(path, "..", file));
          t.true(size <= maxBytes || readLines(join(path, "..", file)).length === 1, `${size} bytes in ${file}`);
        }
        if (files.length < maxFiles)
          t.is(numbers.length, n, "nothing goes before there are as many files as there may be");
      },
    ),
    { numRuns: 40 },
  );
});

test("a file that was moved or removed by somebody else is opened anew", async (t) => {
  const path = join(folder(t), "access.log");
  const instance = await makeInstance(log, { to: path }, fakeHost());
  await instance.logs(numbered(0, 1), fakeCall());
  renameSync(path, `${path}.moved`);
  await instance.logs(numbered(1, 1), fakeCall());
  t.deepEqual(
    readLines(path).map(({ n }) => n),
    [1],
  );
  rmSync(path);
  await instance.logs(numbered(2, 1), fakeCall());
  t.deepEqual(
    readLines(path).map(({ n }) => n),
    [2],
  );
  await instance.close!();
});

test("a file that cannot be written asks for a retry, and goes on when it can", async (t) => {
  const base = folder(t);
  const instance = await makeInstance(log, { to: join(base, "logs/access.log") }, fakeHost());
  rmSync(join(base, "logs"), { recursive: true });
  writeFileSync(join(base, "logs"), "in the way");
  const exported = await instance.logs(numbered(0, 2), fakeCall());
  t.like(exported, { delivered: 0, retry: true });
  rmSync(join(base, "logs"));
  t.is(await instance.logs(numbered(0, 2), fakeCall()), undefined);
  t.deepEqual(numbersIn(join(base, "logs/access.log")), [0, 1]);
  await instance.close!();
});

const hour = 3_600_000;

/** A sink with a clock that is moved by hand. */
async function timedSink(path: string, options: object = {}) {
  const clock = { now: 1_700_000_000_000 };
  const failures: string[] = [];
  const sink = await createFileSink({
    path,
    maxBytes: 1e9,
    maxFiles: 10,
    now: () => clock.now,
    failed: (error, doing) => failures.push(`${doing}: ${error.message}`),
    ...options,
  });
  return { clock, sink, failures, writer: new LineWriter(sink) };
}

test("a file holds lines of one period only, also over a restart", async (t) => {
  const path = join(folder(t), "access.log");
  const { clock, writer } = await timedSink(path, { rotateEveryMs: hour });
  const start = Math.floor(clock.now / hour) * hour;
  for (const [n, minutes] of [
    [0, 1],
    [1, 59.9],
    [2, 60],
    [3, 61],
    [4, 200],
    [5, 190], // A clock that was set back begins no new file.
  ] as const) {
    clock.now = start + minutes * 60_000;
    t.is(await writer.logs(numbered(n, 1)), undefined);
  }
  await writer.close();
  utimesSync(path, start / 1000, (start + 200 * 60_000) / 1000);
  const later = await timedSink(path, { rotateEveryMs: hour });
  later.clock.now = start + 300 * 60_000;
  await later.writer.logs(numbered(6, 1));
  await later.writer.close();
  const held = ["access.log.3", "access.log.2", "access.log.1", "access.log"].map((file) =>
    readLines(join(path, "..", file)).map(({ n }) => n),
  );
  t.deepEqual(held, [[0, 1], [2, 3], [4, 5], [6]]);
});

test("without traffic a file whose period is over is put aside, and goes when its time has come", async (t) => {
  const path = join(folder(t), "access.log");
  const { clock, sink, writer, failures } = await timedSink(path, { rotateEveryMs: hour, keepForMs: 3 * hour });
  const files = () => readdirSync(join(path, "..")).sort();
  await writer.logs(numbered(0, 1));
  utimesSync(path, clock.now / 1000, clock.now / 1000);
  writeFileSync(join(path, "../access.log.old"), "not one of these");
  await sink.tend();
  t.deepEqual(files(), ["access.log", "access.log.old"]);
  clock.now += hour;
  await sink.tend();
  t.deepEqual(files(), ["access.log", "access.log.1", "access.log.old"]);
  t.is(statSync(path).size, 0);
  clock.now += hour;
  await sink.tend();
  t.deepEqual(files(), ["access.log", "access.log.1", "access.log.old"], "a file without a line is not put aside");
  clock.now += hour + 1;
  await sink.tend();
  t.deepEqual(files(), ["access.log", "access.log.old"]);
  t.deepEqual(failures, []);
  await writer.close();
});

test("files put aside are compressed, keep their age, and are counted with the others", async (t) => {
  const path = join(folder(t), "access.log");
  const { sink, writer, failures } = await timedSink(path, { maxBytes: 600, maxFiles: 5, gzip: true });
  let n = 0;
  const write = async (count: number) => t.is(await writer.logs(numbered((n += count) - count, count)), undefined);
  await write(20);
  const before = statSync(`${path}.1`).mtimeMs;
  await sink.tend();
  t.true(Math.abs(statSync(`${path}.1.gz`).mtimeMs - before) < 5);
  // Files are written and put aside while others are compressed.
  for (let round = 0; round < 10; round++) await Promise.all([sink.tend(), write(3).then(() => write(13))]);
  await sink.tend();
  t.deepEqual(readdirSync(join(path, "..")).sort(), [
    "access.log",
    ...[1, 2, 3, 4].map((number) => `access.log.${number}.gz`),
  ]);
  await writer.close();
  const texts = [4, 3, 2, 1].map((number) => gunzipSync(readFileSync(`${path}.${number}.gz`)).toString());
  const numbers = [...texts, readFileSync(path, "utf8")]
    .flatMap((text) => text.split("\n").slice(0, -1))
    .map((line) => (JSON.parse(line) as { n: number }).n);
  t.true(numbers.length > 20);
  t.deepEqual(
    numbers,
    numbers.map((_, i) => n - numbers.length + i),
  );
  t.deepEqual(failures, []);
});

test("closing ends a compression, and leaves the file as it was", async (t) => {
  const path = join(folder(t), "access.log");
  const { sink, writer, failures } = await timedSink(path, { gzip: true });
  await writer.logs(numbered(0, 1));
  writeFileSync(`${path}.1`, Buffer.alloc(50_000_000, "line\n"));
  const tended = sink.tend();
  await setImmediate();
  await writer.close();
  await tended;
  t.deepEqual(readdirSync(join(path, "..")).sort(), ["access.log", "access.log.1"]);
  t.is(statSync(`${path}.1`).size, 50_000_000);
  t.deepEqual(failures, []);
});

test("a full disk is told and counted", async (t) => {
  const host = fakeHost();
  const instance = await makeInstance(log, { to: "/dev/full" }, host);
  const exported = await instance.logs(numbered(0, 2), fakeCall());
  t.like(exported, { delivered: 0, retry: true });
  t.regex(exported!.reason, /ENOSPC/);
  t.is(host.events.get("disk_full"), 1);
  await instance.close!();
});

test("files that cannot be compressed are told once, counted each time, and stay", async (t) => {
  const path = join(folder(t), "access.log");
  const host = fakeHost();
  const instance = await makeInstance(log, { to: path, compression: "gzip" }, host);
  writeFileSync(`${path}.1`, "a line\n");
  // Where the compressed file is written, a folder is in the way.
  mkdirSync(`${path}.gz.tmp/full`, { recursive: true });
  for (let minute = 1; minute <= 2; minute++) {
    await host.advance(60_000);
    while ((host.events.get("rotation_failed") ?? 0) < minute) await setImmediate();
  }
  t.is(host.logs.filter(({ message }) => message.includes("put aside")).length, 1);
  t.is(readFileSync(`${path}.1`, "utf8"), "a line\n");
  await instance.close!();
});

/** A sink that takes just so many bytes a call, and then fails. */
function failingSink(takes: number[]): Sink & { readonly text: () => string } {
  const chunks: Buffer[] = [];
  return {
    text: () => Buffer.concat(chunks).toString(),
    async write(lines) {
      const written = Math.min(lines.length, takes.shift() ?? Infinity);
      chunks.push(Buffer.from(lines.subarray(0, written)));
      return written === lines.length ? { written } : { written, reason: "no space" };
    },
    async close() {},
  };
}

test("whatever part of a batch is written before a failure, each line comes once and whole in the end", async (t) => {
  const entries = numbered(0, 6);
  const expected = entries.map(formatEntry).join("");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(expected.length), { maxLength: 6 }), async (takes) => {
      const sink = failingSink([...takes]);
      const writer = new LineWriter(sink);
      let rest: readonly LogEntry[] = entries;
      while (rest.length > 0) {
        const exported = await writer.logs(rest);
        if (exported !== undefined) t.is(exported.retry, true);
        rest = rest.slice(exported === undefined ? rest.length : exported.delivered);
      }
      await writer.close();
      // The end of the last line may still have met a failure when closing.
      t.true(expected.startsWith(sink.text()));
      if (takes.length === 0) t.is(sink.text(), expected);
    }),
  );
});

test("a batch that is offered again while it is still being written is not written twice", async (t) => {
  let finish: (bytes: number) => void = () => {};
  let text = "";
  const writer = new LineWriter({
    write: (lines) => {
      text += lines.toString();
      return new Promise((resolve) => (finish = (written) => resolve({ written })));
    },
    async close() {},
  });
  const entries = numbered(0, 4);
  const first = writer.logs(entries.slice(0, 2));
  await setImmediate();
  const again = writer.logs(entries.slice(0, 3));
  t.like(await writer.logs(entries.slice(3)), { delivered: 0, retry: true }, "another batch is not mixed in");
  finish(text.length);
  t.is(await first, undefined);
  t.like(await again, { delivered: 2, retry: true });
  t.is(text, entries.slice(0, 2).map(formatEntry).join(""));
  const rest = writer.logs(entries.slice(2));
  await setImmediate();
  finish(1000);
  t.is(await rest, undefined);
  t.is(text, entries.map(formatEntry).join(""));
});

test("standard output whose reader stays away holds neither the hub nor its exit", async (t) => {
  const sink = new URL("./stream-sink.js", import.meta.url).href;
  const script = `
    import { createStreamSink } from ${JSON.stringify(sink)};
    void createStreamSink(process.stdout).write(Buffer.alloc(1e6, 120)).then(() => process.stderr.write("written"));
    setImmediate(() => process.stderr.write("alive", () => process.exit(0)));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let told = "";
  child.stderr.on("data", (chunk: Buffer) => (told += chunk.toString()));
  // Nothing reads its standard output before it has ended.
  t.is(await new Promise((resolve) => child.on("exit", resolve)), 0);
  t.is(told, "alive");
});

test("a stream takes a batch when it has passed it on, and one that fails is a result and no exception", async (t) => {
  let passOn: (error?: Error) => void = () => {};
  let text = "";
  const stream = new Writable({
    autoDestroy: false,
    write(chunk: Buffer, _, done) {
      text += chunk.toString();
      passOn = done;
    },
  });
  const sink = createStreamSink(stream);
  let written = false;
  const writing = sink.write(Buffer.from("a\n")).then((result) => ((written = true), result));
  await setImmediate();
  t.false(written);
  passOn();
  t.deepEqual(await writing, { written: 2 });
  const failing = sink.write(Buffer.from("b\n"));
  passOn(new Error("EPIPE"));
  t.deepEqual(await failing, { written: 0, reason: "EPIPE" });
  t.is(text, "a\nb\n");
  await sink.close();
  t.is(stream.listenerCount("error"), 0);
});

test("the README has every key of the configuration", (t) => {
  const documented = [...readFileSync("adapters/log/README.md", "utf8").matchAll(/^\| `([a-zA-Z]+)` *\|/gm)].map(
    ([, key]) => key,
  );
  t.deepEqual(documented, Object.keys(log.config.shape));
});

const span = (i: number): Span => ({
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: i.toString(16).padStart(16, "0"),
  name: "GET",
  kind: "server",
  startMs: 1_700_000_000_123.25,
  endMs: 1_700_000_000_135.75,
  failed: false,
  service: { name: "reviews" },
  attributes: {},
});

test("a span is a line with its identifiers in hexadecimal, and without what it has not", (t) => {
  t.deepEqual(JSON.parse(formatSpan(span(1))), {
    time: "2023-11-14T22:13:20.123Z",
    span: "GET",
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
    span_id: "0000000000000001",
    kind: "server",
    duration_ms: 12.5,
    failed: false,
    service: { name: "reviews" },
    attributes: {},
  });
  const whole: Span = {
    ...span(2),
    parentId: "00f067aa0ba902b7",
    traceState: "a=b",
    failed: true,
    message: 'it broke\n"here"',
    service: { name: "reviews", namespace: "bookinfo", instance: "reviews-1" },
    peer: { name: "productpage", ip: "10.0.0.1", port: 80 },
    attributes: { "http.response.status_code": 500, list: ["a", null] },
  };
  const line = formatSpan(whole);
  t.is(line.indexOf("\n"), line.length - 1);
  const { parentId: parent_id, traceState: trace_state, message, service, peer, attributes } = whole;
  t.like(JSON.parse(line), { parent_id, trace_state, failed: true, message, service, peer, attributes });
});

test("entries and spans that are written at once wait for each other, and no line is torn", async (t) => {
  let busy = false;
  let text = "";
  let room = 0;
  const sink: Sink = {
    async write(lines) {
      t.false(busy, "the sink is asked for one thing at a time");
      busy = true;
      await setImmediate();
      busy = false;
      const taken = lines.subarray(0, Math.max(1, ++room * 100));
      text += taken.toString();
      return taken.length === lines.length ? { written: taken.length } : { written: taken.length, reason: "full" };
    },
    async close() {},
  };
  const writer = new LineWriter(sink);
  const all = async <T>(write: LineWriter["logs"] | LineWriter["spans"], batch: readonly T[]): Promise<void> => {
    for (let rest = batch; rest.length > 0;) {
      const answer = await (write as (batch: readonly T[]) => ReturnType<LineWriter["logs"]>)(rest);
      rest = answer === undefined ? [] : rest.slice(answer.delivered);
    }
  };
  await Promise.all([
    all(writer.logs, numbered(0, 40)),
    all(
      writer.spans,
      Array.from({ length: 40 }, (_, i) => span(i + 1)),
    ),
  ]);
  await writer.close();
  const lines = text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
  t.deepEqual(
    lines.filter(({ log: name }) => name === "access").map(({ n }) => n),
    Array.from({ length: 40 }, (_, i) => i),
  );
  t.deepEqual(
    lines.filter(({ span: name }) => name === "GET").map(({ span_id: id }) => Number.parseInt(id as string, 16)),
    Array.from({ length: 40 }, (_, i) => i + 1),
  );
});
