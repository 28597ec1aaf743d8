import { ConnectionError, errorCode, frameHeaderBytes, maxPayloadBytes, uint31At } from "./frame.ts";

/** Takes frames as they become whole. The payload is `bytes[start]` to `bytes[end - 1]`. */
export interface FrameSink {
  frame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void;
}

const nothing = Buffer.alloc(0);
/** What is set aside at first for a frame that comes in parts; later twice what has come of it. */
const firstBytes = 256;

/**
 * Cuts what a connection reads into frames. A frame that lies whole in what was read is not copied. The memory that a
 * frame is handed in is never written again, so that whoever needs a part of it may keep that.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  /** The beginning of a frame. */
  #part = nothing;
  #length = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Bytes set aside for a frame that has not come whole. */
  get heldBytes(): number {
    return this.#part.length;
  }

  /** Takes bytes from a position on. Throws a {@link ConnectionError} for a frame that is too large, and what the sink throws. */
  read(bytes: Buffer, start: number): void {
    let at = start;
    if (this.#length > 0) at = this.#complete(bytes, at);
    while (bytes.length - at >= frameHeaderBytes) {
      const end = at + frameHeaderBytes + payloadLength(bytes, at);
      if (end > bytes.length) break;
      this.#hand(bytes, at, end);
      at = end;
    }
    if (at < bytes.length) this.#append(bytes, at, bytes.length - at);
  }

  /** Lets go of what is set aside. */
  clear(): void {
    this.#part = nothing;
    this.#length = 0;
  }

  /** Adds to the frame that has begun, and hands it on when it is whole; gives where the next one begins. */
  #complete(bytes: Buffer, start: number): number {
    let at = this.#append(bytes, start, frameHeaderBytes);
    if (this.#length < frameHeaderBytes) return at;
    const whole = frameHeaderBytes + payloadLength(this.#part, 0);
    at = this.#append(bytes, at, whole);
    if (this.#length < whole) return at;
    const part = this.#part;
    this.clear();
    this.#hand(part, 0, whole);
    return at;
  }

  /** Copies until `wanted` bytes are set aside; gives where it stopped. */
  #append(bytes: Buffer, at: number, wanted: number): number {
    const length = Math.min(wanted, this.#length + bytes.length - at);
    if (length <= this.#length) return at;
    if (length > this.#part.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, Math.min(2 * length, maxPayloadBytes), firstBytes));
      this.#part.copy(larger, 0, 0, this.#length);
      this.#part = larger;
    }
    const end = at + length - this.#length;
    bytes.copy(this.#part, this.#length, at, end);
    this.#length = length;
    return end;
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
