import type { Log } from "../sdk/index.ts";
import type { CacheCounts } from "../util/cache-counts.ts";
import type { Observer } from "../util/observer.ts";
import type { Client } from "./client.ts";
import type { OpenSession } from "./session.ts";

/** What a door knows of the call that carried a message. */
export interface Call {
  /** The caller's address as the transport sees it, for logs and to scope deduplication ids. */
  readonly peer: string;
  /** Epoch milliseconds until which the caller waits, if it said so. */
  readonly deadlineMs?: number | undefined;
  /** Aborted when the caller is gone or its deadline has passed. */
  readonly signal: AbortSignal;
  /** A request header (gRPC metadata or HTTP), first value, by lower case name. */
  header(name: string): string | undefined;
  /** Who calls, at a listener that names its clients; one of its doors is reached by those only who may use it. */
  readonly client?: Client | undefined;
}

/**
 * A unary method: the message's bytes in, the answer's bytes out. The message's memory is used again as soon as this has
 * returned, be it a promise: what it keeps it copies, and its answer lies elsewhere. Throws a `WeirError` for a call that fails as a whole.
 */
export type Unary = (message: Uint8Array, call: Call) => Uint8Array | Promise<Uint8Array>;

/** The sending side of a stream of messages. */
export interface Outgoing {
  /** Sends one message. `false` means that the peer is slow: hold back until `drained` is called. */
  send(message: Uint8Array): boolean;
  /**
   * Calls `told` once the peer's transport has read all that was sent; never, if the stream ends before. `false` when
   * that cannot be asked, because the peer is slow: ask again later.
   */
  whenRead(told: () => void): boolean;
  /** Ends the stream well. */
  end(): void;
}

/** The receiving side, as a door implements it. */
export interface Incoming {
  /**
   * One message, whose memory is used again as soon as this has returned, be it a promise. While that promise is pending,
   * no further message is read from the wire.
   */
  message(message: Uint8Array): void | Promise<void>;
  /** The peer has sent all it will; the door answers what is left and ends. */
  end(): void;
  /** The peer can take messages again. */
  drained(): void;
  /** The stream is gone; nothing can be sent any more. */
  gone(): void;
  /**
   * Messages came that are not handed on: one too large or not to be inflated, or such as waited when the stream ended.
   * For a door whose callers do not ask what became of them.
   */
  missed?(messages: number): void;
}

/** A method with a stream each way. */
export type Duplex = (out: Outgoing, call: Call) => Incoming;

/** A gRPC service as its door implements it: full method path (`/istio.mixer.v1.Mixer/Check`) to handler. */
export interface GrpcDoor {
  /** For metrics: `mixer`, `stream`, `health`, ... */
  readonly name: string;
  readonly unary: ReadonlyMap<string, Unary>;
  readonly duplex: ReadonlyMap<string, Duplex>;
  /** For metrics: what it keeps of messages and answers to be faster, by what that is: `words`, `answers`. */
  readonly caches?: Readonly<Record<string, CacheCounts>>;
}

/** What every door is made from. */
export interface DoorOptions {
  readonly open: OpenSession;
  readonly observer: Observer;
  readonly log: Log;
}
