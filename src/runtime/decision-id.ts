import { randomHex } from "../util/random-hex.ts";

const idBytes = 16;

/** How many ids of {@link lazyDecisionIds} are drawn at once. */
const idsPerDraw = 1024;

/** For each byte its two hexadecimal digits, as the number of 16 bits that they are in this machine's memory. */
const hexPairs = new Uint16Array(Uint8Array.from(hexOfAllBytes()).buffer);

/**
 * Makes decision ids: 128 random bits in hexadecimal.
 *
 * @param random gives that many bytes that nobody can guess, such as `crypto.randomBytes`
 */
export function decisionIds(random: (bytes: number) => Uint8Array): () => string {
  return randomHex(random, idBytes);
}

/** The same for decisions whose ids are mostly only written into an answer: that takes no text, which costs much more. */
export function lazyDecisionIds(random: (bytes: number) => Uint8Array): () => DecisionId {
  let drawn: Uint8Array = new Uint8Array(0);
  let at = 0;
  return () => {
    if (at >= drawn.length) {
      drawn = random(idBytes * idsPerDraw);
      at = 0;
    }
    const id = new DecisionId(drawn, at);
    at += idBytes;
    return id;
  };
}

/** A decision's id. */
export class DecisionId {
  readonly #drawn: Uint8Array;
  readonly #at: number;

  constructor(drawn: Uint8Array, at: number) {
    this.#drawn = drawn;
    this.#at = at;
  }

  /** In hexadecimal. */
  get text(): string {
    return Buffer.from(this.#drawn.buffer, this.#drawn.byteOffset + this.#at, idBytes).toString("hex");
  }

  /** Writes the 32 characters of its text, two to a number. */
  write(pairs: Uint16Array, at: number): void {
    const drawn = this.#drawn;
    const from = this.#at;
    // Four at a step: what a loop does between its steps costs more than one of them.
    for (let i = 0; i < idBytes; i += 4) {
      pairs[at + i] = hexPairs[drawn[from + i]!]!;
      pairs[at + i + 1] = hexPairs[drawn[from + i + 1]!]!;
      pairs[at + i + 2] = hexPairs[drawn[from + i + 2]!]!;
      pairs[at + i + 3] = hexPairs[drawn[from + i + 3]!]!;
    }
  }
}

function hexOfAllBytes(): Buffer {
  return Buffer.from(Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte)).toString("hex"), "latin1");
}
