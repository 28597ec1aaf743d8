import type { Incoming, Outgoing } from "../call.ts";
import { ServedCall } from "./call.ts";
import type { Caller, CallOwner, OpenStream } from "./call-owner.ts";
import type { GrpcHead, Method } from "./head.ts";
import type { Stream } from "../http2/stream.ts";
import { statusOf } from "../status.ts";

/** A call with a stream each way. */
export class DuplexCall extends ServedCall {
  /** The sending side as the door has it. */
  readonly #out: Outgoing & OpenStream = {
    send: (message) => this.#send(message),
    whenRead: (told) => this.#whenRead(told),
    end: () => this.#end(),
    drain: () => this.#drain(),
  };
  #incoming: Incoming | undefined;
  #halfClosed = false;
  #draining = false;

  constructor(stream: Stream, method: Method, head: GrpcHead, caller: Caller, owner: CallOwner) {
    super(stream, method, head, caller, owner);
    owner.streams.add(this.#out);
    try {
      this.#incoming = method.duplex!(this.#out, this);
    } catch (error) {
      this.failed(error);
    }
    if (owner.isDraining) this.#drain();
  }

  override drained(): void {
    if (this.ended) return;
    try {
      this.#incoming?.drained();
    } catch (error) {
      this.failed(error);
    }
  }

  protected override take(message: Uint8Array): void | Promise<void> {
    if (this.#halfClosed) return this.missed(1);
    const taken = this.#incoming!.message(message);
    this.release(message);
    return taken;
  }

  protected override finish(): void {
    if (this.ended || this.#halfClosed) return;
    this.#halfClosed = true;
    try {
      this.#incoming?.end();
    } catch (error) {
      this.failed(error);
    }
  }

  protected override lost(): void {
    this.owner.streams.delete(this.#out);
    try {
      this.#incoming?.gone();
    } catch (error) {
      this.failed(error);
    }
  }

  protected override missed(messages: number): void {
    this.#incoming?.missed?.(messages);
  }

  #send(message: Uint8Array): boolean {
    if (this.ended) return true;
    this.send(message);
    return !this.stream.holdBack();
  }

  #whenRead(told: () => void): boolean {
    return this.stream.whenRead(() => {
      if (this.ended) return;
      try {
        told();
      } catch (error) {
        this.failed(error);
      }
    });
  }

  #end(): void {
    this.owner.streams.delete(this.#out);
    if (this.#draining)
      this.fail(statusOf("WEIR_SHUTTING_DOWN", "the hub is stopping; what it did not answer it did not judge"));
    else this.succeed();
  }

  #drain(): void {
    // A client that has half-closed gets all its answers, and the end it waits for.
    if (!this.#halfClosed) this.#draining = true;
    this.finish();
  }
}
