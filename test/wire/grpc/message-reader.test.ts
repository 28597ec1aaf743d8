import test from "ava";
import fc from "fast-check";
import { PiecePool } from "../../../src/wire/piece-pool.ts";
import { MessageReader, type MessageSink } from "../../../src/wire/message-reader.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

function framed(body: Uint8Array, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** Remembers what it is given. */
function recordingSink(): MessageSink & { messages: Buffer[]; refused: number[] } {
  const messages: Buffer[] = [];
  const refused: number[] = [];
  return {
    messages,
    refused,
    // What is given may point into the part that was written last, but into none that came before.
    message: (bytes, flag) => void messages.push(framed(bytes, flag)),
    tooLarge: (bytes) => void refused.push(bytes),
  };
}

test("messages are the same however their bytes are cut into parts, and nothing stays held", (t) => {
  const message = fc.record({
    body: fc.uint8Array({ maxLength: 40, size: "max" }),
    times: fc.constantFrom(1, 1, 1, 500),
    flag: fc.integer({ min: 0, max: 1 }),
  });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 6 }),
      fc.array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 20_000 })), { minLength: 1 }),
      (messages, cuts) => {
        const frames = messages.map(({ body, times, flag }) =>
          framed(Buffer.concat(new Array<Uint8Array>(times).fill(body)), flag),
        );
        const bytes = Buffer.concat(frames);
        const sink = recordingSink();
        const reader = new MessageReader(20_000, sink, new PiecePool());
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const start = at;
          at = Math.min(bytes.length, at + cuts[i % cuts.length]!);
          const part = Buffer.from(bytes.subarray(0, at));
          reader.write(part, start, at);
          part.fill(0xee);
        }
        t.deepEqual(sink.messages, frames);
        t.is(reader.heldBytes, 0);
      },
    ),
    { numRuns: fuzzRuns(100) },
  );
});

test("a message that is too large is refused by its head, whole or in parts, and nothing is read after it", (t) => {
  for (const cut of [1, 4, 5, 100]) {
    const sink = recordingSink();
    const reader = new MessageReader(10, sink, new PiecePool());
    const bytes = Buffer.concat([framed(Buffer.alloc(10)), framed(Buffer.alloc(11)), framed(Buffer.alloc(1))]);
    for (let at = 0; at < bytes.length; at += cut) reader.write(bytes, at, Math.min(bytes.length, at + cut));
    t.deepEqual(sink.refused, [11]);
    t.is(sink.messages.length, 1);
    t.is(reader.heldBytes, 0);
  }
});

test("what is set aside grows with what has come, not with what was announced", (t) => {
  const sink = recordingSink();
  const reader = new MessageReader(1 << 20, sink, new PiecePool());
  const bytes = framed(Buffer.alloc(1 << 20));
  reader.write(bytes, 0, 6);
  t.true(reader.heldBytes <= 4096);
  reader.write(bytes, 6, 100_000);
  t.true(reader.heldBytes <= 200_000);
  reader.write(bytes, 100_000, bytes.length - 1);
  t.true(reader.heldBytes <= bytes.length);
  reader.write(bytes, bytes.length - 1, bytes.length);
  t.is(sink.messages.length, 1);
  t.is(reader.heldBytes, 0);
});

test("the memory of a message in parts is used again once it is released, and not before", (t) => {
  const handed: Buffer[] = [];
  const pool = new PiecePool();
  const reader = new MessageReader(
    1 << 20,
    { message: (bytes) => void handed.push(bytes), tooLarge: () => t.fail() },
    pool,
  );
  const send = (fill: number, length: number): void => {
    const bytes = framed(Buffer.alloc(length, fill));
    reader.write(bytes, 0, 20_000);
    reader.write(bytes, 20_000, bytes.length);
  };
  send(1, 50_000);
  send(2, 50_000);
  t.not(handed[1]!.buffer, handed[0]!.buffer);
  reader.release(handed[1]!);
  send(3, 40_000);
  t.is(handed[2]!.buffer, handed[1]!.buffer);
  t.deepEqual(handed[2], Buffer.alloc(40_000, 3));
  t.deepEqual(handed[0], Buffer.alloc(50_000, 1));
});

test("a pool keeps a few buffers, the larger ones, and none that is huge", (t) => {
  const pool = new PiecePool();
  for (const kB of [20, 1000, 20, 30, 30, 30, 30, 30, 30, 40]) pool.give(Buffer.allocUnsafeSlow(kB * 1000));
  t.is(pool.take(300_000), undefined);
  const taken = Array.from({ length: 9 }, () => pool.take(25_000)?.length);
  t.deepEqual(
    taken.filter((length) => length !== undefined).toSorted(),
    [30_000, 30_000, 30_000, 30_000, 30_000, 30_000, 40_000],
  );
});
