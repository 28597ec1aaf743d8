const idBytes = 16;
const idsPerDraw = 256;

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
      drawn = Buffer.from(random(idBytes * idsPerDraw)).toString("hex");
      at = 0;
    }
    const id = drawn.slice(at, at + 2 * idBytes);
    at += 2 * idBytes;
    return id;
  };
}
