import { connect as connectTcp } from "node:net";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { gzipSync } from "node:zlib";
import { Client, credentials, status, type ServiceError } from "@grpc/grpc-js";
import test from "ava";
import type { Call, Incoming } from "../../../src/wire/call.ts";
import { WeirError } from "../../../src/util/weir-error.ts";
import { call, collect, controlled, door, serve, stream } from "./harness.ts";

const text = (message: Uint8Array) => Buffer.from(message).toString();
const echo = (message: Uint8Array) => message;

async function failure(promise: Promise<unknown>): Promise<{ code: number; details: string }> {
  try {
    await promise;
  } catch (error) {
    const { code, details } = error as ServiceError;
    return { code, details };
  }
  throw new Error("the call was expected to fail");
}

test("a unary handler answers at once or later", async (t) => {
  const { client, observer } = await serve(t, [
    door({ unary: { "/test.T/Now": echo, "/test.T/Later": async (message) => message } }),
  ]);
  t.is(text(await call(client, "/test.T/Now", Buffer.from("a"))), "a");
  t.is(text(await call(client, "/test.T/Later", Buffer.from("b"))), "b");
  t.is((await call(client, "/test.T/Now", new Uint8Array())).length, 0);
  t.deepEqual(observer.calls, ["test Now OK", "test Later OK", "test Now OK"]);
});

test("a WeirError becomes the gRPC status of its code, with its text", async (t) => {
  const { client, observer, log } = await serve(t, [
    door({
      unary: {
        "/test.T/Throws": () => {
          throw new WeirError("WEIR_REQUEST_MALFORMED", "no message 100% ünlike\nthis \ud800", { cause: "bytes" });
        },
        "/test.T/Rejects": () => Promise.reject(new WeirError("WEIR_REPORT_NOT_TAKEN", "1 of 3 records taken")),
      },
    }),
  ]);
  t.deepEqual(await failure(call(client, "/test.T/Throws", Buffer.of())), {
    code: status.INVALID_ARGUMENT,
    details: "WEIR_REQUEST_MALFORMED: no message 100% ünlike\nthis \ufffd",
  });
  t.deepEqual(await failure(call(client, "/test.T/Rejects", Buffer.of())), {
    code: status.RESOURCE_EXHAUSTED,
    details: "WEIR_REPORT_NOT_TAKEN: 1 of 3 records taken",
  });
  t.deepEqual(observer.calls, ["test Throws INVALID_ARGUMENT", "test Rejects RESOURCE_EXHAUSTED"]);
  t.deepEqual(
    log.lines.map(({ fields }) => (fields as { err: unknown }).err),
    ["bytes"],
  );
});

test("any other error is WEIR_INTERNAL: its text is logged, not sent", async (t) => {
  const secret = new Error("password is hunter2");
  const { client, log } = await serve(t, [
    door({
      unary: {
        "/test.T/Throws": () => {
          throw secret;
        },
      },
    }),
  ]);
  const { code, details } = await failure(call(client, "/test.T/Throws", Buffer.of()));
  t.is(code, status.UNAVAILABLE);
  t.is(details, "WEIR_INTERNAL: the hub failed");
  t.is((log.lines[0]!.fields as { err: unknown }).err, secret);
});

test("a message above the limit is RESOURCE_EXHAUSTED, compressed or not", async (t) => {
  const { client, address, observer } = await serve(t, [door({ unary: { "/test.T/Echo": echo } })], {
    messageBytes: 1000,
  });
  t.is((await call(client, "/test.T/Echo", Buffer.alloc(1000))).length, 1000);
  const plain = await failure(call(client, "/test.T/Echo", Buffer.alloc(1001)));
  t.is(plain.code, status.RESOURCE_EXHAUSTED);
  t.is(plain.details, "WEIR_REQUEST_TOO_LARGE: the message has 1001 bytes, and at most 1000 are taken");
  t.is(observer.calls[1], "test Echo RESOURCE_EXHAUSTED");
  const gzip = new Client(address, credentials.createInsecure(), { "grpc.default_compression_algorithm": 2 });
  t.teardown(() => gzip.close());
  t.is((await call(gzip, "/test.T/Echo", Buffer.alloc(900))).length, 900);
  const bomb = await failure(call(gzip, "/test.T/Echo", Buffer.alloc(200_000)));
  t.is(bomb.code, status.RESOURCE_EXHAUSTED);
  t.is(text(await call(client, "/test.T/Echo", Buffer.from("lives"))), "lives");
});

test("calls whose message never comes whole are refused when they hold too much; others are served", async (t) => {
  const { client, address, observer } = await serve(t, [door({ unary: { "/test.T/Echo": echo } })], {
    messageBytes: 100_000,
  });
  const session = connectHttp2(`http://${address}`);
  t.teardown(() => session.destroy());
  // 64 messages of the largest size may be on their way.
  const statuses = Array.from({ length: 80 }, async () => {
    const request = session.request({
      ":method": "POST",
      ":path": "/test.T/Echo",
      "content-type": "application/grpc",
      te: "trailers",
    });
    t.teardown(() => request.destroy());
    const part = Buffer.alloc(100_000);
    part.writeUInt32BE(100_000, 1);
    request.write(part);
    request.on("error", () => {});
    const [headers] = (await once(request, "response")) as [Record<string, string>];
    return [headers["grpc-status"], decodeURIComponent(headers["grpc-message"] ?? "")];
  });
  const refusal = ["8", "WEIR_OVERLOADED: too much is held of messages whose calls do not end"];
  const first = await Promise.all([statuses[0]!, statuses[1]!]);
  t.deepEqual(first, [refusal, refusal]);
  t.is((await call(client, "/test.T/Echo", Buffer.alloc(100_000))).length, 100_000);
  t.true(observer.drops.includes("call messages_unfinished 1"));
});

test("messages that came whole are held no less while their calls do not end, as large as they are inflated", async (t) => {
  const { client, address, observer } = await serve(t, [door({ unary: { "/test.T/Echo": echo } })], {
    messageBytes: 100_000,
  });
  const session = connectHttp2(`http://${address}`);
  t.teardown(() => session.destroy());
  const zeros = gzipSync(Buffer.alloc(100_000));
  const prefix = Buffer.of(1, 0, 0, 0, zeros.length);
  const requests = Array.from({ length: 80 }, () =>
    session.request({
      ":method": "POST",
      ":path": "/test.T/Echo",
      "content-type": "application/grpc",
      "grpc-encoding": "gzip",
      te: "trailers",
    }),
  );
  const refused = requests.map(async (request) => {
    t.teardown(() => request.destroy());
    request.on("error", () => {});
    request.write(prefix);
    request.write(zeros);
    const [headers] = (await once(request, "response")) as [Record<string, string>];
    return headers["grpc-status"];
  });
  t.is(await Promise.race(refused), "8");
  while (observer.drops.length < 16) await Promise.race(refused.splice(0, 1));
  t.deepEqual(new Set(observer.drops), new Set(["call messages_unfinished 1"]));
  t.is((await call(client, "/test.T/Echo", Buffer.alloc(100_000))).length, 100_000);
});

test("messages on which a door works for long are held, too, and the oldest gives way", async (t) => {
  const never = new Promise<Uint8Array>(() => {});
  const { client } = await serve(t, [door({ unary: { "/test.T/Never": () => never, "/test.T/Echo": echo } })], {
    messageBytes: 1000,
  });
  const calls = Array.from({ length: 65 }, () => failure(call(client, "/test.T/Never", Buffer.alloc(1000))));
  t.is((await Promise.race(calls)).code, status.RESOURCE_EXHAUSTED);
  t.is((await call(client, "/test.T/Echo", Buffer.alloc(1000))).length, 1000);
});

test("an unknown method is UNIMPLEMENTED", async (t) => {
  const { client } = await serve(t, [door({ unary: { "/test.T/Echo": echo } })]);
  t.is((await failure(call(client, "/test.T/Ecko", Buffer.of()))).code, status.UNIMPLEMENTED);
});

test("a unary method takes exactly one message", async (t) => {
  const { client } = await serve(t, [door({ unary: { "/test.T/Echo": echo } })]);
  const none = stream(client, "/test.T/Echo");
  none.end();
  t.like(await collect(none), { messages: [], code: status.INVALID_ARGUMENT });
  const two = stream(client, "/test.T/Echo");
  two.write(Buffer.from("a"));
  two.write(Buffer.from("b"));
  t.like(await collect(two), { messages: [], code: status.INVALID_ARGUMENT });
});

test("a handler sees caller, deadline and headers, and is told when the caller is gone", async (t) => {
  const asked = controlled<Call>();
  const gone = controlled<void>();
  const { client, observer } = await serve(t, [
    door({
      unary: {
        "/test.T/Wait": (_, call) => {
          call.signal.addEventListener("abort", () => gone.resolve());
          asked.resolve(call);
          return new Promise(() => {});
        },
      },
    }),
  ]);
  const deadline = Date.now() + 60_000;
  const request = client.makeUnaryRequest(
    "/test.T/Wait",
    (m: Buffer) => m,
    (m: Buffer) => m,
    Buffer.of(),
    { deadline },
    () => {},
  );
  const seen = await asked.promise;
  t.is(seen.peer, "127.0.0.1");
  t.true(Math.abs(seen.deadlineMs! - deadline) < 10_000);
  t.regex(seen.header("user-agent")!, /grpc-node/);
  t.is(seen.header("x-none"), undefined);
  t.false(seen.signal.aborted);
  request.cancel();
  await gone.promise;
  t.true(seen.signal.aborted);
  t.deepEqual(observer.calls, ["test Wait CANCELLED"]);
});

test("a call whose deadline passes is DEADLINE_EXCEEDED, and its late answer is dropped", async (t) => {
  const answer = controlled<Uint8Array>();
  const { client, address, observer } = await serve(t, [
    door({ unary: { "/test.T/Wait": () => answer.promise, "/test.T/Echo": echo } }),
  ]);
  // By hand: a client of grpc-js gives up by its own clock, and may do so before the server has heard of the call.
  const session = connectHttp2(`http://${address}`);
  t.teardown(() => session.destroy());
  const request = session.request({
    ":method": "POST",
    ":path": "/test.T/Wait",
    "content-type": "application/grpc",
    te: "trailers",
    "grpc-timeout": "50m",
  });
  request.end(Buffer.alloc(5));
  const [headers] = (await once(request, "response")) as [Record<string, string>];
  t.is(Number(headers["grpc-status"]), status.DEADLINE_EXCEEDED);
  answer.resolve(Buffer.of(1));
  t.is(text(await call(client, "/test.T/Echo", Buffer.from("lives"))), "lives");
  t.is(observer.calls[0], "test Wait DEADLINE_EXCEEDED");
});

/** Handlers that tell the test of each event. */
function incoming(handlers: Partial<Incoming>): Incoming {
  return { message() {}, end() {}, drained() {}, gone() {}, ...handlers };
}

test("a stream carries messages both ways, and ends when the door says so", async (t) => {
  const { client, observer } = await serve(t, [
    door({
      duplex: {
        "/test.T/Echo": (out) =>
          incoming({ message: (m) => void out.send(Buffer.from(`<${text(m)}>`)), end: () => out.end() }),
      },
    }),
  ]);
  const duplex = stream(client, "/test.T/Echo");
  for (const word of ["a", "", "c"]) duplex.write(Buffer.from(word));
  duplex.end();
  const { messages, code } = await collect(duplex);
  t.deepEqual(messages.map(text), ["<a>", "<>", "<c>"]);
  t.is(code, status.OK);
  t.deepEqual(observer.calls, ["test Echo OK"]);
});

for (const [how, fail] of Object.entries({
  throws: () => {
    throw new WeirError("WEIR_REQUEST_MALFORMED", "bad");
  },
  rejects: () => Promise.reject(new WeirError("WEIR_REQUEST_MALFORMED", "bad")),
})) {
  test(`a stream whose door ${how} fails with its status and is gone`, async (t) => {
    const gone = controlled<void>();
    const { client } = await serve(t, [
      door({ duplex: { "/test.T/Bad": () => incoming({ message: fail, gone: () => gone.resolve() }) } }),
    ]);
    const duplex = stream(client, "/test.T/Bad");
    duplex.write(Buffer.of());
    t.like(await collect(duplex), { code: status.INVALID_ARGUMENT, details: "WEIR_REQUEST_MALFORMED: bad" });
    await gone.promise;
    t.pass();
  });
}

test("a stream that the caller cancels is gone", async (t) => {
  const open = controlled<void>();
  const gone = controlled<void>();
  const { client, observer } = await serve(t, [
    door({
      duplex: { "/test.T/Open": () => incoming({ message: () => open.resolve(), gone: () => gone.resolve() }) },
    }),
  ]);
  const duplex = stream(client, "/test.T/Open");
  duplex.on("error", () => {});
  duplex.write(Buffer.of());
  await open.promise;
  duplex.cancel();
  await gone.promise;
  t.deepEqual(observer.calls, ["test Open CANCELLED"]);
});

test("no message is read while the door works on one, and thousands that wait do not nest", async (t) => {
  const first = controlled<void>();
  let count = 0;
  const { client } = await serve(t, [
    door({
      unary: { "/test.T/Echo": echo },
      duplex: {
        "/test.T/Take": (out) =>
          incoming({
            message() {
              count++;
              return count === 1 ? first.promise : undefined;
            },
            end: () => out.end(),
          }),
      },
    }),
  ]);
  const duplex = stream(client, "/test.T/Take");
  const total = 20_000;
  for (let i = 0; i < total; i++) duplex.write(Buffer.of());
  duplex.end();
  // Calls on the same connection come after the stream's first frames: by then more messages have arrived than one.
  for (let i = 0; i < 20; i++) await call(client, "/test.T/Echo", Buffer.of());
  t.is(count, 1);
  first.resolve();
  t.is((await collect(duplex)).code, status.OK);
  t.is(count, total);
});

test("a door is told of messages that are not handed on: one too large, and those that wait when the stream ends", async (t) => {
  const missed: number[] = [];
  const gone = [controlled<void>(), controlled<void>()];
  let streams = 0;
  const { client } = await serve(
    t,
    [
      door({
        unary: { "/test.T/Echo": echo },
        duplex: {
          "/test.T/Take": () => {
            const { resolve } = gone[streams++]!;
            return incoming({
              message: () => controlled<void>().promise,
              missed: (messages) => void missed.push(messages),
              gone: () => resolve(),
            });
          },
        },
      }),
    ],
    { messageBytes: 10 },
  );
  const tooLarge = stream(client, "/test.T/Take");
  tooLarge.write(Buffer.alloc(11));
  t.is((await collect(tooLarge)).code, status.RESOURCE_EXHAUSTED);
  await gone[0]!.promise;
  t.deepEqual(missed, [1]);

  const waiting = stream(client, "/test.T/Take");
  waiting.on("error", () => {});
  for (let i = 0; i < 3; i++) waiting.write(Buffer.of());
  for (let i = 0; i < 5; i++) await call(client, "/test.T/Echo", Buffer.of());
  waiting.cancel();
  await gone[1]!.promise;
  t.deepEqual(missed, [1, 2], "the first of three was handed on");
});

test("a door is told of messages that wait when a stopping server ends what comes", async (t) => {
  const working = controlled<void>();
  const missed: number[] = [];
  const told = controlled<void>();
  let end!: () => void;
  const { client, server } = await serve(t, [
    door({
      unary: { "/test.T/Echo": echo },
      duplex: {
        "/test.T/Take": (out) => {
          end = () => out.end();
          return incoming({
            message: () => working.promise,
            missed(messages) {
              missed.push(messages);
              if (missed.length === 2) told.resolve();
            },
          });
        },
      },
    }),
  ]);
  const taking = stream(client, "/test.T/Take");
  const taken = collect(taking);
  for (let i = 0; i < 3; i++) taking.write(Buffer.of());
  for (let i = 0; i < 5; i++) await call(client, "/test.T/Echo", Buffer.of());
  const drained = server.drain(new AbortController().signal);
  working.resolve();
  await told.promise;
  t.deepEqual(missed, [1, 1]);
  end();
  t.is((await taken).code, status.UNAVAILABLE);
  await drained;
});

test("a door is told to hold back while its peer reads nothing, and to go on when it reads", async (t) => {
  const chunk = Buffer.alloc(10_000, 1);
  const total = 300;
  let sent = 0;
  const held = controlled<number>();
  const { client } = await serve(t, [
    door({
      duplex: {
        "/test.T/Flood": (out) => {
          const flood = () => {
            while (sent < total) {
              sent++;
              if (!out.send(chunk)) return held.resolve(sent);
            }
            out.end();
          };
          return incoming({ message: flood, drained: flood });
        },
      },
    }),
  ]);
  const duplex = stream(client, "/test.T/Flood");
  duplex.pause();
  duplex.write(Buffer.of());
  t.true((await held.promise) < 20, "the transport holds little for a peer that does not read");
  const { messages, code } = await collect(duplex.resume());
  t.is(messages.length, total);
  t.true(messages.every((message) => message.equals(chunk)));
  t.is(code, status.OK);
});

test("drain: health says no, calls in flight finish, streams answer and end with UNAVAILABLE, new calls fail", async (t) => {
  const waiting = controlled<void>();
  const answer = controlled<Uint8Array>();
  const streaming = controlled<void>();
  const { client, server, address } = await serve(t, [
    door({
      unary: {
        "/test.T/Wait": () => {
          waiting.resolve();
          return answer.promise;
        },
      },
      duplex: {
        "/test.T/Echo": (out) => {
          let last: Uint8Array = Buffer.of();
          return incoming({
            message(message) {
              last = message;
              streaming.resolve();
            },
            end() {
              out.send(last);
              out.end();
            },
          });
        },
      },
    }),
  ]);
  const watch = stream(client, "/grpc.health.v1.Health/Watch");
  watch.write(Buffer.of());
  watch.end();
  const watched = collect(watch);
  await once(watch, "data");
  const duplex = stream(client, "/test.T/Echo");
  const streamed = collect(duplex);
  duplex.write(Buffer.from("left over"));
  await streaming.promise;
  const inFlight = call(client, "/test.T/Wait", Buffer.of());
  await waiting.promise;

  const drained = server.drain(new AbortController().signal);
  t.deepEqual(
    (await watched).messages.map((message) => message.toString("hex")),
    ["0801", "0802"],
  );
  const { messages, code, details } = await streamed;
  t.deepEqual(messages.map(text), ["left over"]);
  t.is(code, status.UNAVAILABLE);
  t.regex(details, /^WEIR_SHUTTING_DOWN/);
  const late = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  t.teardown(() => late.close());
  t.is((await failure(call(late, "/test.T/Wait", Buffer.of()))).code, status.UNAVAILABLE);
  answer.resolve(Buffer.from("in time"));
  t.is(text(await inFlight), "in time");
  await drained;
});

test("drain: what is left at the deadline is cut", async (t) => {
  const waiting = controlled<Call>();
  const { client, server } = await serve(t, [
    door({
      unary: {
        "/test.T/Wait": (_, call) => {
          waiting.resolve(call);
          return new Promise(() => {});
        },
      },
    }),
  ]);
  const inFlight = failure(call(client, "/test.T/Wait", Buffer.of()));
  const seen = await waiting.promise;
  const gone = once(seen.signal, "abort");
  const force = new AbortController();
  const drained = server.drain(force.signal);
  force.abort();
  await drained;
  t.true([status.CANCELLED, status.UNAVAILABLE].includes((await inFlight).code));
  await gone;
});

test("an address that is taken is WEIR_LISTEN", async (t) => {
  const { address } = await serve(t, []);
  const { server } = await serve(t, []);
  const error = await t.throwsAsync(server.listen(address), { instanceOf: WeirError, code: "WEIR_LISTEN" });
  t.true(error.message.includes(address));
});

test("connections are told how many calls they may have at once", async (t) => {
  const { address } = await serve(t, [], { streamsPerConnection: 7 });
  const session = connectHttp2(`http://${address}`);
  t.teardown(() => session.destroy());
  const [settings] = (await once(session, "remoteSettings")) as [{ maxConcurrentStreams: number }];
  t.is(settings.maxConcurrentStreams, 7);
});

test("bytes that are no HTTP/2 end their connection and nothing else", async (t) => {
  const { client, address } = await serve(t, [door({ unary: { "/test.T/Echo": echo } })]);
  const port = Number(address.split(":")[1]);
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  for (const garbage of [
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    Buffer.alloc(100_000, 0xff),
    Buffer.concat([preface, Buffer.alloc(1000, 0xff)]),
    Buffer.concat([preface, Buffer.from("000000040000000000" + "000004010500000001ffffffff", "hex")]),
  ]) {
    const socket = connectTcp(port, "127.0.0.1");
    socket.on("error", () => {});
    const ended = once(socket, "close");
    let heard = "";
    socket.on("data", (bytes: Buffer) => {
      heard += bytes.toString("hex");
      // The server may leave it to its peer to hang up after a GOAWAY (frame type 7) with an error.
      if (/0000080700000000000000000[0-9a-f]0000000[1-9a-f]/.test(heard)) socket.destroy();
    });
    socket.write(garbage);
    await ended;
    t.regex(heard, /00000807/, garbage.toString("hex").slice(0, 80));
  }
  t.is(text(await call(client, "/test.T/Echo", Buffer.from("lives"))), "lives");
});
