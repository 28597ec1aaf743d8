/** Who holds bytes of a message that has not come whole, was not taken yet, or is not answered. */
export interface Holder {
  /** Lets go of everything and ends: too much is held. */
  refuse(): void;
}

/**
 * Bounds what is held of messages that are on their way, over all calls of a listener. When it is more than `maxBytes`,
 * whoever began first is refused: a message that is really being sent is on its way for a moment only, so a caller
 * that sends beginnings without ends takes nobody's place but its own.
 */
export class HeldBytes {
  readonly #maxBytes: number;
  readonly #refused: () => void;
  /** In the order in which they began. */
  readonly #holders = new Map<Holder, number>();
  #total = 0;

  /** `refused` is called for each holder that is refused. */
  constructor(maxBytes: number, refused: () => void) {
    this.#maxBytes = maxBytes;
    this.#refused = refused;
  }

  get total(): number {
    return this.#total;
  }

  /** Says how much a holder holds from now on. Its place in the order is that of when it last held nothing. */
  set(holder: Holder, bytes: number): void {
    this.#total += bytes - (this.#holders.get(holder) ?? 0);
    if (bytes === 0) this.#holders.delete(holder);
    else this.#holders.set(holder, bytes);
    while (this.#total > this.#maxBytes) {
      const [first, held] = this.#holders.entries().next().value!;
      this.#holders.delete(first);
      this.#total -= held;
      this.#refused();
      first.refuse();
    }
  }
}
