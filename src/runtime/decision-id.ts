import { randomHex } from "../util/random-hex.ts";

const idBytes = 16;

/** Characters of an id. */
const idLength = 2 * idBytes;

/** How many ids of {@link lazyDecisionIds} are drawn at once. */
const idsPerDraw = 1024;

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
  let drawn = Buffer.alloc(0);
  let at = 0;
  return () => {
    if (at >= drawn.length) {
      drawn = Buffer.from(Buffer.from(random(idBytes * idsPerDraw)).toString("hex"), "latin1");
      at = 0;
    }
    const id = new DecisionId(drawn, at);
    at += idLength;
    return id;
  };
}

/** A decision's id. */
export class DecisionId {
  readonly #drawn: Buffer;
  readonly #at: number;

  constructor(drawn: Buffer, at: number) {
    this.#drawn = drawn;
    this.#at = at;
  }

  /** In hexadecimal. */
  get text(): string {
    return this.#drawn.toString("latin1", this.#at, this.#at + idLength);
  }

  /** Writes the 32 characters of its text. */
  write(bytes: Uint8Array, at: number): void {
    const drawn = this.#drawn;
    const from = this.#at;
    for (let i = 0; i < idLength; i++) bytes[at + i] = drawn[from + i]!;
  }
}
