import { ConnectionError, errorCode, initialWindow, maxWindow } from "./frame.ts";
import type { Outbox } from "./outbox.ts";
import type { Stream } from "./stream.ts";

/** What the streams of a connection share to send with: the outbox and the connection's window. */
export class Sender {
  readonly outbox: Outbox;
  /** Bytes of DATA that the peer takes on the connection, and on a stream that begins. */
  window = initialWindow;
  streamWindow = initialWindow;
  /** Bytes that wait for the peer's windows, over all streams. */
  waitingBytes = 0;
  /** Frames of DATA that were sent and not looked at yet: the peer may answer each with a window. */
  dataFrames = 0;
  /** Says that something was put into the outbox, which has to be flushed sometime. */
  readonly touched: () => void;
  /** Streams that the connection's window holds up, in the order of their turns. */
  readonly #stopped = new Set<Stream>();
  /** Streams whose handler waits to be told that it may send again. */
  readonly #held = new Set<Stream>();

  constructor(outbox: Outbox, touched: () => void) {
    this.outbox = outbox;
    this.touched = touched;
  }

  /** Sends frames that no window bounds. */
  control(frames: Uint8Array): void {
    this.outbox.append(frames);
    this.touched();
  }

  /** A stream has to wait until the connection's window opens. */
  stop(stream: Stream): void {
    this.#stopped.add(stream);
  }

  /** A stream's handler waits for {@link Stream.relieve}. */
  hold(stream: Stream): void {
    this.#held.add(stream);
  }

  release(stream: Stream): void {
    this.#held.delete(stream);
  }

  /** A stream is gone. */
  forget(stream: Stream): void {
    this.#stopped.delete(stream);
    this.#held.delete(stream);
  }

  /** The peer takes more on the connection. Streams take turns of a frame each. */
  open(by: number): void {
    this.window += by;
    if (this.window > maxWindow)
      throw new ConnectionError(errorCode.flowControl, "the connection's window is too large");
    for (const stream of this.#stopped) {
      if (this.window <= 0) break;
      // A stream that has more to send goes to the end of this set, and comes again in this loop.
      this.#stopped.delete(stream);
      stream.pump(1);
    }
  }

  /** The socket has taken all that was written. */
  drained(): void {
    for (const stream of this.#held) stream.relieve();
  }
}
