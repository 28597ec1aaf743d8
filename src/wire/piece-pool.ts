/** How many buffers are kept, and how large they are. Smaller ones cost little, larger ones would hold much. */
const kept = 8;
const minBytes = 16 * 1024;
const maxBytes = 256 * 1024;

/**
 * Buffers that messages, or frames, were put together in, kept for the next. V8 counts such memory apart from its heap
 * and collects all of the heap when much of it comes and goes: under a load of large messages that would cost more than
 * they do.
 */
export class PiecePool {
  readonly #free: Buffer[] = [];

  /** A buffer of at least so many bytes, if there is one. */
  take(bytes: number): Buffer | undefined {
    const at = bytes < minBytes ? -1 : this.#free.findLastIndex(({ length }) => length >= bytes);
    return at < 0 ? undefined : this.#free.splice(at, 1)[0];
  }

  /** Takes a buffer back that nobody looks at any more. */
  give(buffer: Buffer): void {
    if (buffer.length < minBytes || buffer.length > maxBytes) return;
    if (this.#free.length === kept) {
      // The larger ones stay: they serve more messages.
      const smaller = this.#free.findIndex(({ length }) => length < buffer.length);
      if (smaller < 0) return;
      this.#free.splice(smaller, 1);
    }
    this.#free.push(buffer);
  }
}
