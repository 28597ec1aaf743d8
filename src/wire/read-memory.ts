import { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** The most that libuv reads at once. */
const memoryBytes = 64 * 1024;

/** What a `net.Socket` keeps of its option `onread`, by the descriptions of the symbols that it is kept under. */
const optionNames = ["kBuffer", "kBufferCb", "kBufferGen"] as const;

/** A `net.Socket` with the parts of it that its types do not tell of. */
type OpenedSocket = Socket & {
  readonly _handle?: { readonly useUserBuffer?: (memory: Uint8Array) => void } | null;
  [option: symbol]: unknown;
};

/**
 * Memory that all sockets of a listener read into by turns.
 *
 * Node makes new memory for each read of a socket, and V8 counts that with its heap, of which it collects all once the
 * two have grown by a part. Under a load of large messages a hub would spend half of its CPU on collecting a heap in
 * which nothing has changed. A socket of `net.connect` can be told to read into its caller's memory (`onread`), one of
 * `net.createServer` cannot; so this sets what the option sets. Where a version of Node keeps it in another way, a socket
 * reads as Node has it read.
 */
export class ReadMemory {
  readonly #memory = Buffer.allocUnsafeSlow(memoryBytes);

  /** Hands on what the socket reads from now on. `take` must copy what it keeps: the memory is written again. */
  serve(socket: Duplex, take: (bytes: Buffer) => void): void {
    if (!(socket instanceof Socket) || !this.#setOption(socket as OpenedSocket, take)) socket.on("data", take);
  }

  #setOption(socket: OpenedSocket, take: (bytes: Buffer) => void): boolean {
    const symbols = Object.getOwnPropertySymbols(socket);
    const [memory, callback, generator] = optionNames.map((name) => symbols.find((each) => each.description === name));
    if (memory === undefined || callback === undefined || generator === undefined) return false;
    const handle = socket._handle;
    if (typeof handle?.useUserBuffer !== "function" || socket[memory] !== null || socket.readableLength > 0)
      return false;
    handle.useUserBuffer(this.#memory);
    socket[memory] = this.#memory;
    socket[callback] = (length: number) => take(this.#memory.subarray(0, length));
    return true;
  }
}
