import { Duplex } from "node:stream";
import test from "ava";
import fc from "fast-check";
import {
  errorCode,
  flag,
  frame,
  frameType,
  numbersFrame,
  preface,
  setting,
  settingsFrame,
} from "../../../src/wire/http2/frame.ts";
import type { Requests } from "../../../src/wire/http2/connection-options.ts";
import { headersFrame } from "../../../src/wire/http2/header-encoder.ts";
import type { RequestFields } from "../../../src/wire/http2/request-fields.ts";
import { ChunkPool, Outbox } from "../../../src/wire/http2/outbox.ts";
import { Sender } from "../../../src/wire/http2/sender.ts";
import { Stream } from "../../../src/wire/http2/stream.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { echo, okHeaders } from "./serve.ts";
import { data, hello, request, wire, type Frame } from "./wire.ts";

/** The frames that answer requests. */
const answers = (frames: readonly Frame[]) =>
  frames
    .filter(({ type }) => type === frameType.data || type === frameType.headers || type === frameType.reset)
    .map(({ type, flags, id, payload }) => `${type} ${flags} ${id} ${payload.toString("latin1")}`);
const goAways = (frames: readonly Frame[]) =>
  frames
    .filter(({ type }) => type === frameType.goAway)
    .map(({ payload }) => [payload.readUInt32BE(0), payload.readUInt32BE(4)]);
const resets = (frames: readonly Frame[]) =>
  frames.filter(({ type }) => type === frameType.reset).map(({ id, payload }) => [id, payload.readUInt32BE(0)]);

/** Serves streams that end when the test says so. */
function open(): Requests<RequestFields> & { streams: Map<number, Stream>; gone: number[] } {
  const streams = new Map<number, Stream>();
  const gone: number[] = [];
  return {
    streams,
    gone,
    read: (fields) => fields,
    begin(_, stream) {
      streams.set(stream.id, stream);
      return { data() {}, end() {}, isReady: true, drained() {}, gone: () => void gone.push(stream.id) };
    },
  };
}

const wordy = (id: number): Buffer[] => {
  const block = request(id, "/parts", false).subarray(9);
  const priority = Buffer.of(0, 0, 0, 0, 15);
  return [
    frame(
      frameType.headers,
      flag.padded | flag.priority,
      id,
      Buffer.concat([Buffer.of(3), priority, block.subarray(0, 5), Buffer.alloc(3)]),
    ),
    frame(frameType.continuation, 0, id, block.subarray(5, 6)),
    frame(frameType.continuation, 0, id),
    frame(frameType.continuation, flag.endHeaders, id, block.subarray(6)),
    frame(frameType.priority, 0, id, priority),
    frame(frameType.data, flag.padded, id, Buffer.from("\x02ab\0\0", "latin1")),
    frame(200, 255, id, Buffer.from("unknown")),
    frame(frameType.data, flag.padded, id, Buffer.of(0)),
    frame(frameType.data, 0, id),
    frame(frameType.data, 0, id, Buffer.from("c")),
    frame(
      frameType.headers,
      flag.endHeaders | flag.endStream,
      id,
      headersFrame([["x-trailer", "t"]], true).subarray(9),
    ),
  ];
};

test("what comes means the same wherever it is cut", async (t) => {
  const bytes = Buffer.concat([
    hello,
    ...wordy(1),
    request(3, "/second"),
    request(5, "/third", false),
    data(5, Buffer.from("d")),
  ]);
  const whole = wire(echo);
  await whole.bring(bytes);
  const expected = answers(whole.written());
  t.deepEqual(expected, ["1 4 1 \x88", "0 1 1 abc", "1 4 3 \x88", "0 1 3 /second was asked", "1 4 5 \x88", "0 1 5 d"]);
  for (let cut = 1; cut < bytes.length; cut++) {
    const { bring, written } = wire(echo);
    // What was read before must not be looked at again.
    const parts = [Buffer.from(bytes.subarray(0, cut)), Buffer.from(bytes.subarray(cut))];
    for (const part of parts) await bring(part);
    t.deepEqual(answers(written()), expected, `cut at ${cut}`);
  }
  const { bring, written, frames } = wire(echo);
  for (const byte of bytes) await bring(Buffer.of(byte));
  t.deepEqual(answers(written()), expected);
  t.is(frames.total, 0);
});

test("all answers to what one read brings are one write", async (t) => {
  const { bring, written, writes } = wire(echo);
  await bring(hello);
  written();
  await bring(...Array.from({ length: 50 }, (_, i) => request(2 * i + 1, "/x")));
  t.is(answers(written()).length, 100);
  t.is(writes(), 1);
});

test("answers that come later in one turn are one write, too", async (t) => {
  const requests = open();
  const { bring, written, writes } = wire(requests);
  await bring(hello, ...Array.from({ length: 20 }, (_, i) => request(2 * i + 1, "/x")));
  written();
  await Promise.all(
    [...requests.streams.values()].map(async (stream) => {
      await Promise.resolve();
      stream.sendHeaders(okHeaders);
      stream.sendData(Buffer.from("later"), true);
    }),
  );
  await new Promise(setImmediate);
  t.is(answers(written()).length, 40);
  t.is(writes(), 1);
});

test("a header block of the same bytes means another thing once the table has changed", async (t) => {
  const paths: string[] = [];
  const { bring } = wire({
    read: (fields) => fields,
    begin(fields: RequestFields, stream) {
      paths.push(fields.path);
      stream.sendHeaders(headersFrame([[":status", "204"]], true));
      return { data() {}, end() {}, isReady: true, drained() {}, gone() {} };
    },
  });
  const block = (id: number, hex: string) =>
    frame(frameType.headers, flag.endHeaders | flag.endStream, id, Buffer.from(hex, "hex"));
  await bring(hello);
  // `:path: /a` enters the table as entry 62; then the block `:method: POST, :scheme: http, 62` thrice.
  await bring(block(1, "838644022f61"), block(3, "8386be"), block(5, "8386be"));
  // `:path: /b` becomes entry 62.
  await bring(block(7, "838644022f62"), block(9, "8386be"), block(11, "8386bf"));
  t.deepEqual(paths, ["/a", "/a", "/a", "/b", "/b", "/a"]);
});

test("a malformed request is reset, and the connection goes on", async (t) => {
  const base = { ":method": "POST", ":scheme": "http", ":path": "/x" };
  const malformed: Record<string, readonly (readonly [string, string])[]> = {
    "no method": Object.entries({ ":scheme": "http", ":path": "/x" }),
    "no scheme": Object.entries({ ":method": "POST", ":path": "/x" }),
    "an empty path": Object.entries({ ...base, ":path": "" }),
    "a field twice": [...Object.entries(base), [":path", "/y"]],
    "an unknown pseudo field": Object.entries({ ...base, ":status": "200" }),
    "a pseudo field behind others": [["x", "y"], ...Object.entries(base)],
    "a name in upper case": Object.entries({ ...base, "X-A": "b" }),
    "a name with a space": Object.entries({ ...base, "x a": "b" }),
    "an empty name": Object.entries({ ...base, "": "b" }),
    "a value with a line break": Object.entries({ ...base, a: "b\r\nc: d" }),
    "a value with NUL": Object.entries({ ...base, a: "b\0" }),
    "a path with a line break": Object.entries({ ...base, ":path": "/x\n" }),
    "a field of connections": Object.entries({ ...base, connection: "close" }),
    "another te": Object.entries({ ...base, te: "gzip" }),
    "a content-length that is none": Object.entries({ ...base, "content-length": "-1" }),
    "two content-lengths": [...Object.entries(base), ["content-length", "1"], ["content-length", "2"]],
  };
  const { bring, written, log } = wire(echo);
  await bring(hello);
  written();
  let id = 1;
  for (const [what, fields] of Object.entries(malformed)) {
    const bytes = headersFrame(fields, true);
    bytes.writeUInt32BE(id, 5);
    await bring(bytes);
    t.deepEqual(resets(written()), [[id, errorCode.protocol]], what);
    id += 2;
  }
  const short = headersFrame([...Object.entries(base), ["content-length", "3"]], false);
  short.writeUInt32BE(id, 5);
  await bring(short, data(id, Buffer.from("ab")));
  t.deepEqual(resets(written()), [[id, errorCode.protocol]], "less than its content-length");
  await bring(request(id + 2, "/well"));
  t.is(answers(written()).length, 2);
  t.deepEqual(log.lines, []);
});

test("a request that is answered by its head is told to send no more, unless it has sent all", async (t) => {
  const { bring, written } = wire({
    read: (fields) => fields,
    begin(_: RequestFields, stream) {
      stream.sendHeaders(headersFrame([[":status", "404"]], true));
      return { data: () => t.fail(), end: () => t.fail(), isReady: true, drained() {}, gone: () => t.fail() };
    },
  });
  await bring(hello, request(1, "/x"), request(3, "/x", false));
  t.deepEqual(resets(written()), [[3, errorCode.none]]);
  // What it had sent before it heard of that is nobody's mistake.
  await bring(data(3, Buffer.from("more"), false), request(5, "/x"), data(3, Buffer.from("rest")));
  const frames = written();
  t.deepEqual([resets(frames), goAways(frames)], [[], []]);
  await bring(data(1, Buffer.from("more")));
  t.deepEqual(resets(written()), [[1, errorCode.streamClosed]]);
});

test("streams beyond the limit are refused, and counted", async (t) => {
  const requests = open();
  const { bring, written, observer } = wire(requests, { maxStreams: 2 });
  await bring(hello, request(1, "/x"), request(3, "/x"), request(5, "/x"));
  t.deepEqual(resets(written()), [[5, errorCode.refusedStream]]);
  t.deepEqual(observer.drops, ["call refused_stream 1"]);
  requests.streams.get(1)!.sendHeaders(headersFrame([[":status", "204"]], true));
  await bring(request(7, "/x"));
  t.deepEqual([...requests.streams.keys()], [1, 3, 7]);
});

const times = (count: number, make: (i: number) => Uint8Array): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => make(i));
const floods: Record<string, Uint8Array[]> = {
  "requests that are reset at once": times(5000, (i) =>
    Buffer.concat([request(2 * i + 1, "/x", false), numbersFrame(frameType.reset, 2 * i + 1, errorCode.cancel)]),
  ),
  "malformed requests": times(5000, (i) => frame(frameType.headers, flag.endHeaders, 2 * i + 1, Buffer.of(0x82))),
  "streams that break flow control": times(5000, (i) =>
    Buffer.concat([request(2 * i + 1, "/x", false), numbersFrame(frameType.windowUpdate, 2 * i + 1, 0)]),
  ),
  pings: times(20_000, () => frame(frameType.ping, 0, 0, Buffer.alloc(8))),
  settings: times(10_000, () => settingsFrame([])),
  "settings of many settings": times(20, () => settingsFrame(Array.from({ length: 2000 }, () => [99, 1] as const))),
  "acknowledged settings": times(20_000, () => frame(frameType.settings, flag.ack, 0)),
  windows: times(20_000, () => numbersFrame(frameType.windowUpdate, 0, 1)),
  "empty data": [request(1, "/x", false), ...times(20_000, () => data(1, Buffer.alloc(0), false))],
  padding: [
    request(1, "/x", false),
    ...times(20_000, () => frame(frameType.data, flag.padded, 1, Buffer.alloc(10, 9))),
  ],
  priorities: times(20_000, () => frame(frameType.priority, 0, 1, Buffer.alloc(5))),
  "unknown frames": times(20_000, () => frame(77, 0, 0)),
  continuations: [frame(frameType.headers, 0, 1), ...times(1000, () => frame(frameType.continuation, 0, 1))],
  "a header block without end": [
    frame(frameType.headers, 0, 1),
    ...times(20, () => frame(frameType.continuation, 0, 1, Buffer.alloc(16_000, 0x40))),
  ],
};

for (const [what, frames] of Object.entries(floods)) {
  test(`a flood of ${what} ends the connection with ENHANCE_YOUR_CALM`, async (t) => {
    const { bring, written, observer, socket, timers, frames: held } = wire(open());
    await bring(hello);
    for (let at = 0; at < frames.length; at += 500) await bring(...frames.slice(at, at + 500));
    t.is(goAways(written())[0]![1], errorCode.enhanceYourCalm);
    t.deepEqual(observer.drops, ["connection flood 1"]);
    t.true(socket.writableEnded);
    timers.pass(1000);
    t.true(socket.destroyed);
    t.is(held.total, 0);
  });
}

test("a busy client that also pings, cancels late and updates windows is no flood", async (t) => {
  const { bring, written, timers, observer } = wire(echo);
  await bring(hello);
  const windows = Buffer.concat([
    numbersFrame(frameType.windowUpdate, 0, 12),
    frame(frameType.ping, 0, 0, Buffer.alloc(8)),
  ]);
  for (let i = 0; i < 20_000; i += 100) {
    await bring(...times(100, (j) => Buffer.concat([request(2 * (i + j) + 1, "/x"), windows])));
  }
  t.deepEqual(goAways(written()), []);
  const requests = open();
  const slow = wire(requests);
  await slow.bring(hello);
  for (let i = 0; i < 5000; i += 50) {
    await slow.bring(...times(50, (j) => request(2 * (i + j) + 1, "/x")));
    slow.timers.pass(200);
    await slow.bring(...times(50, (j) => numbersFrame(frameType.reset, 2 * (i + j) + 1, errorCode.cancel)));
  }
  t.is(requests.gone.length, 5000);
  t.deepEqual(goAways(slow.written()), []);
  t.deepEqual([...observer.drops, ...slow.observer.drops], []);
  timers.pass(0);
});

test("a peer that does not greet, or falls silent, is given up", async (t) => {
  const silent = wire(echo);
  await silent.bring(preface);
  silent.timers.pass(9999);
  t.false(silent.socket.destroyed);
  silent.timers.pass(1);
  t.true(silent.socket.destroyed);
  t.deepEqual(silent.observer.drops, ["connection no_preface 1"]);

  const { bring, written, timers, socket, observer } = wire(echo);
  await bring(hello);
  written();
  const pings = () => written().filter(({ type }) => type === frameType.ping);
  timers.pass(60_000);
  await new Promise(setImmediate);
  t.is(pings().length, 1);
  timers.pass(20_000);
  t.true(socket.destroyed);
  t.deepEqual(observer.drops, ["connection no_answer 1"]);

  const answering = wire(echo);
  await answering.bring(hello);
  for (let i = 0; i < 60; i++) {
    answering.timers.pass(10_000);
    await new Promise(setImmediate);
    const ping = answering.written().find(({ type }) => type === frameType.ping);
    if (ping !== undefined) await answering.bring(frame(frameType.ping, flag.ack, 0, ping.payload));
  }
  t.false(answering.socket.destroyed);
  t.deepEqual(answering.observer.drops, []);
});

test("drain sends the peer away in two steps, and what it has asked is answered", async (t) => {
  const requests = open();
  const { connection, bring, written, socket, timers } = wire(requests);
  await bring(hello, request(1, "/x"));
  written();
  connection.drain();
  await bring();
  const [away, ping] = written();
  t.deepEqual(goAways([away!]), [[2 ** 31 - 1, 0]]);
  // Asked before the client could have heard of it.
  await bring(request(3, "/x"), frame(frameType.ping, flag.ack, 0, ping!.payload), request(5, "/x"));
  t.deepEqual(goAways(written()), [[3, 0]]);
  t.deepEqual([...requests.streams.keys()], [1, 3]);
  for (const stream of requests.streams.values()) {
    t.false(socket.writableEnded);
    stream.sendHeaders(headersFrame([[":status", "204"]], true));
  }
  await bring();
  t.is(answers(written()).length, 2);
  t.true(socket.writableEnded);
  timers.pass(1000);
  t.true(socket.destroyed);

  const mute = wire(requests);
  await mute.bring(hello);
  mute.connection.drain();
  mute.timers.pass(1000);
  await mute.bring();
  t.deepEqual(goAways(mute.written()), [
    [2 ** 31 - 1, 0],
    [0, 0],
  ]);
  t.true(mute.socket.writableEnded);
});

test("drain tells a client that has not greeted that none of its requests was taken", async (t) => {
  const { connection, bring, written, socket } = wire(open());
  connection.drain();
  await bring(hello, request(1, "/x"));
  t.deepEqual(goAways(written()), [[0, 0]]);
  t.true(socket.writableEnded);
});

test("a stream whose messages are not taken gets no window, and the others do", async (t) => {
  let isReady = false;
  let slow: Stream | undefined;
  const { bring, written } = wire({
    read: (fields) => fields,
    begin(_: RequestFields, stream) {
      slow ??= stream;
      return {
        data() {},
        end() {},
        get isReady() {
          return isReady || stream !== slow;
        },
        drained() {},
        gone() {},
      };
    },
  });
  await bring(hello, request(1, "/slow", false), request(3, "/quick", false));
  written();
  const windows = () =>
    written()
      .filter(({ type }) => type === frameType.windowUpdate)
      .map(({ id, payload }) => [id, payload.readUInt32BE(0)]);
  const part = Buffer.alloc(16_384);
  await bring(...times(16, () => data(1, part, false)));
  t.deepEqual(windows(), []);
  await bring(...times(16, () => data(3, part, false)));
  t.deepEqual(windows(), [
    [3, 131_072],
    [0, 524_288],
    [3, 131_072],
  ]);
  isReady = true;
  slow!.taken();
  await bring();
  t.deepEqual(windows(), [[1, 262_144]]);
  // It may be filled again, but not by a byte more.
  isReady = false;
  await bring(...times(16, () => data(1, part, false)));
  t.deepEqual(resets(written()), []);
  await bring(data(1, Buffer.of(1), false));
  t.deepEqual(resets(written()), [[1, errorCode.flowControl]]);
});

test("answers keep to the windows of stream and connection, whatever the peer does to them", async (t) => {
  const body = Buffer.alloc(150_000, "x");
  const { bring, written } = wire({
    read: (fields) => fields,
    begin(_: RequestFields, stream) {
      stream.sendHeaders(okHeaders);
      stream.sendData(body);
      stream.sendHeaders(headersFrame([["x-end", "1"]], true));
      return { data() {}, end() {}, isReady: true, drained() {}, gone() {} };
    },
  });
  const sent = (id: number) =>
    written()
      .filter((each) => each.type === frameType.data && each.id === id)
      .reduce((sum, { payload }) => sum + payload.length, 0);
  const initial = (size: number) => settingsFrame([[setting.initialWindowSize, size]]);
  await bring(preface, initial(1000), request(1, "/x"));
  t.is(sent(1), 1000);
  // The window becomes negative, and has to be made good first.
  await bring(initial(10));
  await bring(numbersFrame(frameType.windowUpdate, 1, 990));
  t.is(sent(1), 0);
  await bring(numbersFrame(frameType.windowUpdate, 1, 1));
  t.is(sent(1), 1);
  await bring(initial(200_000));
  // The connection's window began with 65,535.
  t.is(sent(1), 65_535 - 1001);
  await bring(numbersFrame(frameType.windowUpdate, 0, 20_000), request(3, "/x"));
  t.is(sent(1), 20_000);
  // Streams that wait for the connection's window take turns.
  await bring(numbersFrame(frameType.windowUpdate, 0, 2 * 16_384));
  const turns = written().filter(({ type }) => type === frameType.data);
  t.deepEqual(
    turns.map(({ id }) => id),
    [1, 3],
  );
  await bring(numbersFrame(frameType.windowUpdate, 0, 200_000));
  const rest = written();
  const end = rest.filter(({ flags }) => (flags & flag.endStream) !== 0).map(({ type, id }) => [type, id]);
  t.deepEqual(end.sort(), [
    [frameType.headers, 1],
    [frameType.headers, 3],
  ]);
  await bring(numbersFrame(frameType.windowUpdate, 0, 2 ** 31 - 1));
  t.deepEqual(goAways(written())[0]![1], errorCode.flowControl);
});

test("a peer that gives no window gets no new streams once too much waits, and what waits is bounded over all", async (t) => {
  const body = Buffer.alloc(100_000, "x");
  const requests: Requests<RequestFields> = {
    read: (fields) => fields,
    begin(_, stream) {
      stream.sendHeaders(okHeaders);
      stream.sendData(body, true);
      return { data() {}, end() {}, isReady: true, drained() {}, gone() {} };
    },
  };
  const { bring, written, unread, observer } = wire(requests);
  await bring(preface, settingsFrame([[setting.initialWindowSize, 0]]), ...times(20, (i) => request(2 * i + 1, "/x")));
  t.deepEqual(
    resets(written()).map(([, code]) => code),
    new Array<number>(9).fill(errorCode.refusedStream),
  );
  t.is(unread.total, 1_100_000);
  t.is(observer.drops.length, 9);
  await bring(...times(11, (i) => numbersFrame(frameType.reset, 2 * i + 1, errorCode.cancel)));
  t.is(unread.total, 0);
});

test("a peer that does not read is not read from, holds no more than its bound, and is cut when all hold too much", async (t) => {
  const { bring, socket, unread } = wire(echo, { takes: false });
  const large = settingsFrame([[setting.initialWindowSize, 2 ** 31 - 1]]);
  await bring(hello, large, numbersFrame(frameType.windowUpdate, 0, 2 ** 31 - 1 - 65_535));
  const asks = (from: number) => times(50, (i) => request(2 * (from + i) + 1, `/${"x".repeat(200)}`));
  for (let i = 0; i < 5000; i += 50) await bring(...asks(i));
  t.true(socket.isPaused(), `${socket.writableLength} ${unread.total}`);
  t.true(socket.writableLength < 300_000, `${socket.writableLength}`);
  t.is(unread.total, socket.writableLength);
  // Another one holds the rest.
  unread.set({ refuse: () => t.fail() }, 8e6 - 1000);
  t.true(socket.destroyed);
  t.is(unread.total, 8e6 - 1000);
});

test("what many peers do not take is counted for each, however little it is", async (t) => {
  const { bring, socket, unread } = wire(echo, { takes: false });
  await bring(hello);
  for (let i = 0; i < 1500; i += 50) await bring(...times(50, (n) => request(2 * (i + n) + 1, "/x")));
  t.true(socket.writableLength >= socket.writableHighWaterMark && socket.writableLength < 256 * 1024);
  t.is(unread.total, socket.writableLength);
});

test("a stream that held back goes on, whatever a socket takes before it says that it has taken all", async (t) => {
  const done: (() => void)[] = [];
  const socket = new Duplex({ highWaterMark: 64 * 1024, read() {}, write: (_, __, next) => void done.push(next) });
  const take = async (): Promise<void> => {
    for (; done.length > 0; await new Promise(setImmediate)) done.shift()!();
  };
  const outbox = new Outbox(socket, new ChunkPool());
  const sender = new Sender(outbox, () => {});
  socket.on("drain", () => sender.drained());
  sender.window = 1e6;
  const stream = new Stream(1, 0, -1, { sender, ended() {}, whenRead() {}, reopen() {} });
  let goesOn = 0;
  stream.handler = { data() {}, end() {}, isReady: true, drained: () => goesOn++, gone() {} };
  const widen = (by: number): void => {
    stream.widen(by);
    stream.pump();
    outbox.flush();
  };
  stream.sendData(Buffer.alloc(60_000));
  stream.sendData(Buffer.alloc(72_000));
  t.true(stream.holdBack());
  widen(50_000);
  await take();
  // Others send, and the socket does not take it at once.
  socket.write(Buffer.alloc(30_000));
  widen(20_000);
  await take();
  t.is(goesOn, 1);
});

test("when frames that have not come whole are too many over all connections, the oldest is cut", async (t) => {
  const { bring, written, frames, observer } = wire(echo);
  await bring(hello, frame(frameType.headers, 0, 1, Buffer.alloc(10_000, 0x40)).subarray(0, -1));
  t.true(frames.total >= 10_000 && frames.total < 40_000);
  frames.set({ refuse: () => t.fail() }, 999_000);
  await bring();
  t.is(goAways(written())[0]![1], errorCode.enhanceYourCalm);
  t.deepEqual(observer.drops, ["connection frames_unfinished 1"]);
});

test("a fault in what answers requests ends the connection, and is logged", async (t) => {
  const { bring, written, log } = wire({
    read: (fields) => fields,
    begin() {
      throw new Error("a bug");
    },
  });
  await bring(hello, request(1, "/x"));
  t.is(goAways(written())[0]![1], errorCode.internal);
  t.is(log.lines[0]!.level, "error");
});

test("an error of the socket ends its streams and nothing else", async (t) => {
  const requests = open();
  const { bring, socket } = wire(requests);
  await bring(hello, request(1, "/x"), request(3, "/x"));
  socket.destroy(new Error("ECONNRESET"));
  await bring();
  t.deepEqual(requests.gone, [1, 3]);
  requests.streams.get(1)!.sendHeaders(okHeaders);
  requests.streams.get(1)!.sendData(Buffer.from("late"), true);
  await bring();
  t.pass();
});

test("whatever frames come, the connection lives or ends well, and holds little", async (t) => {
  const known = fc.constantFrom(...Object.values(frameType));
  const block = request(1, "/fuzz").subarray(9);
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom(block, Buffer.alloc(4), Buffer.of(0, 0, 0, 1), Buffer.alloc(8), Buffer.alloc(5), Buffer.alloc(0)),
    fc.nat(block.length).map((length) => block.subarray(0, length)),
    fc.integer({ min: 0, max: 16_384 }).map((length) => Buffer.alloc(length, 0xaa)),
  );
  const flags = fc.oneof(fc.constantFrom(0, 1, 4, 5, 8, 12, 32, 36), fc.nat(255));
  const id = fc.oneof(fc.constantFrom(0, 1, 1, 3, 5, 7, 2), fc.nat(2 ** 32 - 1));
  const bytes = fc.oneof(
    { weight: 12, arbitrary: fc.tuple(known, flags, id, payload).map(([type, f, i, p]) => frame(type, f, i, p)) },
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 20 }).map((i) => request(2 * i + 1, "/x", i % 2 === 0)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }).map((each) => Buffer.from(each)) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(bytes, { maxLength: 30 }),
      fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1 }),
      async (parts, cuts) => {
        const { bring, written, log, frames, unread, connection } = wire(echo);
        const all = Buffer.concat([hello, ...parts]);
        for (let at = 0, i = 0; at < all.length; i++)
          await bring(Buffer.from(all.subarray(at, (at += cuts[i % cuts.length]!))));
        // All that was written is frames.
        written();
        t.deepEqual(
          log.lines.filter(({ level }) => level === "error"),
          [],
        );
        t.true(frames.total < 70_000 && unread.total < 2_000_000);
        connection.destroy();
        await new Promise(setImmediate);
        t.is(frames.total + unread.total, 0);
      },
    ),
    { numRuns: fuzzRuns(300) },
  );
});
