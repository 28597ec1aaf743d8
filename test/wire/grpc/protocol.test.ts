import { once } from "node:events";
import { connect as connectHttp2, type ClientHttp2Session, type IncomingHttpHeaders } from "node:http2";
import { connect as connectTcp } from "node:net";
import { deflateSync, gzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Call, Duplex, Incoming } from "../../../src/wire/call.ts";
import { Deadlines, type Expiring } from "../../../src/wire/deadlines.ts";
import { readTimeout } from "../../../src/wire/grpc/head.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { manualTimers } from "../http2/wire.ts";
import { controlled, door, serve } from "./harness.ts";

const echo = (message: Uint8Array) => message;
const doors = [
  door({
    unary: { "/test.T/Echo": echo, "/test.T/Never": () => new Promise(() => {}) },
    duplex: {
      "/test.T/Stream": (out): Incoming => ({
        message: (message) => void out.send(message),
        end: () => out.end(),
        drained() {},
        gone() {},
      }),
    },
  }),
];

function framed(body: Uint8Array, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

async function session(t: ExecutionContext, address: string, settings = {}): Promise<ClientHttp2Session> {
  const opened = connectHttp2(`http://${address}`, { settings });
  opened.on("error", () => {});
  t.teardown(() => opened.destroy());
  await once(opened, "remoteSettings");
  return opened;
}

interface Outcome {
  readonly http: number;
  readonly headers: IncomingHttpHeaders;
  readonly status: number | undefined;
  readonly details: string;
  readonly messages: readonly Buffer[];
}

/** Calls a method with node:http2, which knows nothing of gRPC. */
async function ask(
  opened: ClientHttp2Session,
  headers: Record<string, string>,
  ...body: Uint8Array[]
): Promise<Outcome> {
  const request = opened.request({
    ":method": "POST",
    ":path": "/test.T/Echo",
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  request.on("error", () => {});
  let answer: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  request.on("response", (each) => (answer = each));
  request.on("trailers", (each) => (trailers = each));
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  for (const part of body) request.write(part);
  request.end();
  await once(request, "close");
  const end = trailers["grpc-status"] === undefined ? answer : trailers;
  const bytes = Buffer.concat(parts);
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt32BE(at + 1)) {
    messages.push(bytes.subarray(at + 5, at + 5 + bytes.readUInt32BE(at + 1)));
  }
  return {
    http: Number(answer[":status"]),
    headers: answer,
    status: end["grpc-status"] === undefined ? undefined : Number(end["grpc-status"]),
    details: decodeURIComponent(String(end["grpc-message"] ?? "")),
    messages,
  };
}

const heads: [what: string, headers: Record<string, string>, expected: Partial<Outcome>][] = [
  ["a call", {}, { http: 200, status: 0 }],
  ["the format named", { "content-type": "application/grpc+proto" }, { http: 200, status: 0 }],
  ["a parameter", { "content-type": "application/grpc; charset=utf-8" }, { http: 200, status: 0 }],
  ["JSON", { "content-type": "application/json" }, { http: 415, status: undefined }],
  ["gRPC-Web", { "content-type": "application/grpc-web" }, { http: 415, status: undefined }],
  ["another format", { "content-type": "application/grpc+json" }, { http: 415, status: undefined }],
  ["another method", { ":method": "PUT" }, { http: 405, status: undefined }],
  ["no such path", { ":path": "/test.T/None" }, { http: 200, status: 12 }],
  ["no such encoding", { "grpc-encoding": "br" }, { http: 200, status: 12 }],
  ["an encoding not used", { "grpc-encoding": "gzip" }, { http: 200, status: 0 }],
  ["a timeout without unit", { "grpc-timeout": "5" }, { http: 200, status: 3 }],
  ["a timeout of hours", { "grpc-timeout": "99999999H" }, { http: 200, status: 0 }],
  ["a timeout of nothing, and an answer at once", { "grpc-timeout": "0n" }, { http: 200, status: 0 }],
  ["binary metadata", { "x-trace-bin": "AAEC" }, { http: 200, status: 0 }],
  ["large headers", { "x-large": "x".repeat(17_000) }, { http: 200, status: 8 }],
];

for (const [what, headers, expected] of heads) {
  test(`the head of a call: ${what}`, async (t) => {
    const { address } = await serve(t, doors);
    const opened = await session(t, address);
    const outcome = await ask(opened, headers, framed(Buffer.from("hello")));
    t.like(outcome, expected);
    t.deepEqual(outcome.messages.map(String), expected.status === 0 ? ["hello"] : []);
    if (what === "no such encoding") t.is(outcome.headers["grpc-accept-encoding"], "identity,deflate,gzip");
    if (what === "another method") t.is(outcome.headers["allow"], "POST");
    t.is((await ask(opened, {}, framed(Buffer.of(1)))).status, 0, "the connection goes on");
  });
}

const large = Buffer.alloc(10_001);
const tooMuch = gzipSync(Buffer.alloc(50_000));
type Body = [what: string, headers: Record<string, string>, body: Uint8Array[], expected: Partial<Outcome>];

const unreadable: Body[] = [
  ["no encoding and a compressed message", {}, [framed(gzipSync("hello"), 1)], { status: 13 }],
  ["a flag that does not exist", { "grpc-encoding": "gzip" }, [framed(gzipSync("hello"), 2)], { status: 13 }],
  ["what is no gzip", { "grpc-encoding": "gzip" }, [framed(Buffer.from("hello"), 1)], { status: 3 }],
  ["gzip that is cut", { "grpc-encoding": "gzip" }, [framed(gzipSync("hello").subarray(0, -9), 1)], { status: 3 }],
  ["a bomb", { "grpc-encoding": "gzip" }, [framed(tooMuch, 1)], { status: 8 }],
];
const bodies: Body[] = [
  ["gzip", { "grpc-encoding": "gzip" }, [framed(gzipSync("hello"), 1)], { status: 0 }],
  ["deflate", { "grpc-encoding": "deflate" }, [framed(deflateSync("hello"), 1)], { status: 0 }],
  ["an encoding and a plain message", { "grpc-encoding": "gzip" }, [framed(Buffer.from("hello"))], { status: 0 }],
  ...unreadable,
  ["two messages", {}, [framed(Buffer.of(1)), framed(Buffer.of(2))], { status: 3 }],
  ["no message", {}, [], { status: 3 }],
  ["half a message", {}, [framed(Buffer.alloc(10)).subarray(0, 9)], { status: 3 }],
  ["a message that is announced too large", {}, [Buffer.of(0, 255, 255, 255, 255)], { status: 8 }],
];

for (const [what, headers, body, expected] of bodies) {
  test(`the body of a unary call: ${what}`, async (t) => {
    const { address } = await serve(t, doors, { messageBytes: 10_000 });
    const opened = await session(t, address);
    const outcome = await ask(opened, headers, ...body);
    t.like(outcome, expected);
    t.deepEqual(outcome.messages.map(String), expected.status === 0 ? ["hello"] : []);
  });
}

for (const [what, headers, body, expected] of [
  ...unreadable,
  ["two that are too large", {}, [Buffer.concat([framed(large), framed(large)])], { status: 8 }] satisfies Body,
]) {
  test(`a door is told once of a message that it is not handed: ${what}`, async (t) => {
    const missed: number[] = [];
    const take: Duplex = () => ({
      message() {},
      end() {},
      drained() {},
      gone() {},
      missed: (messages) => void missed.push(messages),
    });
    const { address } = await serve(t, [door({ duplex: { "/test.T/Take": take } })], { messageBytes: 10_000 });
    const opened = await session(t, address);
    t.like(await ask(opened, { ":path": "/test.T/Take", ...headers }, ...body), expected);
    t.deepEqual(missed, [1]);
  });
}

test("a door is told of a message that is still to be inflated when its stream ends", async (t) => {
  const missed = [controlled<void>(), controlled<void>()];
  let count = 0;
  const take: Duplex = () => ({
    message: () => t.fail("it is handed on"),
    end() {},
    drained() {},
    gone() {},
    missed: (messages) => {
      while (messages-- > 0) missed[count++]!.resolve();
    },
  });
  const { address } = await serve(t, [door({ duplex: { "/test.T/Take": take } })], { messageBytes: 10_000 });
  const opened = await session(t, address);
  const both = Buffer.concat([framed(gzipSync("hello"), 1), framed(large)]);
  t.is((await ask(opened, { ":path": "/test.T/Take", "grpc-encoding": "gzip" }, both)).status, 8);
  await Promise.all(missed.map(({ promise }) => promise));
});

test("messages of a stream stay in order when some are compressed", async (t) => {
  const { address } = await serve(t, doors);
  const opened = await session(t, address);
  const words = Array.from({ length: 200 }, (_, i) => `${i}`.repeat(1 + (i % 50)));
  const body = words.map((word, i) => (i % 3 === 0 ? framed(gzipSync(word), 1) : framed(Buffer.from(word))));
  const outcome = await ask(opened, { ":path": "/test.T/Stream", "grpc-encoding": "gzip" }, ...body);
  t.is(outcome.status, 0);
  t.deepEqual(outcome.messages.map(String), words);
});

for (const window of [1, 1000, 65_535, 1 << 20]) {
  test(`large messages go both ways on many streams, with windows of ${window}`, async (t) => {
    const { address } = await serve(t, doors);
    const opened = await session(t, address, { initialWindowSize: window });
    const size = window === 1 ? 2000 : 900_000;
    await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const message = Buffer.alloc(size + i, `part ${i} `);
        const path = i % 2 === 0 ? "/test.T/Echo" : "/test.T/Stream";
        const { status, messages } = await ask(opened, { ":path": path }, framed(message));
        t.is(status, 0);
        t.true(messages.length === 1 && messages[0]!.equals(message));
      }),
    );
  });
}

test("a timeout says how long in six units, and nothing else is one", (t) => {
  const texts = { "1H": 3_600_000, "2M": 120_000, "3S": 3000, "4m": 4, "5u": 0.005, "6n": 6e-6, "00000001S": 1000 };
  for (const [text, ms] of Object.entries(texts)) t.is(readTimeout(text), ms);
  for (const text of ["", "S", "1", "1s", "1h", "-1S", "1.5S", "123456789S", "1S ", " 1S", "1SS"]) {
    t.is(readTimeout(text), undefined, text);
  }
});

test("deadlines expire when they should, however they lie, and what is over does not", (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ afterMs: fc.integer({ min: -20, max: 20_000 }), isOver: fc.boolean() }), { maxLength: 30 }),
      (entries) => {
        const timers = manualTimers();
        const deadlines = new Deadlines(
          { after: (ms, job) => timers.after(ms, job) },
          () => timers.nowMs,
          (job) => job(),
        );
        const expired: [number, number][] = [];
        const wanted: number[] = [];
        for (const [i, { afterMs, isOver }] of entries.entries()) {
          const expiring: Expiring = {
            expiresMs: afterMs,
            isOver: false,
            expire: () => void expired.push([i, timers.nowMs]),
          };
          deadlines.add(expiring);
          if (isOver) deadlines.remove(expiring);
          else wanted.push(i);
        }
        for (let passed = 0; passed < 21_000; passed += 700) timers.pass(700);
        t.deepEqual(
          expired.map(([i]) => i).sort((a, b) => a - b),
          wanted,
        );
        for (const [i, atMs] of expired) {
          const lateMs = atMs - Math.max(0, entries[i]!.afterMs);
          t.true(lateMs >= 0 && lateMs <= 20, `${lateMs} late`);
        }
      },
    ),
    { numRuns: fuzzRuns(50) },
  );
});

test("deadlines that come and go, one at a time, have one timer", (t) => {
  let timersStarted = 0;
  const deadlines = new Deadlines(
    { after: () => (timersStarted++, () => {}) },
    () => 0,
    (job) => job(),
  );
  for (let i = 0; i < 100; i++) {
    const expiring: Expiring = { expiresMs: 1000, isOver: false, expire: () => t.fail() };
    deadlines.add(expiring);
    deadlines.remove(expiring);
  }
  t.is(timersStarted, 1);
});

test("a call that never comes whole ends with its deadline", async (t) => {
  const { address, observer } = await serve(t, doors);
  const opened = await session(t, address);
  for (const path of ["/test.T/Echo", "/test.T/Stream", "/test.T/Never"]) {
    const request = opened.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      "grpc-timeout": "20m",
    });
    request.on("error", () => {});
    request.write(path === "/test.T/Never" ? framed(Buffer.of(1)) : Buffer.of(0));
    const [headers] = (await once(request, "response")) as [IncomingHttpHeaders];
    t.is(headers["grpc-status"], "4", path);
    request.destroy();
  }
  t.is(observer.calls.filter((each) => each.endsWith("DEADLINE_EXCEEDED")).length, 3);
});

test("a door reads the metadata of its call, binary values as the text they came in", async (t) => {
  const asked = controlled<Call>();
  const { address } = await serve(t, [
    door({
      unary: {
        "/test.T/Who": (message, call) => {
          asked.resolve(call);
          return message;
        },
      },
    }),
  ]);
  const opened = await session(t, address);
  t.is((await ask(opened, { ":path": "/test.T/Who", "x-bin": "AAEC" }, framed(Buffer.of(1)))).status, 0);
  const call = await asked.promise;
  t.is(call.peer, "127.0.0.1");
  t.is(call.header("x-bin"), "AAEC");
  t.is(call.deadlineMs, undefined);
});

test("random bytes behind a greeting end their connection and nothing else", async (t) => {
  const { address, log } = await serve(t, doors);
  const port = Number(address.split(":")[1]);
  const greeting = Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Buffer.from("000000040000000000", "hex"),
  ]);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 9, maxLength: 300 }), async (bytes) => {
      const socket = connectTcp(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.resume();
      socket.end(Buffer.concat([greeting, bytes]));
      await once(socket, "close");
    }),
    { numRuns: fuzzRuns(100) },
  );
  const opened = await session(t, address);
  t.is((await ask(opened, {}, framed(Buffer.of(1)))).status, 0);
  t.deepEqual(
    log.lines.filter(({ level }) => level === "error"),
    [],
  );
});
