import test from "ava";
import fc from "fast-check";
import { FrameDecoder } from "../../../src/wire/frame-decoder.ts";
import { HeldBytes } from "../../../src/wire/held-bytes.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

function framed(body: Uint8Array, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

const roomy = () => new HeldBytes(1e9, () => undefined);

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
        const held = roomy();
        const decoder = new FrameDecoder(20_000, held);
        const read: Buffer[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const part = Buffer.from(bytes.subarray(at, (at += cuts[i % cuts.length]!)));
          // What is given may point into the part, but into no part that came before.
          read.push(...decoder.write(part).map((frame) => Buffer.from(frame)));
          part.fill(0xee);
        }
        t.deepEqual(read, frames);
        decoder.taken();
        t.is(held.total, 0);
      },
    ),
    { numRuns: fuzzRuns(100) },
  );
});

test("a message that is too large is refused by its head, whole or in parts, and nothing is read after it", (t) => {
  for (const cut of [1, 4, 5, 100]) {
    const held = roomy();
    const decoder = new FrameDecoder(10, held);
    const errors: string[] = [];
    decoder.onRefused = ({ code, message }) => errors.push(`${code}: ${message}`);
    const bytes = Buffer.concat([framed(Buffer.alloc(10)), framed(Buffer.alloc(11)), framed(Buffer.alloc(1))]);
    const messages: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += cut) messages.push(...decoder.write(bytes.subarray(at, at + cut)));
    t.deepEqual(errors, ["WEIR_REQUEST_TOO_LARGE: the message has 11 bytes, and at most 10 are taken"]);
    t.is(messages.length, 1);
    t.is(held.total, 0);
  }
});

test("what is set aside grows with what has come, not with what was announced", (t) => {
  const held = roomy();
  const decoder = new FrameDecoder(1 << 20, held);
  const bytes = framed(Buffer.alloc(1 << 20));
  decoder.write(bytes.subarray(0, 6));
  t.true(held.total <= 4096);
  decoder.write(bytes.subarray(6, 100_000));
  t.true(held.total <= 200_000);
  decoder.write(bytes.subarray(100_000, -1));
  t.true(held.total <= bytes.length);
  t.is(decoder.write(bytes.subarray(-1)).length, 1);
  t.is(held.total, bytes.length, "until the call takes it");
  decoder.taken();
  t.is(held.total, 0);
});

test("when too much is held, whoever began first is refused, until it is no more too much", (t) => {
  let count = 0;
  const held = new HeldBytes(10_000, () => count++);
  const refused: number[] = [];
  const decoders = Array.from({ length: 4 }, (_, i) => {
    const decoder = new FrameDecoder(9000, held);
    decoder.onRefused = ({ code }) => {
      t.is(code, "WEIR_OVERLOADED");
      refused.push(i);
    };
    return decoder;
  });
  const message = framed(Buffer.alloc(8000));
  decoders[0]!.write(message.subarray(0, 10));
  decoders[1]!.write(message.subarray(0, 10));
  t.deepEqual(refused, []);
  decoders[2]!.write(message.subarray(0, 10));
  t.deepEqual(refused, [0]);
  decoders[3]!.write(message.subarray(0, -1));
  t.deepEqual(refused, [0, 1, 2]);
  t.is(count, 3);
  t.deepEqual(decoders[0]!.write(message), [], "what was refused takes nothing more");
  t.is(decoders[3]!.write(message.subarray(-1)).length, 1);
  decoders[3]!.close();
  t.is(held.total, 0);
});
