import test from "ava";
import fc from "fast-check";
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
        const reader = new MessageReader(20_000, sink);
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
    const reader = new MessageReader(10, sink);
    const bytes = Buffer.concat([framed(Buffer.alloc(10)), framed(Buffer.alloc(11)), framed(Buffer.alloc(1))]);
    for (let at = 0; at < bytes.length; at += cut) reader.write(bytes, at, Math.min(bytes.length, at + cut));
    t.deepEqual(sink.refused, [11]);
    t.is(sink.messages.length, 1);
    t.is(reader.heldBytes, 0);
  }
});

test("what is set aside grows with what has come, not with what was announced", (t) => {
  const sink = recordingSink();
  const reader = new MessageReader(1 << 20, sink);
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
