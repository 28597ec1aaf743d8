/** How a stream ended. */
export const ending = {
  /** Not known: it was never opened, or long ago. */
  unknown: 0,
  /** Both sides have said all, or the peer has reset it: what comes for it is a mistake. */
  closed: 1,
  /** We have reset it: what the peer sent before it heard of that is to be ignored (RFC 9113, 5.1). */
  reset: 2,
} as const;

/** How many are remembered, a power of two. */
const places = 64;

/** Remembers how the last streams of a connection ended. */
export class ClosedStreams {
  readonly #ids = new Uint32Array(places);
  readonly #endings = new Uint8Array(places);

  note(id: number, how: number): void {
    const place = (id >>> 1) & (places - 1);
    this.#ids[place] = id;
    this.#endings[place] = how;
  }

  /** One of {@link ending}. */
  of(id: number): number {
    const place = (id >>> 1) & (places - 1);
    return this.#ids[place] === id ? this.#endings[place]! : ending.unknown;
  }
}
