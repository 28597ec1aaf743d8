import type { Socket } from "node:net";

const chunkSize = 64 * 1024;

/** Collects what a connection writes, so that many frames cost one write. Chunks are used again once they are written. */
export class Outbox {
  readonly #socket: Socket;
  readonly #free: Buffer[] = [];
  #chunk: Buffer = Buffer.allocUnsafeSlow(chunkSize);
  #length = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** How much of the chunk is filled. */
  get length(): number {
    return this.#length;
  }

  /** Copies bytes, at most a chunk, and says where in the chunk they begin. */
  append(bytes: Buffer, start = 0, end = bytes.length): number {
    if (this.#length + end - start > chunkSize) this.flush();
    const at = this.#length;
    bytes.copy(this.#chunk, at, start, end);
    this.#length += end - start;
    return at;
  }

  /** Writes 4 bytes over what was appended last. */
  patch(value: number, at: number): void {
    this.#chunk.writeUInt32BE(value, at);
  }

  /** Hands to the socket what was appended. */
  flush(): void {
    if (this.#length === 0) return;
    const chunk = this.#chunk;
    this.#socket.write(chunk.subarray(0, this.#length), () => this.#free.push(chunk));
    this.#chunk = this.#free.pop() ?? Buffer.allocUnsafeSlow(chunkSize);
    this.#length = 0;
  }
}
