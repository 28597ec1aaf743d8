import { connect, type Socket } from "node:net";
import {
  flag,
  frame,
  frameHeader,
  frameType,
  initialWindow,
  maxFramePayload,
  preface,
  setting,
  settingsFrame,
  windowUpdateFrame,
} from "./frames.ts";
import type { Accept } from "./accept.ts";
import { type Answer, AnswerReader } from "./answer.ts";
import { Outbox } from "./outbox.ts";
import type { Prepared } from "./prepared.ts";

/** What happened so far. */
export interface Tally {
  /** Calls that were answered as they should be. */
  answered: number;
  /** Calls that were not: another status, another message, a stream that was reset. */
  failed: number;
  /** What the first failed call was answered, for people. */
  failure: string | undefined;
}

/** What the connections of one load share. */
export interface Shared {
  /** `HOST:PORT` */
  readonly address: string;
  readonly accept: Accept;
  readonly tally: Tally;
  /** Calls that may still be sent. */
  budget: number;
  take(): Prepared;
  /** A connection has nothing in flight. */
  idle(): void;
  fail(error: Error): void;
}

/** A call in flight. */
interface Stream extends Answer {
  message: Prepared;
  /** How many parts of the message were sent. */
  sent: number;
  /** How much more of the message the server takes. */
  window: number;
}

const readSize = 256 * 1024;
const ownWindow = 0x7fff_ffff;
/** Stream ids are 31 bits; a connection is given up before they run out. */
const lastStreamId = 0x7fff_ffff - 2;

/**
 * One HTTP/2 connection, written for load: prepared frames are copied into a chunk and patched with their stream's id;
 * what one read of the socket makes room for is written at once. It keeps to the server's windows and settings, and
 * reads no more of an answer than tells whether it is the one expected.
 */
export class Connection {
  readonly #shared: Shared;
  readonly #socket: Socket;
  readonly #streams = new Map<number, Stream>();
  /** Streams whose message was not sent whole, because the server's windows did not allow it. */
  readonly #unsent = new Set<number>();
  readonly #freeStreams: Stream[] = [];
  readonly #out: Outbox;
  readonly #answers: AnswerReader;
  #rest: Buffer | undefined;
  #nextId = 1;
  #limit = 0;
  #maxStreams = Infinity;
  #window = initialWindow;
  #streamWindow = initialWindow;
  #received = 0;
  #closing = false;
  #ready: (() => void) | undefined;

  /** Connects, and resolves once the server has said its settings. */
  static open(shared: Shared): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const connection: Connection = new Connection(shared, () => resolve(connection), reject);
    });
  }

  private constructor(shared: Shared, ready: () => void, refused: (error: Error) => void) {
    this.#shared = shared;
    this.#ready = ready;
    this.#answers = new AnswerReader(shared.accept);
    const colon = shared.address.lastIndexOf(":");
    const buffer = Buffer.allocUnsafeSlow(readSize);
    const onread = { buffer, callback: (length: number) => this.#read(buffer, length) };
    const host = shared.address.slice(0, colon);
    this.#socket = connect({ host, port: Number(shared.address.slice(colon + 1)), noDelay: true, onread });
    this.#out = new Outbox(this.#socket);
    const lost = (error: Error): void => {
      refused(error);
      if (!this.#closing) shared.fail(error);
    };
    this.#socket.on("error", lost);
    this.#socket.on("close", () => lost(new Error("the server closed the connection")));
    // Without a header table the server's header blocks say all by themselves (see saysOk).
    this.#out.append(preface);
    this.#out.append(
      settingsFrame([
        [setting.headerTableSize, 0],
        [setting.enablePush, 0],
        [setting.initialWindowSize, ownWindow],
      ]),
    );
    this.#out.append(windowUpdateFrame(0, ownWindow - initialWindow));
    this.#out.flush();
  }

  /** What it waits for, for people. */
  toString(): string {
    const inFlight = [...this.#streams]
      .slice(0, 3)
      .map(([id, { sent, window }]) => `${id} (sent ${sent}, window ${window})`);
    return (
      `${this.#streams.size} in flight: ${inFlight.join(", ")}, ${this.#unsent.size} not sent whole, window ${this.#window}, ` +
      `${this.#rest?.length ?? 0} bytes of a frame read, ${this.#socket.writableLength} not written`
    );
  }

  get inFlight(): number {
    return this.#streams.size;
  }

  /** Whether stream ids have run out. */
  get spent(): boolean {
    return this.#nextId >= lastStreamId && this.#streams.size === 0;
  }

  /** Sends calls until `limit` are in flight, and another one for each that is answered. */
  start(limit: number): void {
    this.#limit = limit;
    this.#fill();
    this.#out.flush();
  }

  close(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  #fill(): void {
    const limit = Math.min(this.#limit, this.#maxStreams);
    while (this.#streams.size < limit && this.#shared.budget > 0 && this.#nextId < lastStreamId) {
      this.#shared.budget--;
      const id = this.#nextId;
      this.#nextId += 2;
      const stream = this.#freeStreams.pop() ?? ({} as Stream);
      stream.message = this.#shared.take();
      stream.sent = 0;
      stream.window = this.#streamWindow;
      stream.partial = undefined;
      stream.accepted = false;
      this.#streams.set(id, stream);
      if (this.#unsent.size > 0 || !this.#send(id, stream)) this.#unsent.add(id);
    }
  }

  /** Sends as much of a message as the windows allow; `true` when that is all of it. */
  #send(id: number, stream: Stream): boolean {
    const { bytes, ends, payloads } = stream.message;
    while (stream.sent < ends.length) {
      const payload = payloads[stream.sent]!;
      if (payload > this.#window || payload > stream.window) return false;
      const start = stream.sent === 0 ? 0 : ends[stream.sent - 1]!;
      const at = this.#out.append(bytes, start, ends[stream.sent]!);
      this.#out.patch(id, at + 5);
      if (stream.sent === 0) this.#out.patch(id, this.#out.length - payload - 4);
      this.#window -= payload;
      stream.window -= payload;
      stream.sent++;
    }
    return true;
  }

  #resume(): void {
    for (const id of this.#unsent) {
      if (this.#send(id, this.#streams.get(id)!)) this.#unsent.delete(id);
    }
  }

  /** Takes what the socket has read. The buffer is the socket's and is overwritten by the next read. */
  #read(buffer: Buffer, length: number): boolean {
    let bytes = buffer;
    let end = length;
    if (this.#rest !== undefined) {
      bytes = Buffer.concat([this.#rest, buffer.subarray(0, length)]);
      end = bytes.length;
      this.#rest = undefined;
    }
    let at = 0;
    try {
      while (end - at >= frameHeader) {
        const size = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
        if (end - at < frameHeader + size) break;
        const id = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
        const start = at + frameHeader;
        at = start + size;
        this.#frame(bytes, bytes[start - 6]!, bytes[start - 5]!, id, start, at);
      }
    } catch (error) {
      this.#shared.fail(error as Error);
      return false;
    }
    if (at < end) this.#rest = Buffer.from(bytes.subarray(at, end));
    if (this.#unsent.size > 0) this.#resume();
    this.#fill();
    this.#out.flush();
    if (this.#streams.size === 0) this.#shared.idle();
    return true;
  }

  #frame(bytes: Buffer, type: number, flags: number, id: number, start: number, end: number): void {
    switch (type) {
      case frameType.data:
        if ((flags & flag.padded) !== 0) throw new Error("the server pads its frames, which this load does not read");
        this.#received += end - start;
        this.#answers.message(this.#streams.get(id), bytes, start, end);
        if ((flags & flag.endStream) !== 0) this.#ended(id, false, () => "no trailers");
        break;
      case frameType.headers:
        if ((flags & flag.endHeaders) === 0 || (flags & flag.padded) !== 0)
          throw new Error("the server splits or pads its headers, which this load does not read");
        if ((flags & flag.endStream) !== 0) {
          const why = this.#answers.trailers(bytes, start, end);
          this.#ended(id, why === undefined, () => why ?? "a message that was not expected");
        }
        break;
      case frameType.reset:
        this.#ended(id, false, () => `reset with HTTP/2 error ${bytes.readUInt32BE(start)}`);
        break;
      case frameType.settings:
        if ((flags & flag.ack) === 0) this.#settings(bytes, start, end);
        break;
      case frameType.ping:
        if ((flags & flag.ack) === 0) this.#out.append(frame(frameType.ping, flag.ack, 0, bytes.subarray(start, end)));
        break;
      case frameType.goAway:
        throw new Error(`the server says go away, HTTP/2 error ${bytes.readUInt32BE(start + 4)}`);
      case frameType.windowUpdate: {
        const by = bytes.readUInt32BE(start) & 0x7fff_ffff;
        if (id === 0) this.#window += by;
        else {
          const stream = this.#streams.get(id);
          if (stream !== undefined) stream.window += by;
        }
        break;
      }
      case frameType.continuation:
      case frameType.push:
        throw new Error(`the server sends a frame of type ${type}, which this load does not read`);
    }
    if (this.#received > 1 << 29) {
      this.#out.append(windowUpdateFrame(0, this.#received));
      this.#received = 0;
    }
  }

  #settings(bytes: Buffer, start: number, end: number): void {
    for (let at = start; at + 6 <= end; at += 6) {
      const value = bytes.readUInt32BE(at + 2);
      switch (bytes.readUInt16BE(at)) {
        case setting.maxConcurrentStreams:
          this.#maxStreams = value;
          break;
        case setting.initialWindowSize:
          if (value < maxFramePayload)
            throw new Error(`the server's window of ${value} bytes is too small for this load`);
          for (const stream of this.#streams.values()) stream.window += value - this.#streamWindow;
          this.#streamWindow = value;
          break;
      }
    }
    this.#out.append(frame(frameType.settings, flag.ack, 0, Buffer.alloc(0)));
    this.#ready?.();
    this.#ready = undefined;
  }

  #ended(id: number, ok: boolean, why: () => string): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    this.#unsent.delete(id);
    const { tally } = this.#shared;
    if (ok && stream.accepted) tally.answered++;
    else {
      tally.failed++;
      tally.failure ??= why();
    }
    this.#freeStreams.push(stream);
  }
}
