/**
 * Tells when a peer has read what it was sent: it answers a PING only after the frames before it (RFC 9113, 6.7, and the
 * order of a connection's bytes). One PING is out at a time; marks that are set meanwhile wait for the next.
 */
export class ReadMarks {
  readonly #ping: () => void;
  #out: (() => void)[] = [];
  #next: (() => void)[] = [];

  constructor(ping: () => void) {
    this.#ping = ping;
  }

  /** Calls `told` when the peer has read everything that was sent before; never, if the connection ends before. */
  add(told: () => void): void {
    if (this.#out.length > 0) this.#next.push(told);
    else {
      this.#out.push(told);
      this.#ping();
    }
  }

  /** The PING was answered. `false` when none was out. */
  answered(): boolean {
    const told = this.#out;
    if (told.length === 0) return false;
    this.#out = this.#next;
    this.#next = [];
    if (this.#out.length > 0) this.#ping();
    for (const tell of told) tell();
    return true;
  }
}
