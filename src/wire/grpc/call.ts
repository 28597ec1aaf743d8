import type { Call } from "../call.ts";
import type { Client } from "../client.ts";
import type { Expiring } from "../deadlines.ts";
import type { Caller, CallOwner } from "./call-owner.ts";
import { fieldOf, type GrpcHead, type Method } from "./head.ts";
import { okTrailers, responseHeaders, statusFrame } from "./status.ts";
import type { Holder } from "../held-bytes.ts";
import { uint32At } from "../http2/frame.ts";
import type { Stream, StreamHandler } from "../http2/stream.ts";
import type { InflateFailure } from "../inflater.ts";
import { MessageReader, type MessageSink, prefixBytes } from "../message-reader.ts";
import { grpcCodeName, statusOf, toStatus, type Status } from "../status.ts";

/** By how much a timer may be early against the clock. */
const timerSlackMs = 2;
/** What a message that waits is counted beside its bytes. */
const waitingCost = 64;

interface Waiting {
  readonly bytes: Buffer;
  readonly flag: number;
}

/**
 * A call on its stream: cuts what comes into messages, inflates them, hands them on one by one, and ends once. Facts that
 * a door may ask are made when it asks.
 */
export abstract class ServedCall implements Call, StreamHandler, MessageSink, Holder, Expiring {
  protected readonly stream: Stream;
  protected readonly method: Method;
  protected readonly owner: CallOwner;
  /** Whether a status was sent, or cannot be sent any more. */
  protected ended = false;
  /** Whether the caller has sent all it will, and all of it was handed on. */
  protected isComplete = false;
  /** Bytes of messages that the call itself keeps until it ends. */
  protected keptBytes = 0;
  readonly #head: GrpcHead;
  readonly #caller: Caller;
  #headersSent = false;
  #abort: AbortController | undefined;
  #reader: MessageReader | undefined;
  #waiting: Waiting[] | undefined;
  #waitingBytes = 0;
  #heldBytes = 0;
  /** A message is being inflated, or the door works on one. */
  #isBusy = false;

  constructor(stream: Stream, method: Method, head: GrpcHead, caller: Caller, owner: CallOwner) {
    this.stream = stream;
    this.method = method;
    this.owner = owner;
    this.#head = head;
    this.#caller = caller;
    if (head.timeoutMs !== undefined) owner.deadlines.add(this);
  }

  get peer(): string {
    return this.#caller.peer;
  }

  get client(): Client | undefined {
    return this.#caller.client;
  }

  get deadlineMs(): number | undefined {
    if (this.#head.timeoutMs === undefined) return undefined;
    return this.owner.now() + this.expiresMs - this.owner.monotonic();
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.ended) this.#abort.abort();
    return this.#abort.signal;
  }

  header(name: string): string | undefined {
    return fieldOf(this.#head.list, name);
  }

  get expiresMs(): number {
    return this.stream.startedMs + (this.#head.timeoutMs ?? Infinity);
  }

  get isOver(): boolean {
    return this.ended;
  }

  expire(): void {
    if (this.ended) return;
    this.stream.discardWaiting();
    this.#end(deadlineExceeded, "the deadline has passed");
    this.lost();
  }

  // What comes.

  data(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    if (this.ended) return;
    const body = start + prefixBytes;
    const isWhole = end >= body && uint32At(bytes, start + 1) === end - body;
    if (this.#reader === undefined && isWhole && end - body <= this.owner.maxMessageBytes) {
      this.message(bytes.subarray(body, end), bytes[start]!);
    } else {
      this.#reader ??= new MessageReader(this.owner.maxMessageBytes, this, this.owner.messages);
      this.#reader.write(bytes, start, end);
    }
    // Most calls end right after their last data, and need not be counted.
    if (isLast || this.ended) return;
    this.keep();
    this.#count();
  }

  message(bytes: Buffer, flag: number): void {
    if (this.ended) return;
    if (!this.#isBusy && this.#waiting === undefined) return this.#hand(bytes, flag);
    (this.#waiting ??= []).push({ bytes: this.own(bytes), flag });
    this.#waitingBytes += waitingCost + bytes.length;
  }

  tooLarge(bytes: number): void {
    const message = `the message has ${bytes} bytes, and at most ${this.owner.maxMessageBytes} are taken`;
    if (!this.ended) this.missed(1);
    this.#refused(statusOf("WEIR_REQUEST_TOO_LARGE", message));
  }

  end(): void {
    this.isComplete = true;
    if (this.ended) return;
    if (!this.#isBusy && this.#waiting === undefined) this.finish();
    this.#count();
  }

  get isReady(): boolean {
    return this.#waiting === undefined;
  }

  gone(): void {
    if (this.ended) return;
    this.ended = true;
    const isLate = this.expiresMs - this.owner.monotonic() <= timerSlackMs;
    this.#over(isLate ? "DEADLINE_EXCEEDED" : "CANCELLED");
    this.#abort?.abort();
    this.lost();
  }

  refuse(): void {
    this.#refused(statusOf("WEIR_OVERLOADED", "too much is held of messages whose calls do not end"));
  }

  drained(): void {}

  /** Takes a message. A promise holds the next one back until it is kept; one that is broken fails the call. */
  protected abstract take(message: Buffer): void | Promise<void>;

  /** Says that the door is done with a message. What waits to be sent may lie in its memory, which then is left alone. */
  protected release(message: Uint8Array): void {
    if (!this.stream.isWaiting) this.#reader?.release(message);
  }

  /** A message for longer than the turn that it came in: what sockets read into is written again. */
  protected own(message: Buffer): Buffer {
    return this.#reader?.holds(message) === true ? message : Buffer.from(message);
  }

  /** More is to come: what the call keeps is kept for longer. */
  protected keep(): void {}

  /** The caller has sent all it will. */
  protected abstract finish(): void;

  /** The call ended, and not by the door's word. */
  protected lost(): void {}

  /** So many messages came that are not handed on. */
  protected missed(_messages: number): void {}

  #hand(bytes: Buffer, flag: number): void {
    if (flag === 0) return this.#deliver(bytes);
    const { encoding } = this.#head;
    if (flag !== 1 || encoding === "identity") {
      const status = statusOf("WEIR_REQUEST_MALFORMED", "a message is compressed, and grpc-encoding does not say how");
      this.missed(1);
      return this.#refused({ ...status, grpc: internal });
    }
    this.#isBusy = true;
    this.#waitingBytes += waitingCost + bytes.length;
    this.owner.inflater.inflate(this.own(bytes), encoding, (outcome) => {
      this.#isBusy = false;
      this.#waitingBytes -= waitingCost + bytes.length;
      if (this.ended || typeof outcome === "string") this.missed(1);
      if (this.ended) return;
      if (typeof outcome === "string") this.#refused(this.#inflateStatus(outcome));
      else this.#deliver(outcome);
      this.#goOn();
    });
  }

  #inflateStatus(failure: InflateFailure): Status {
    if (failure === "malformed")
      return statusOf("WEIR_REQUEST_MALFORMED", "a compressed message could not be inflated");
    const message = `the message has more than ${this.owner.maxMessageBytes} bytes once it is inflated`;
    return statusOf("WEIR_REQUEST_TOO_LARGE", message);
  }

  #deliver(message: Buffer): void {
    try {
      const taken = this.take(message);
      if (taken === undefined) return;
      this.#isBusy = true;
      taken.then(
        () => {
          this.#isBusy = false;
          this.#goOn();
        },
        (error: unknown) => this.failed(error),
      );
    } catch (error) {
      this.failed(error);
    }
  }

  /** Hands on what waits, message by message in a loop, lest thousands of them nest on the stack. */
  #goOn(): void {
    while (this.#waiting !== undefined && !this.#isBusy && !this.ended) {
      const { bytes, flag } = this.#waiting.shift()!;
      this.#waitingBytes -= waitingCost + bytes.length;
      this.#hand(bytes, flag);
      if (this.#waiting?.length === 0) this.#waiting = undefined;
    }
    if (this.ended) return;
    if (!this.isComplete) this.keep();
    this.#count();
    if (this.#waiting !== undefined) return;
    this.stream.taken();
    if (this.isComplete && !this.#isBusy) this.finish();
  }

  #count(): void {
    const bytes = this.ended ? 0 : this.keptBytes + this.#waitingBytes + (this.#reader?.heldBytes ?? 0);
    if (bytes !== this.#heldBytes) this.owner.held.set(this, (this.#heldBytes = bytes));
  }

  // What is sent.

  protected send(message: Uint8Array): void {
    if (!this.#headersSent) {
      this.#headersSent = true;
      this.stream.sendHeaders(responseHeaders);
    }
    this.stream.sendMessage(message);
  }

  protected succeed(): void {
    if (this.ended) return;
    this.ended = true;
    this.stream.sendHeaders(this.#headersSent ? okTrailers : statusFrame(0, "", true));
    this.#over("OK");
  }

  /** The call ends because of what a door, or what came, threw. */
  protected failed(error: unknown): void {
    this.#refused(toStatus(error));
  }

  #refused(status: Status): void {
    const wasOpen = !this.ended;
    this.fail(status);
    if (wasOpen) this.lost();
  }

  /** Ends the call with a status. */
  protected fail(status: Status): void {
    if (status.fault !== undefined) {
      this.owner.log.error({ err: status.fault, door: this.method.door, method: this.method.name }, "a call failed");
    }
    if (!this.ended) this.#end(status.grpc, `${status.code}: ${status.message}`);
  }

  #end(code: number, details: string): void {
    this.ended = true;
    this.stream.sendHeaders(statusFrame(code, details, !this.#headersSent));
    this.#over(grpcCodeName(code));
    this.#abort?.abort();
  }

  #over(code: string): void {
    this.#reader?.close();
    if (this.#waiting !== undefined) this.missed(this.#waiting.length);
    this.#waiting = undefined;
    this.#count();
    if (this.#head.timeoutMs !== undefined) this.owner.deadlines.remove(this);
    const { door, name } = this.method;
    this.owner.observer.call(door, name, code, this.owner.monotonic() - this.stream.startedMs);
  }
}

const deadlineExceeded = 4;
const internal = 13;
