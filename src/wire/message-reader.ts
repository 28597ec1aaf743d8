import { uint32At } from "./http2/frame.ts";
import type { PiecePool } from "./piece-pool.ts";

/** A flag and a length of four bytes (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
export const prefixBytes = 5;
/** What is set aside at first for a message that comes in parts; later twice what has come of it. */
const firstBytes = 4096;

const nothing = Buffer.alloc(0);

/** Takes messages as they become whole. */
export interface MessageSink {
  /** `flag` is the message's first byte: 1 when it is compressed. */
  message(bytes: Buffer, flag: number): void;
  /** A message is larger than the limit. Nothing comes after this. */
  tooLarge(bytes: number): void;
}

/**
 * Cuts the data of one call into messages. A message that comes whole is handed on where it lies. What comes in parts is copied into
 * one piece: one of the pool, or one that grows with what has come and not with what was announced.
 */
export class MessageReader {
  readonly #maxBytes: number;
  readonly #sink: MessageSink;
  readonly #pool: PiecePool;
  readonly #prefix = Buffer.alloc(prefixBytes);
  #prefixLength = 0;
  /** The beginning of a message, its prefix left out. */
  #part: Buffer = nothing;
  #length = 0;
  /** The piece that the last message was handed on in, until it is released. */
  #handed: Buffer = nothing;
  #isClosed = false;

  /** `maxBytes` is the largest message taken. */
  constructor(maxBytes: number, sink: MessageSink, pool: PiecePool) {
    this.#maxBytes = maxBytes;
    this.#sink = sink;
    this.#pool = pool;
  }

  /** Bytes set aside for a message that has not come whole. */
  get heldBytes(): number {
    return Math.min(this.#part.length, this.#size);
  }

  /** Takes `bytes[start]` to `bytes[end - 1]`. */
  write(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && !this.#isClosed) {
      if (this.#prefixLength < prefixBytes) {
        this.#prefix[this.#prefixLength++] = bytes[at++]!;
        if (this.#prefixLength < prefixBytes) continue;
        if (this.#size > this.#maxBytes) return this.#refuse();
      }
      at = this.#body(bytes, at, end);
    }
  }

  /** Takes nothing more, and lets go of what is held. */
  close(): void {
    this.#isClosed = true;
    this.#pool.give(this.#part);
    this.#part = nothing;
  }

  /** Whether a message lies in a piece of its own, which stays as it is until it is released. */
  holds(message: Uint8Array): boolean {
    return message.buffer === this.#handed.buffer;
  }

  /** Says that nobody looks at a message any more that was handed on: its memory is used again. */
  release(message: Uint8Array): void {
    if (!this.holds(message)) return;
    this.#pool.give(this.#handed);
    this.#handed = nothing;
  }

  get #size(): number {
    return uint32At(this.#prefix, 1);
  }

  #refuse(): void {
    this.close();
    this.#sink.tooLarge(this.#size);
  }

  /** Takes what has come of a message whose prefix is there; gives where it stopped. */
  #body(bytes: Buffer, at: number, end: number): number {
    const size = this.#size;
    if (this.#length === 0 && size <= end - at) {
      this.#hand(bytes.subarray(at, at + size));
      return at + size;
    }
    const length = Math.min(size, this.#length + end - at);
    if (length > this.#part.length) this.#grow(length, size);
    const stop = at + length - this.#length;
    bytes.copy(this.#part, this.#length, at, stop);
    this.#length = length;
    if (length === size) {
      this.#handed = this.#part;
      this.#hand(this.#part.subarray(0, size));
    }
    return stop;
  }

  /** Makes room for `length` bytes of a message of `size`. */
  #grow(length: number, size: number): void {
    const wanted = Math.max(length, Math.min(size, Math.max(firstBytes, 2 * length)));
    const larger = this.#pool.take(size) ?? Buffer.allocUnsafeSlow(wanted);
    this.#part.copy(larger, 0, 0, this.#length);
    this.#pool.give(this.#part);
    this.#part = larger;
  }

  #hand(message: Buffer): void {
    this.#part = nothing;
    this.#length = 0;
    this.#prefixLength = 0;
    this.#sink.message(message, this.#prefix[0]!);
  }
}
