/** Each draw costs by itself; what it gives becomes one text, of which ids are parts, so that it must stay small. */
const idsPerDraw = 1024;

/**
 * Makes identifiers of so many random bytes, in hexadecimal. Randomness is drawn for many of them at once.
 *
 * @param random gives that many bytes that nobody can guess, such as `crypto.randomBytes`
 */
export function randomHex(random: (bytes: number) => Uint8Array, idBytes: number): () => string {
  let drawn = "";
  let at = 0;
  return () => {
    if (at >= drawn.length) {
      const bytes = random(idBytes * idsPerDraw);
      drawn = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
      at = 0;
    }
    const id = drawn.slice(at, at + 2 * idBytes);
    at += 2 * idBytes;
    return id;
  };
}
