import { flag, frameHeaderBytes, frameType, maxPayloadBytes, maxWindow, putFrameHeader, putUint32 } from "./frame.ts";
import type { Sender } from "./sender.ts";

/** Bytes that may wait for a slow peer before a handler is told to hold back, and down to which they must fall again. */
const highWater = 64 * 1024;
const lowWater = 16 * 1024;

/** Who serves a stream. No method throws. */
export interface StreamHandler {
  /**
   * A part of what the peer sends: `bytes[start]` to `bytes[end - 1]`, in memory that is written again as soon as this
   * and, after the last part, `end` have returned. `end` is called right after the last.
   */
  data(bytes: Buffer, start: number, end: number, isLast: boolean): void;
  /** The peer has sent all it will. */
  end(): void;
  /** Whether what came was taken. While it was not, the peer is given no window to send more. */
  readonly isReady: boolean;
  /** After {@link Stream.holdBack}: the peer can take more again. */
  drained(): void;
  /** The peer has reset the stream, or the connection is lost. Nothing can be sent any more. */
  gone(): void;
}

/** What a stream asks of its connection. */
export interface StreamOwner {
  readonly sender: Sender;
  /** The stream has sent its end. */
  ended(stream: Stream): void;
  /** Calls `told` when the peer has read everything that was put on its way before. */
  whenRead(told: () => void): void;
  /** Opens the peer's window as far as the stream's handler has taken what came. */
  reopen(stream: Stream): void;
}

/** What waits for the peer's windows: a HEADERS frame, or what is left of a piece of data. */
interface Waiting {
  readonly bytes: Uint8Array;
  readonly isHeaders: boolean;
  readonly endStream: boolean;
  at: number;
}

/** One stream of a connection: the sending side, and what the connection keeps of the receiving side. */
export class Stream {
  readonly id: number;
  /** When it was opened, by a clock that is never set, in milliseconds. */
  readonly startedMs: number;
  /** Bytes that the request announced; -1 when it did not. */
  readonly contentLength: number;
  /** Set by the connection as soon as there is one. */
  handler!: StreamHandler;
  /** The peer has sent its end. */
  remoteEnded = false;
  /** Nothing more is sent or received. */
  isOver = false;
  /** The link of the table of streams. */
  next: Stream | undefined = undefined;
  /** Bytes of DATA that came, and those of them for which the peer was given no new window. */
  receivedBytes = 0;
  unreturnedBytes = 0;
  readonly #owner: StreamOwner;
  readonly #sender: Sender;
  #window: number;
  #queue: Waiting[] | undefined;
  #waitingBytes = 0;
  #isHeld = false;

  constructor(id: number, startedMs: number, contentLength: number, owner: StreamOwner) {
    this.id = id;
    this.startedMs = startedMs;
    this.contentLength = contentLength;
    this.#owner = owner;
    this.#sender = owner.sender;
    this.#window = owner.sender.streamWindow;
  }

  /** Sends a HEADERS frame as `headersFrame` makes it. */
  sendHeaders(frame: Uint8Array): void {
    if (this.isOver) return;
    if (this.#queue === undefined) this.#putHeaders(frame);
    else this.#queue.push({ bytes: frame, isHeaders: true, endStream: false, at: 0 });
  }

  /** Sends data; of what the peer's windows do not let out at once, the bytes are kept and must not be written to. */
  sendData(bytes: Uint8Array, endStream = false): void {
    if (this.isOver) return;
    const { length } = bytes;
    if (this.#queue === undefined && this.#fits(length)) {
      const at = this.#reserve(length, endStream);
      this.#sender.outbox.chunk.set(bytes, at);
      this.#sent(endStream);
    } else this.#wait(bytes, undefined, endStream);
  }

  /** Sends a gRPC message that is not compressed: a prefix of five bytes, then the message, which is kept as data is. */
  sendMessage(message: Uint8Array): void {
    if (this.isOver) return;
    const { length } = message;
    if (this.#queue === undefined && this.#fits(prefixBytes + length)) {
      const at = this.#reserve(prefixBytes + length, false);
      const { chunk } = this.#sender.outbox;
      chunk[at] = 0;
      putUint32(chunk, at + 1, length);
      chunk.set(message, at + prefixBytes);
      this.#sent(false);
    } else {
      const prefix = Buffer.alloc(prefixBytes);
      putUint32(prefix, 1, length);
      this.#wait(prefix, message);
    }
  }

  /**
   * Calls `told` when the peer's transport has read what was sent; never, if the stream ends before. `false` when that
   * cannot be asked now, because something still waits for the peer's windows.
   */
  whenRead(told: () => void): boolean {
    if (this.isOver || this.#queue !== undefined) return false;
    this.#owner.whenRead(() => {
      if (!this.isOver) told();
    });
    return true;
  }

  /** Whether something waits for the peer's windows. */
  get isWaiting(): boolean {
    return this.#queue !== undefined;
  }

  /** Whether to send no more for now, because the peer takes less than it is sent: `drained` will be called then. */
  holdBack(): boolean {
    if (!this.#isHeld && this.#waitingBytes + this.#sender.outbox.backlog >= highWater) {
      this.#isHeld = true;
      this.#sender.hold(this);
    }
    return this.#isHeld;
  }

  /** Lets go of all that waits, so that what is sent next is the next that the peer gets. */
  discardWaiting(): void {
    this.#sender.waitingBytes -= this.#waitingBytes;
    this.#waitingBytes = 0;
    this.#queue = undefined;
    this.#sender.forget(this);
  }

  /** Says that the handler has taken what it had not ({@link StreamHandler.isReady}). */
  taken(): void {
    if (!this.isOver) this.#owner.reopen(this);
  }

  /** The peer takes more, or less, of this stream. `false` when the window would be larger than one can be. */
  widen(by: number): boolean {
    this.#window += by;
    return this.#window <= maxWindow;
  }

  /** Sends what waits as far as the windows allow, but no more frames of data than `frames`. */
  pump(frames = Infinity): void {
    const queue = this.#queue;
    while (queue !== undefined && queue.length > 0 && this.#queue === queue) {
      const first = queue[0]!;
      if (first.isHeaders) {
        queue.shift();
        this.#putHeaders(first.bytes);
        continue;
      }
      if (!this.#pumpData(first, frames--)) return;
      if (first.at === first.bytes.length) queue.shift();
    }
    if (this.#queue === queue && !this.isOver) {
      this.#queue = undefined;
      this.relieve();
    }
  }

  /** Tells a handler that holds back to go on, when little waits any more. */
  relieve(): void {
    // A socket that says nothing when it has taken all is not waited for.
    if (!this.#isHeld || this.#waitingBytes > lowWater || this.#sender.outbox.awaitsDrain) return;
    this.#isHeld = false;
    this.#sender.release(this);
    this.handler.drained();
  }

  #fits(bytes: number): boolean {
    return bytes <= maxPayloadBytes && bytes <= this.#window && bytes <= this.#sender.window;
  }

  #wait(bytes: Uint8Array, more?: Uint8Array, endStream = false): void {
    const isFirst = this.#queue === undefined;
    const queue = (this.#queue ??= []);
    for (const piece of more === undefined ? [bytes] : [bytes, more]) {
      queue.push({ bytes: piece, isHeaders: false, endStream, at: 0 });
      this.#waitingBytes += piece.length;
      this.#sender.waitingBytes += piece.length;
    }
    if (isFirst) this.pump();
  }

  /** Sends a frame of what waits; `false` when it has to go on waiting. */
  #pumpData(waiting: Waiting, frames: number): boolean {
    const { bytes, at } = waiting;
    const left = bytes.length - at;
    // A window may be below 0 (RFC 9113, 6.9.2).
    const length = Math.min(left, maxPayloadBytes, Math.max(0, Math.min(this.#window, this.#sender.window)));
    if (left > 0 && (length === 0 || frames <= 0)) {
      // A stream whose own window is shut goes on when that opens.
      if (this.#window > 0) this.#sender.stop(this);
      return false;
    }
    const isLast = length === left && waiting.endStream;
    const to = this.#reserve(length, isLast);
    this.#sender.outbox.chunk.set(bytes.subarray(at, at + length), to);
    waiting.at += length;
    this.#waitingBytes -= length;
    this.#sender.waitingBytes -= length;
    this.#sent(isLast);
    return true;
  }

  /** A DATA frame in the outbox; gives where its payload is to be written. */
  #reserve(length: number, endStream: boolean): number {
    const { outbox } = this.#sender;
    this.#window -= length;
    this.#sender.window -= length;
    this.#sender.dataFrames++;
    const at = outbox.reserve(frameHeaderBytes + length);
    return putFrameHeader(outbox.chunk, at, length, frameType.data, endStream ? flag.endStream : 0, this.id);
  }

  #putHeaders(frame: Uint8Array): void {
    const { outbox } = this.#sender;
    const at = outbox.reserve(frame.length);
    outbox.chunk.set(frame, at);
    putUint32(outbox.chunk, at + 5, this.id);
    this.#sent((frame[4]! & flag.endStream) !== 0);
  }

  #sent(endStream: boolean): void {
    this.#sender.touched();
    if (endStream) this.#owner.ended(this);
  }
}

/** A flag and a length of four bytes (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
const prefixBytes = 5;
