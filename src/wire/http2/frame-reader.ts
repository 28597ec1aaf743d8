import type { PiecePool } from "../piece-pool.ts";
import { ConnectionError, errorCode, frameHeaderBytes, maxPayloadBytes, uint31At } from "./frame.ts";

/** Takes frames as they become whole. The payload is `bytes[start]` to `bytes[end - 1]`. */
export interface FrameSink {
  frame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void;
}

const nothing: Buffer = Buffer.alloc(0);
/** What is set aside at first for a frame that comes in parts; later twice what has come of it. */
const firstBytes = 256;
/** A frame of more than this is put together in a piece of the pool, if there is one. */
const smallBytes = 4096;
const maxFrameBytes = frameHeaderBytes + maxPayloadBytes;

/**
 * Cuts what a connection reads into frames. A frame that lies whole in what was read is not copied. The memory that a
 * frame is handed in is written again as soon as the sink returns: whoever needs a part of it for longer copies that.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #pool: PiecePool;
  /** The beginning of a frame. */
  #part = nothing;
  #length = 0;

  /** `pool` keeps the pieces that large frames are put together in. */
  constructor(sink: FrameSink, pool: PiecePool) {
    this.#sink = sink;
    this.#pool = pool;
  }

  /** Bytes set aside for a frame that has not come whole. */
  get heldBytes(): number {
    return this.#part.length;
  }

  /** Takes bytes from a position on. Throws a {@link ConnectionError} for a frame that is too large, and what the sink throws. */
  read(bytes: Buffer, start: number): void {
    let at = start;
    if (this.#length > 0) at = this.#complete(bytes, at);
    while (at < bytes.length) {
      const isBegun = bytes.length - at >= frameHeaderBytes;
      const whole = isBegun ? frameHeaderBytes + payloadLength(bytes, at) : frameHeaderBytes;
      if (!isBegun || at + whole > bytes.length) {
        this.#append(bytes, at, whole);
        return;
      }
      this.#hand(bytes, at, at + whole);
      at += whole;
    }
  }

  /** Lets go of what is set aside. */
  clear(): void {
    this.#pool.give(this.#take());
  }

  #take(): Buffer {
    const part = this.#part;
    this.#part = nothing;
    this.#length = 0;
    return part;
  }

  /** Adds to the frame that has begun, and hands it on when it is whole; gives where the next one begins. */
  #complete(bytes: Buffer, start: number): number {
    let at = this.#append(bytes, start, frameHeaderBytes);
    if (this.#length < frameHeaderBytes) return at;
    const whole = frameHeaderBytes + payloadLength(this.#part, 0);
    at = this.#append(bytes, at, whole);
    if (this.#length < whole) return at;
    const part = this.#take();
    this.#hand(part, 0, whole);
    this.#pool.give(part);
    return at;
  }

  /** Copies until `wanted` bytes are set aside, or all there are; gives where it stopped. */
  #append(bytes: Buffer, at: number, wanted: number): number {
    const length = Math.min(wanted, this.#length + bytes.length - at);
    if (length <= this.#length) return at;
    if (length > this.#part.length) {
      const larger = this.#larger(length, wanted);
      this.#part.copy(larger, 0, 0, this.#length);
      this.#pool.give(this.#part);
      this.#part = larger;
    }
    const end = at + length - this.#length;
    bytes.copy(this.#part, this.#length, at, end);
    this.#length = length;
    return end;
  }

  /** Room for `length` bytes of a frame that is known to have `whole` at least. */
  #larger(length: number, whole: number): Buffer {
    const pooled = whole > smallBytes ? this.#pool.take(maxFrameBytes) : undefined;
    return pooled ?? Buffer.allocUnsafe(Math.max(length, Math.min(2 * length, maxFrameBytes), firstBytes));
  }

  #hand(bytes: Buffer, at: number, end: number): void {
    this.#sink.frame(bytes[at + 3]!, bytes[at + 4]!, uint31At(bytes, at + 5), bytes, at + frameHeaderBytes, end);
  }
}

function payloadLength(bytes: Buffer, at: number): number {
  const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
  if (length > maxPayloadBytes) throw new ConnectionError(errorCode.frameSize, `a frame of ${length} bytes`);
  return length;
}
