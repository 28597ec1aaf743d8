/** Longer texts are not looked at: most kinds of pairs are in them. */
const maxLength = 64;
/** Of how many texts is remembered what is in them: a power of 2. */
const remembered = 16;

/**
 * The kinds of pairs of neighbouring characters that a text has, as a set of 32 bits: one that lacks a kind which another
 * has does not contain that one. All bits are set for a long text.
 */
export function pairsOf(text: string): number {
  const { length } = text;
  if (length > maxLength) return -1;
  let pairs = 0;
  let before = text.charCodeAt(0);
  for (let i = 1; i < length; i++) {
    const character = text.charCodeAt(i);
    pairs |= 1 << (before * 5 + character);
    before = character;
  }
  return pairs;
}

/** {@link pairsOf} texts of which the same ones come again and again. */
export class RecentPairs {
  readonly #texts = new Array<string>(remembered).fill("");
  readonly #pairs = new Int32Array(remembered);

  of(text: string): number {
    const { length } = text;
    if (length > maxLength) return -1;
    const place = length & (remembered - 1);
    if (this.#texts[place] === text) return this.#pairs[place]!;
    this.#texts[place] = text;
    return (this.#pairs[place] = pairsOf(text));
  }
}
