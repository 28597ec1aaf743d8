const idBytes = 16;
/** Each draw costs by itself; what it gives becomes one text, of which ids are parts, so that it must stay small. */
const idsPerDraw = 1024;

/**
 * Makes decision ids: 128 random bits in hexadecimal. Randomness is drawn for many ids at once.
 *
 * @param random gives that many bytes that nobody can guess, such as `crypto.randomBytes`
 */
export function decisionIds(random: (bytes: number) => Uint8Array): () => string {
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
