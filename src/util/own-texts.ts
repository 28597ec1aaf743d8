/** The most different texts that are held, and the longest: what is longer is hardly there twice. */
const maxTexts = 100_000;
const maxLength = 1024;

/**
 * Makes texts that are kept for long ones of their own. What was cut out of a file keeps the whole file in memory, what
 * was put together keeps its pieces, and the same name in a thousand files is there a thousand times.
 */
export class OwnTexts {
  readonly #known = new Map<string, string>();

  /** The same text, whole and by itself; one string for equal texts. */
  own(text: string): string {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const own = ownText(text);
    if (own.length <= maxLength && this.#known.size < maxTexts) this.#known.set(own, own);
    return own;
  }
}

/** The same text in memory of its own, or any other JSON value: a round trip through JSON copies lone surrogates too. */
export function ownText<T>(text: T): T {
  return JSON.parse(JSON.stringify(text)) as T;
}
