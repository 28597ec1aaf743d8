import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import test from "ava";
import { expectations } from "./accept.ts";
import { saysOk } from "./answer.ts";
import { openLoad } from "./load-generator.ts";
import { prepareCall } from "./prepared.ts";

type Answer = (stream: ServerHttp2Stream, body: Buffer) => void;

/** A gRPC server on Node's own HTTP/2, which knows nothing of our frames. */
async function serve(answer: Answer): Promise<{ address: string; server: Http2Server }> {
  const server = createServer({ settings: { maxConcurrentStreams: 5 } });
  server.on("stream", (stream) => {
    const parts: Buffer[] = [];
    stream.on("error", () => stream.destroy());
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("end", () => answer(stream, Buffer.concat(parts)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

function respond(stream: ServerHttp2Stream, message: Buffer, status: string): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": status, "grpc-message": "OK" }));
  stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
}

const ok: Answer = (stream) => respond(stream, Buffer.alloc(0), "0");

async function sendOnce(answer: Answer, messages: readonly Uint8Array[]) {
  const { address, server } = await serve(answer);
  const prepared = messages.map((message) => prepareCall("/a.B/C", message));
  const load = await openLoad({ address, messages: prepared, connections: 2, inFlight: 8, accept: expectations.empty });
  try {
    await load.runOnce();
    return load.tally;
  } finally {
    load.close();
    server.close();
  }
}

test("every message arrives once and as it was, also beyond the windows of stream and connection", async (t) => {
  const messages = Array.from({ length: 60 }, (_, i) => Buffer.alloc(i * 5000, `${i}.`));
  const got = new Map<string, number>();
  const tally = await sendOnce((stream, body) => {
    const message = body.subarray(5).toString("latin1");
    t.is(body.readUInt32BE(1), message.length);
    got.set(message, (got.get(message) ?? 0) + 1);
    ok(stream, body);
  }, messages);
  t.deepEqual(tally, { answered: 60, failed: 0, failure: undefined });
  t.deepEqual([...got.values()], Array(60).fill(1));
  t.true(messages.every((message) => got.has(message.toString("latin1"))));
});

const failures: Record<string, Answer> = {
  "another status": (stream) => respond(stream, Buffer.alloc(0), "13"),
  "another message": (stream) => respond(stream, Buffer.from("x"), "0"),
  "trailers only": (stream) => stream.respond({ ":status": 200, "grpc-status": "14" }, { endStream: true }),
  "trailers that say OK without a message": (stream) =>
    stream.respond({ ":status": 200, "grpc-status": "0" }, { endStream: true }),
  "a reset": (stream) => stream.close(8),
};

for (const [title, answer] of Object.entries(failures)) {
  test(`a call that is answered with ${title} has failed`, async (t) => {
    const tally = await sendOnce(
      (stream, body) => (body.length === 5 + 3 ? answer(stream, body) : ok(stream, body)),
      [Buffer.alloc(1), Buffer.alloc(3), Buffer.alloc(2)],
    );
    t.is(tally.answered, 2);
    t.is(tally.failed, 1);
    t.truthy(tally.failure);
  });
}

test("a server that closes the connection ends the run with an error", async (t) => {
  await t.throwsAsync(
    sendOnce((stream) => stream.session!.destroy(), [Buffer.alloc(1)]),
    { message: /closed|away/ },
  );
});

test("a run stops when its time is over, and the calls in flight are answered", async (t) => {
  const { address, server } = await serve(ok);
  const messages = [prepareCall("/a.B/C", Buffer.alloc(10))];
  const load = await openLoad({ address, messages, connections: 1, inFlight: 4, accept: expectations.empty });
  const { answered, failed } = await load.run(20);
  t.is(failed, 0);
  t.true(answered <= load.tally.answered);
  t.true(load.tally.answered > 0);
  load.close();
  server.close();
});

test("trailers say OK in plain and in Huffman coded literals, and not by another number", (t) => {
  const huffman = Buffer.from("889acac8b21234da8f", "hex");
  t.true(saysOk(Buffer.from("\0\x0bgrpc-status\x010", "latin1")));
  t.true(saysOk(Buffer.concat([Buffer.from([0x40]), huffman, Buffer.from([0x81, 0x07])])));
  t.false(saysOk(Buffer.from("\0\x0bgrpc-status\x0213", "latin1")));
  t.false(saysOk(Buffer.from("\0\x0cgrpc-message\x010", "latin1")));
});

const verdicts = [
  { name: "OK with an empty status", hex: "12060a001a020805", allow: true, refuse: false },
  { name: "OK without a status", hex: "12041a020805", allow: true, refuse: false },
  { name: "a refusal", hex: "12090a0508071201781a00", allow: false, refuse: true },
  { name: "an empty message", hex: "", allow: false, refuse: false },
  { name: "a message without precondition", hex: "1a00", allow: false, refuse: false },
];

for (const { name, hex, allow, refuse } of verdicts) {
  test(`an answer is told apart: ${name}`, (t) => {
    const bytes = Buffer.from(hex, "hex");
    t.is(expectations.allow(bytes, 0, bytes.length), allow);
    t.is(expectations.refuse(bytes, 0, bytes.length), refuse);
  });
}
