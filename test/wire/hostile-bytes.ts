import fc from "fast-check";

/** A good message with some bytes changed, cut short, or bytes without sense. */
export function hostileBytes(good: Uint8Array): fc.Arbitrary<Buffer> {
  const changed = fc
    .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 })
    .map((changes) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    });
  const cut = fc.nat(good.length).map((length) => Buffer.from(good.subarray(0, length)));
  const random = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  return fc.oneof(changed, cut, random);
}
