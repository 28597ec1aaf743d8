import type { Metadata } from "@grpc/grpc-js";
import type { Incoming, Outgoing } from "./call.ts";
import { ServedCall, type Listener, type OpenStream } from "./grpc-call.ts";
import { statusOf, toStatus } from "./status.ts";

/** Bytes that may wait for a slow peer before a door is told to hold back, and down to which they must fall again. */
const highWater = 64 * 1024;
const lowWater = 16 * 1024;

/** A call with a stream each way. */
export class DuplexCall extends ServedCall implements Listener, Outgoing, OpenStream {
  #incoming: Incoming | undefined;
  /** Bytes handed to the transport that the peer's window has not let out yet. */
  #waiting = 0;
  #held = false;
  #reading = false;
  #readAgain = false;
  #halfClosed = false;
  #draining = false;

  override onReceiveMetadata(metadata: Metadata): void {
    super.onReceiveMetadata(metadata);
    this.owner.streams.add(this);
    try {
      this.#incoming = this.method.duplex!(this, this);
    } catch (error) {
      return this.#failed(error);
    }
    this.#read();
  }

  onReceiveMessage(message: Uint8Array): void {
    this.frames.taken();
    if (this.ended || this.#halfClosed) return;
    try {
      const taken = this.#incoming!.message(message);
      if (taken === undefined) this.#read();
      else
        taken.then(
          () => this.#read(),
          (error: unknown) => this.#failed(error),
        );
    } catch (error) {
      this.#failed(error);
    }
  }

  onReceiveHalfClose(): void {
    if (this.ended || this.#halfClosed) return;
    this.#halfClosed = true;
    try {
      this.#incoming?.end();
    } catch (error) {
      this.#failed(error);
    }
  }

  send(message: Uint8Array): boolean {
    if (this.ended) return true;
    const size = message.byteLength + 5;
    this.#waiting += size;
    this.wire.sendMessage(message, () => this.#sent(size));
    if (this.#waiting >= highWater) this.#held = true;
    return !this.#held;
  }

  end(): void {
    this.owner.streams.delete(this);
    if (this.#draining)
      this.fail(statusOf("WEIR_SHUTTING_DOWN", "the hub is stopping; what it did not answer it did not judge"));
    else this.succeed();
  }

  drain(): void {
    // A client that has half-closed gets all its answers, and the end it waits for.
    if (!this.#halfClosed) this.#draining = true;
    this.onReceiveHalfClose();
  }

  protected override lost(): void {
    this.owner.streams.delete(this);
    this.#incoming?.gone();
  }

  protected override refused(error: unknown): void {
    this.#failed(error);
  }

  #failed(error: unknown): void {
    this.owner.streams.delete(this);
    const open = !this.ended;
    this.fail(toStatus(error));
    if (open) this.#incoming?.gone();
  }

  /** Asks for one message. Messages that have arrived come inside `startRead`: a loop, lest they nest on the stack. */
  #read(): void {
    if (this.#reading) {
      this.#readAgain = true;
      return;
    }
    this.#reading = true;
    do {
      this.#readAgain = false;
      if (!this.ended && !this.#halfClosed) this.wire.startRead();
    } while (this.#readAgain);
    this.#reading = false;
  }

  #sent(size: number): void {
    this.#waiting -= size;
    if (!this.#held || this.#waiting > lowWater) return;
    this.#held = false;
    if (this.ended) return;
    try {
      this.#incoming?.drained();
    } catch (error) {
      this.#failed(error);
    }
  }
}
