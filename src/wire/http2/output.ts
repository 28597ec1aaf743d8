import type { Duplex } from "node:stream";
import type { HeldBytes } from "../held-bytes.ts";
import { Outbox, type ChunkPool } from "./outbox.ts";
import { Sender } from "./sender.ts";

/** Bytes that the socket has not taken: with more than these, nothing is read any more. */
const maxBacklogBytes = 256 * 1024;

export interface OutputOptions {
  readonly pool: ChunkPool;
  /** Bounds what is held of answers that peers do not take, over all connections. */
  readonly unread: HeldBytes;
}

/**
 * When a connection writes: once for all that is sent in a turn. A peer that does not read what it is sent is not read
 * from, and what waits for it is accounted for.
 */
export class Output {
  readonly sender: Sender;
  readonly #socket: Duplex;
  readonly #options: OutputOptions;
  readonly #outbox: Outbox;
  readonly #holder = { refuse: () => this.#socket.destroy() };
  /** Within a turn, or with a flush to come: nothing needs to be flushed now. */
  #isPending = false;
  #isPaused = false;
  #isOver = false;
  #unreadBytes = 0;

  constructor(socket: Duplex, options: OutputOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#outbox = new Outbox(socket, options.pool);
    this.sender = new Sender(this.#outbox, () => this.#touched());
  }

  /** A turn begins, which ends with {@link flush}. */
  begin(): void {
    this.#isPending = true;
  }

  flush(): void {
    this.#isPending = false;
    this.#outbox.flush();
    this.account();
  }

  /** Says what waits for the peer, and stops reading from one that does not read. */
  account(): void {
    const { backlog, awaitsDrain } = this.#outbox;
    const waiting = this.#isOver ? 0 : this.sender.waitingBytes + (awaitsDrain ? backlog : 0);
    if (waiting !== this.#unreadBytes) this.#options.unread.set(this.#holder, (this.#unreadBytes = waiting));
    if (backlog <= maxBacklogBytes || this.#isPaused || this.#isOver) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  /** The socket has taken all that was written. */
  drained(): void {
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#socket.resume();
    }
    this.sender.drained();
    this.account();
  }

  /** Writes what was said last: what waits for the peer does so at its own risk. */
  end(): void {
    this.#isOver = true;
    this.flush();
  }

  /** Throws away what was not written. */
  clear(): void {
    this.#isOver = true;
    this.#outbox.clear();
  }

  #touched(): void {
    if (this.#isPending) return;
    if (this.#options.pool.strained) return this.flush();
    this.#isPending = true;
    // Answers that come in one turn of the event loop are written together.
    process.nextTick(() => this.flush());
  }
}
