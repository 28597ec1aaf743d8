import type { Duplex } from "node:stream";
import { frameHeaderBytes, maxPayloadBytes } from "./frame.ts";

const chunkBytes = 64 * 1024;
/** Chunks kept for use again. */
const keptChunks = 16;
/** More chunks than this in use at once make connections write at once rather than a little later. */
const manyChunks = 64;
/** The most that can be asked for in one piece. */
export const maxPieceBytes = frameHeaderBytes + maxPayloadBytes;

const nothing = Buffer.alloc(0);

/** The memory that connections write into, which they share: few write at the same time. */
export class ChunkPool {
  readonly #free: Buffer[] = [];
  #out = 0;

  /** Whether so many connections write at once that they should not wait for more to write. */
  get strained(): boolean {
    return this.#out > manyChunks;
  }

  take(): Buffer {
    this.#out++;
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(chunkBytes);
  }

  /** Gives a chunk back. `reusable` says that nobody reads it any more. */
  give(chunk: Buffer, reusable: boolean): void {
    this.#out--;
    if (reusable && this.#free.length < keptChunks) this.#free.push(chunk);
  }
}

/**
 * Collects what a connection writes, so that many frames cost one write. A socket that takes a write at once, as most do,
 * leaves the chunk free for the next; while one does not, what follows is copied to its own size, so that a peer that
 * does not read holds what it is sent and no more.
 */
export class Outbox {
  /** Where {@link Outbox.reserve} gives a place in. */
  chunk: Buffer = nothing;
  #length = 0;
  #backedUp = false;
  readonly #socket: Duplex;
  readonly #pool: ChunkPool;

  constructor(socket: Duplex, pool: ChunkPool) {
    this.#socket = socket;
    this.#pool = pool;
  }

  /** Bytes that the socket has not taken yet. */
  get backlog(): number {
    return this.#socket.writableLength;
  }

  /** Whether the socket has so much to take that it will say when it has taken all (`drain`). */
  get awaitsDrain(): boolean {
    return this.#socket.writableNeedDrain;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** A place in {@link Outbox.chunk} for so many bytes, all of which must be written; at most {@link maxPieceBytes}. */
  reserve(bytes: number): number {
    if (this.#length + bytes > this.chunk.length) {
      this.flush();
      this.chunk = this.#pool.take();
    }
    const at = this.#length;
    this.#length += bytes;
    return at;
  }

  /** Appends a frame or several, at most {@link maxPieceBytes}. */
  append(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.chunk.set(bytes, at);
  }

  /** Hands to the socket what was collected. */
  flush(): void {
    const length = this.#length;
    if (length === 0) return;
    const { chunk } = this;
    this.chunk = nothing;
    this.#length = 0;
    const own = this.#backedUp || this.backlog > 0;
    const bytes = chunk.subarray(0, length);
    if (!this.#socket.destroyed) this.#socket.write(own ? Buffer.from(bytes) : bytes);
    this.#backedUp = this.backlog > 0;
    this.#pool.give(chunk, own || !this.#backedUp);
  }

  /** Throws away what was collected. */
  clear(): void {
    if (this.#length > 0) this.#pool.give(this.chunk, true);
    this.chunk = nothing;
    this.#length = 0;
  }
}
