import { randomHex } from "../util/random-hex.ts";

const idBytes = 16;

/**
 * Makes decision ids: 128 random bits in hexadecimal.
 *
 * @param random gives that many bytes that nobody can guess, such as `crypto.randomBytes`
 */
export function decisionIds(random: (bytes: number) => Uint8Array): () => string {
  return randomHex(random, idBytes);
}
