import test from "ava";
import fc from "fast-check";
import { hashBytes, sameBytes, viewOf } from "../../../src/wire/mixer/word-hash.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";

/** Bytes between others, since those of messages are. */
function placed(bytes: Uint8Array, at: number): DataView {
  const all = new Uint8Array(at + bytes.length + 3).fill(0xa5);
  all.set(bytes, at);
  return viewOf(all);
}

test("a hash is of the bytes alone, wherever they lie", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(9), fc.nat(9), (bytes, here, there) => {
      const [a, b] = [placed(bytes, here), placed(bytes, there)];
      t.is(hashBytes(a, here, here + bytes.length), hashBytes(b, there, there + bytes.length));
      t.true(sameBytes(a, here, here + bytes.length, b, there));
    }),
    { numRuns: fuzzRuns(200) },
  );
});

test("words that differ in one byte are told apart, at each place of it", (t) => {
  for (let length = 1; length <= 20; length++) {
    for (let i = 0; i < length; i++) {
      const bytes = new Uint8Array(length).fill(7);
      const other = bytes.slice();
      other[i]! ^= 0x80;
      t.false(sameBytes(viewOf(bytes), 0, length, viewOf(other), 0), `byte ${i} of ${length}`);
      t.not(hashBytes(viewOf(bytes), 0, length), hashBytes(viewOf(other), 0, length), `byte ${i} of ${length}`);
    }
  }
});

test("words that are numbered through spread over few places, by the lowest bits of their hashes", (t) => {
  const places = 256;
  for (const prefix of ["", "a", "user-", "cluster-", "10.0.0."]) {
    const taken = new Set<number>();
    for (let i = 0; i < places; i++) {
      const bytes = Buffer.from(`${prefix}${i}`);
      taken.add(hashBytes(viewOf(bytes), 0, bytes.length) & (places - 1));
    }
    // Chance alone takes 162 of them, give or take 7.
    t.true(taken.size > 120, `${prefix}: ${taken.size}`);
  }
});
