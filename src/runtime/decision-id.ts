import { randomHex } from "../util/random-hex.ts";

const idBytes = 16;

/** How many ids of {@link lazyDecisionIds} are drawn at once. */
const idsPerDraw = 1024;

/** How many numbers of 64 bits the characters of an id are. */
const idWords = (2 * idBytes) / 8;

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
  let drawn = new Float64Array(0);
  let at = 0;
  return () => {
    if (at >= drawn.length) {
      const hex = Buffer.from(random(idBytes * idsPerDraw)).toString("hex");
      drawn = new Float64Array(new Uint8Array(Buffer.from(hex, "latin1")).buffer);
      at = 0;
    }
    const id = new DecisionId(drawn, at);
    at += idWords;
    return id;
  };
}

/** A decision's id. */
export class DecisionId {
  /** Characters, eight to a number: so they are copied in four steps. None of those numbers is NaN, whose bits may change. */
  readonly #drawn: Float64Array;
  readonly #at: number;

  constructor(drawn: Float64Array, at: number) {
    this.#drawn = drawn;
    this.#at = at;
  }

  /** In hexadecimal. */
  get text(): string {
    return Buffer.from(this.#drawn.buffer, this.#at * 8, idWords * 8).toString("latin1");
  }

  /** Writes the 32 characters of its text, eight to a number. */
  write(words: Float64Array, at: number): void {
    const drawn = this.#drawn;
    const from = this.#at;
    words[at] = drawn[from]!;
    words[at + 1] = drawn[from + 1]!;
    words[at + 2] = drawn[from + 2]!;
    words[at + 3] = drawn[from + 3]!;
  }
}
