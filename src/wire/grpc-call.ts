import { ServerInterceptingCall, type Metadata, type ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { Log } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import type { Call, Duplex, Incoming, Outgoing, Unary } from "./call.ts";
import type { FrameDecoder } from "./frame-decoder.ts";
import { grpcCodeName, statusDetails, statusOf, toStatus, type Status } from "./status.ts";

/** A method as it is served. */
export type Method =
  | { readonly door: string; readonly name: string; readonly unary: Unary; readonly duplex?: undefined }
  | { readonly door: string; readonly name: string; readonly unary?: undefined; readonly duplex: Duplex };

/** What calls share: the server's outside world, and the streams that are open. */
export interface CallOwner {
  readonly observer: Observer;
  readonly log: Log;
  readonly now: () => number;
  readonly monotonic: () => number;
  readonly streams: Set<DuplexCall>;
}

/** The events of a call, as grpc-js tells an interceptor. */
type Listener = Parameters<ServerInterceptingCallInterface["start"]>[0];

/** Puts a listener of ours in the place of grpc-js's handler. */
export class MethodCall extends ServerInterceptingCall {
  readonly #next: ServerInterceptingCallInterface;
  readonly #listener: (call: ServerInterceptingCallInterface) => Listener;

  constructor(next: ServerInterceptingCallInterface, listener: (call: ServerInterceptingCallInterface) => Listener) {
    super(next);
    this.#next = next;
    this.#listener = listener;
  }

  override start(): void {
    this.#next.start(this.#listener(this.#next));
  }
}

const statusOk = { code: 0, details: "", metadata: null };

/** By how much a timer may be early against the clock. */
const timerSlackMs = 2;

/** What both kinds of call have: the facts that a door may ask, made when it asks. */
abstract class ServedCall implements Call {
  protected readonly wire: ServerInterceptingCallInterface;
  protected readonly method: Method;
  protected readonly owner: CallOwner;
  protected readonly frames: FrameDecoder;
  /** Whether a status was sent, or cannot be sent any more. */
  protected ended = false;
  readonly #startedMs: number;
  #metadata: Metadata | undefined;
  #abort: AbortController | undefined;

  constructor(wire: ServerInterceptingCallInterface, method: Method, owner: CallOwner, frames: FrameDecoder) {
    this.wire = wire;
    this.method = method;
    this.owner = owner;
    this.frames = frames;
    this.#startedMs = owner.monotonic();
    frames.onRefused = () => this.refused();
  }

  /** Without the port: a caller that connects again is the same caller. */
  get peer(): string {
    const peer = this.wire.getPeer();
    const colon = peer.lastIndexOf(":");
    return colon < 0 ? peer : peer.slice(0, colon);
  }

  get deadlineMs(): number | undefined {
    const deadline = Number(this.wire.getDeadline());
    return Number.isFinite(deadline) ? deadline : undefined;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.ended) this.#abort.abort();
    return this.#abort.signal;
  }

  header(name: string): string | undefined {
    const value = this.#metadata?.get(name)[0];
    return typeof value === "string" ? value : undefined;
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.#metadata = metadata;
  }

  /** The call is over, whether well, by our status, or because the caller, its deadline or the transport ended it. */
  onCancel(): void {
    if (this.ended) return;
    this.ended = true;
    const leftMs = (this.deadlineMs ?? Infinity) - this.owner.now();
    this.observe(leftMs <= timerSlackMs ? "DEADLINE_EXCEEDED" : "CANCELLED");
    this.#abort?.abort();
    this.lost();
  }

  /** The call ended without our doing. */
  protected lost(): void {}

  /** The call ends because too much is held of messages that did not come whole. */
  protected refused(): void {
    this.fail(statusOf("WEIR_OVERLOADED", "too many messages have begun to come and did not end"));
  }

  protected succeed(): void {
    if (this.ended) return;
    this.ended = true;
    this.wire.sendStatus(statusOk);
    this.observe("OK");
  }

  protected fail(status: Status): void {
    if (status.fault !== undefined) {
      this.owner.log.error({ err: status.fault, door: this.method.door, method: this.method.name }, "a call failed");
    }
    if (this.ended) return;
    this.ended = true;
    this.wire.sendStatus({
      code: status.grpc,
      details: statusDetails(`${status.code}: ${status.message}`),
      metadata: null,
    });
    this.observe(grpcCodeName(status.grpc));
    this.#abort?.abort();
  }

  /** The call is over. */
  protected observe(code: string): void {
    this.frames.close();
    this.owner.observer.call(this.method.door, this.method.name, code, this.owner.monotonic() - this.#startedMs);
  }
}

/** A call with one message each way. A handler that answers at once costs no promise. */
export class UnaryCall extends ServedCall implements Listener {
  #message: Uint8Array | undefined;

  override onReceiveMetadata(metadata: Metadata): void {
    super.onReceiveMetadata(metadata);
    this.wire.startRead();
  }

  onReceiveMessage(message: Uint8Array): void {
    this.frames.taken();
    if (this.#message !== undefined) {
      return this.fail(statusOf("WEIR_REQUEST_MALFORMED", "the method takes one message, and a second one came"));
    }
    this.#message = message;
    this.wire.startRead();
  }

  onReceiveHalfClose(): void {
    if (this.ended) return;
    if (this.#message === undefined) {
      return this.fail(statusOf("WEIR_REQUEST_MALFORMED", "the method takes one message, and none came"));
    }
    try {
      const answer = this.method.unary!(this.#message, this);
      if (answer instanceof Uint8Array) this.#answer(answer);
      else {
        answer.then(
          (bytes) => this.#answer(bytes),
          (error: unknown) => this.fail(toStatus(error)),
        );
      }
    } catch (error) {
      this.fail(toStatus(error));
    }
  }

  #answer(bytes: Uint8Array): void {
    if (this.ended) return;
    this.wire.sendMessage(bytes, noop);
    this.succeed();
  }
}

/** Bytes that may wait for a slow peer before a door is told to hold back, and down to which they must fall again. */
const highWater = 64 * 1024;
const lowWater = 16 * 1024;

/** A call with a stream each way. */
export class DuplexCall extends ServedCall implements Listener, Outgoing {
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

  /** Reads no more, and lets the door answer what it has. */
  drain(): void {
    // A client that has half-closed gets all its answers, and the end it waits for.
    if (!this.#halfClosed) this.#draining = true;
    this.onReceiveHalfClose();
  }

  protected override lost(): void {
    this.owner.streams.delete(this);
    this.#incoming?.gone();
  }

  protected override refused(): void {
    this.owner.streams.delete(this);
    super.refused();
    this.#incoming?.gone();
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

function noop(): void {}
