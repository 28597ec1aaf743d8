import { ServerInterceptingCall, type Metadata, type ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { Log } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import type { Call, Duplex, Unary } from "./call.ts";
import type { FrameDecoder } from "./frame-decoder.ts";
import { grpcCodeName, statusDetails, toStatus, type Status } from "./status.ts";

/** A method as it is served. */
export type Method =
  | { readonly door: string; readonly name: string; readonly unary: Unary; readonly duplex?: undefined }
  | { readonly door: string; readonly name: string; readonly unary?: undefined; readonly duplex: Duplex };

/** A stream that has not ended. */
export interface OpenStream {
  /** Reads no more, and lets the door answer what it has. */
  drain(): void;
}

/** What calls share: the server's outside world, and the streams that are open. */
export interface CallOwner {
  readonly observer: Observer;
  readonly log: Log;
  readonly now: () => number;
  readonly monotonic: () => number;
  readonly streams: Set<OpenStream>;
}

/** The events of a call, as grpc-js tells an interceptor. */
export type Listener = Parameters<ServerInterceptingCallInterface["start"]>[0];

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
export abstract class ServedCall implements Call {
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
    frames.onRefused = (error) => this.refused(error);
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

  /** The call ends because of what has come of a message: it is too large, or too much is held. */
  protected refused(error: unknown): void {
    this.fail(toStatus(error));
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
