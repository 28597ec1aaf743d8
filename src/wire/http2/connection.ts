import type { Duplex } from "node:stream";
import { ClosedStreams, ending } from "./closed-streams.ts";
import type { ConnectionOptions, Requests } from "./connection-options.ts";
import { farewell } from "./farewell.ts";
import { FloodMeter } from "./flood-meter.ts";
import {
  broken,
  checkLength,
  ConnectionError,
  errorCode,
  flag,
  frame,
  frameType,
  initialWindow,
  maxWindow,
  numbersFrame,
  paddingAt,
  preface,
  setting,
  settingsFrame,
  uint31At,
  uint32At,
} from "./frame.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { HeaderBlock } from "./header-block.ts";
import { Liveness, type Loss } from "./liveness.ts";
import { Outbox } from "./outbox.ts";
import { areTrailers } from "./request-fields.ts";
import { maxHeaderListBytes, RequestHeads } from "./request-heads.ts";
import { Sender } from "./sender.ts";
import { ReadMarks } from "./read-marks.ts";
import { Stream, type StreamOwner } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

/** What a peer may send on a stream, and on all together, before it is given more. */
const streamWindow = 256 * 1024;
const connectionWindow = 1024 * 1024;
/** Answers that wait for the peer's windows: with more than these, it gets no new streams. */
const maxWaitingBytes = 1024 * 1024;
/** Bytes that the socket has not taken: with more than these, nothing is read any more. */
const maxBacklogBytes = 256 * 1024;
/** How long a client has to hear of a GOAWAY before streams that it opens are no more taken. */
const drainMs = 1000;
/** What is taken from a peer's credit ({@link FloodMeter}), and what is added to it. */
const cost = { idleFrame: 1, brokenStream: 10 } as const;
const credit = { data: 2, answer: 4 } as const;
/** A stream that is reset in this time was hardly meant; one that lived longer, the limit of open streams bounds. */
const youngMs = 100;

const settings = (maxStreams: number): Buffer =>
  Buffer.concat([
    settingsFrame([
      [setting.maxConcurrentStreams, maxStreams],
      [setting.initialWindowSize, streamWindow],
      [setting.maxHeaderListSize, maxHeaderListBytes],
    ]),
    numbersFrame(frameType.windowUpdate, 0, connectionWindow - initialWindow),
  ]);
const settingsAck = frame(frameType.settings, flag.ack, 0);
const drainPing = Buffer.from("weirdone", "latin1");
const keepalivePing = Buffer.from("weirlive", "latin1");
const markPing = Buffer.from("weirmark", "latin1");

/**
 * The server's side of an HTTP/2 connection (RFC 9113) on any socket: of TCP, or of TLS that has agreed on `h2`. It keeps
 * to the protocol, to the peer's windows and to its own bounds; requests are answered by `requests`. A peer that breaks
 * the protocol loses its stream or its connection, and never more.
 */
export class Connection<Head> implements FrameSink, StreamOwner {
  readonly sender: Sender;
  readonly #socket: Duplex;
  readonly #requests: Requests<Head>;
  readonly #options: ConnectionOptions;
  readonly #reader: FrameReader;
  readonly #heads: RequestHeads<Head>;
  readonly #block = new HeaderBlock();
  readonly #meter: FloodMeter;
  readonly #liveness: Liveness;
  readonly #marks = new ReadMarks(() => this.sender.control(frame(frameType.ping, 0, 0, markPing)));
  readonly #outbox: Outbox;
  readonly #streams = new StreamTable<Stream>();
  readonly #closed = new ClosedStreams();
  readonly #framesHolder = { refuse: () => this.#fail(errorCode.enhanceYourCalm) };
  readonly #unreadHolder = { refuse: () => this.#socket.destroy() };
  #prefaceBytes = 0;
  #greeted = false;
  /** The last stream that the peer has opened, and the last that is taken. */
  #lastId = 0;
  #lastTaken = maxWindow;
  #draining = false;
  /** All is said: what still comes is not read any more. */
  #isOver = false;
  /** Within the turn of a read, or with a flush to come: nothing needs to be flushed now. */
  #flushPending = false;
  #paused = false;
  /** When the turn of this read began. */
  #nowMs: number;
  /** Bytes of DATA for which the peer was given no new window of the connection. */
  #unreturnedBytes = 0;
  #heldBytes = 0;
  #unreadBytes = 0;
  #cancelTimer: (() => void) | undefined;

  /** Takes the socket over, whose errors end this connection and nothing else. */
  constructor(socket: Duplex, requests: Requests<Head>, options: ConnectionOptions) {
    this.#socket = socket;
    this.#requests = requests;
    this.#heads = new RequestHeads(requests);
    this.#options = options;
    this.#nowMs = options.monotonic();
    this.#reader = new FrameReader(this, options.pieces);
    this.#meter = new FloodMeter(this.#nowMs);
    this.#outbox = new Outbox(socket, options.pool);
    this.sender = new Sender(this.#outbox, () => this.#touched());
    this.#liveness = new Liveness(
      options.timers,
      () => this.sender.control(frame(frameType.ping, 0, 0, keepalivePing)),
      (why) => this.#giveUp(why),
    );
    this.sender.control(settings(options.maxStreams));
    options.memory.serve(socket, (bytes) => this.#read(bytes));
    socket.on("drain", () => this.#drained());
    // The end of a socket by an error is an end like any other.
    socket.on("error", (error) => options.log.debug({ err: error }, "a connection ended with an error"));
    socket.once("close", () => this.#gone());
  }

  /**
   * Sends the peer away (RFC 9113, 6.8): streams that it has opened end as they do, then the connection closes. Streams
   * that it opens before it has heard of this are taken.
   */
  drain(): void {
    if (this.#draining || this.#isOver) return;
    this.#draining = true;
    // Whatever a client has asked that has not greeted yet, it may ask again elsewhere.
    if (!this.#greeted) {
      this.sender.control(numbersFrame(frameType.goAway, 0, 0, errorCode.none));
      return this.#end();
    }
    this.sender.control(numbersFrame(frameType.goAway, 0, maxWindow, errorCode.none));
    this.sender.control(frame(frameType.ping, 0, 0, drainPing));
    this.#cancelTimer = this.#options.timers.after(drainMs, () => this.#takeNoMore());
  }

  /** Calls `told` when the peer has read everything that was put on its way before. */
  whenRead(told: () => void): void {
    this.#marks.add(told);
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  frame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.#isOver) return;
    if (this.#block.isOpen && (type !== frameType.continuation || id !== this.#block.id)) {
      throw broken(`a frame of type ${type} within a header block`);
    }
    if (!this.#greeted) this.#greet(type, flags);
    switch (type) {
      case frameType.data:
        return this.#data(flags, id, bytes, start, end);
      case frameType.headers:
        return this.#headers(flags, id, bytes, start, end);
      case frameType.windowUpdate:
        return this.#windowUpdate(id, bytes, start, end);
      case frameType.reset:
        return this.#reset(id, end - start);
      case frameType.settings:
        return this.#settings(flags, id, bytes, start, end);
      case frameType.ping:
        return this.#ping(flags, id, bytes, start, end);
      case frameType.continuation:
        return this.#continuation(flags, bytes, start, end);
      case frameType.priority:
        if (id === 0) throw broken("PRIORITY on stream 0");
        checkLength(end - start, 5);
        return this.#spend(cost.idleFrame);
      case frameType.goAway:
        if (id !== 0) throw broken(`GOAWAY on stream ${id}`);
        return this.#spend(cost.idleFrame);
      case frameType.pushPromise:
        throw broken("a client does not push");
      default:
        // Frames of other kinds are to be ignored (RFC 9113, 4.1).
        return this.#spend(cost.idleFrame);
    }
  }

  ended(stream: Stream): void {
    if (stream.isOver) return;
    this.#meter.earn(credit.answer);
    // The peer need not send the rest (RFC 9113, 8.1).
    if (!stream.remoteEnded) this.sender.control(numbersFrame(frameType.reset, stream.id, errorCode.none));
    this.#forget(stream, stream.remoteEnded ? ending.closed : ending.reset);
  }

  reopen(stream: Stream): void {
    if (stream.unreturnedBytes < streamWindow / 2 || stream.remoteEnded || !stream.handler.isReady) return;
    this.sender.control(numbersFrame(frameType.windowUpdate, stream.id, stream.unreturnedBytes));
    stream.unreturnedBytes = 0;
  }

  /** Ends a stream with an error of ours, or of the peer's, who pays for it. */
  #refuse(stream: Stream, code: number): void {
    this.#resetStream(stream.id, code);
    this.#forget(stream, ending.reset);
    stream.handler.gone();
  }

  #resetStream(id: number, code: number): void {
    this.#spend(code === errorCode.refusedStream ? cost.idleFrame : cost.brokenStream);
    this.sender.control(numbersFrame(frameType.reset, id, code));
  }

  #forget(stream: Stream, how: number): void {
    stream.isOver = true;
    stream.discardWaiting();
    this.#closed.note(stream.id, how);
    this.#streams.delete(stream);
    this.#endWhenIdle();
  }

  // What comes.

  #read(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#liveness.heard();
    this.#nowMs = this.#options.monotonic();
    this.#flushPending = true;
    try {
      const start = this.#prefaceBytes < preface.length ? this.#preface(bytes) : 0;
      this.#reader.read(bytes, start);
    } catch (error) {
      if (!(error instanceof ConnectionError)) {
        this.#options.log.error({ err: error }, "a connection failed");
        this.#fail(errorCode.internal);
      } else {
        const flood = error.code === errorCode.enhanceYourCalm;
        this.#options.observer.dropped("connection", flood ? "flood" : "protocol_error", 1);
        this.#options.log.debug({ err: error }, "a peer broke the protocol");
        this.#fail(error.code);
      }
    }
    this.#flush();
  }

  /** Takes the client's preface; gives where it ends. */
  #preface(bytes: Buffer): number {
    const length = Math.min(preface.length - this.#prefaceBytes, bytes.length);
    if (preface.compare(bytes, 0, length, this.#prefaceBytes, this.#prefaceBytes + length) !== 0) {
      throw broken("what came is no HTTP/2");
    }
    this.#prefaceBytes += length;
    return length;
  }

  #greet(type: number, flags: number): void {
    if (type !== frameType.settings || (flags & flag.ack) !== 0) throw broken("the first frame is not SETTINGS");
    this.#greeted = true;
    this.#liveness.greeted();
  }

  #data(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#unreturnedBytes += length;
    if (this.#unreturnedBytes > connectionWindow) {
      throw new ConnectionError(errorCode.flowControl, "more data than the connection's window allows");
    }
    // No stream may hold up the others: its own window bounds what it holds.
    if (this.#unreturnedBytes >= connectionWindow / 2) {
      this.sender.control(numbersFrame(frameType.windowUpdate, 0, this.#unreturnedBytes));
      this.#unreturnedBytes = 0;
    }
    let from = start;
    let to = end;
    if ((flags & flag.padded) !== 0) {
      to -= paddingAt(bytes, start, end);
      from++;
      if (to < from) throw broken("more padding than a frame holds");
    }
    const endStream = (flags & flag.endStream) !== 0;
    if (from < to) this.#meter.earn(credit.data);
    else if (!endStream) this.#spend(cost.idleFrame);

    const stream = this.#streams.get(id);
    if (stream === undefined) return this.#strayData(id);
    if (stream.remoteEnded) return this.#refuse(stream, errorCode.streamClosed);
    stream.unreturnedBytes += length;
    stream.receivedBytes += to - from;
    if (stream.unreturnedBytes > streamWindow) return this.#refuse(stream, errorCode.flowControl);
    if (from < to) stream.handler.data(bytes, from, to, endStream);
    if (stream.isOver) return;
    if (endStream) this.#remoteEnd(stream);
    else this.reopen(stream);
  }

  #strayData(id: number): void {
    if (id === 0 || id > this.#lastId) throw broken(`DATA on stream ${id}, which is not open`);
    if (id > this.#lastTaken || this.#closed.of(id) === ending.reset) return;
    this.#resetStream(id, errorCode.streamClosed);
  }

  #headers(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) throw broken("HEADERS on stream 0");
    let from = start;
    let to = end;
    if ((flags & flag.padded) !== 0) {
      to -= paddingAt(bytes, start, end);
      from++;
    }
    // Priorities are not used any more (RFC 9113, 5.3.2).
    if ((flags & flag.priority) !== 0) from += 5;
    if (to < from) throw broken("a HEADERS frame that is too short for what it says");
    if ((flags & flag.endHeaders) !== 0) this.#fields(id, (flags & flag.endStream) !== 0, bytes, from, to);
    else this.#block.begin(id, (flags & flag.endStream) !== 0, bytes.subarray(from, to));
  }

  #continuation(flags: number, bytes: Buffer, start: number, end: number): void {
    const block = this.#block;
    if (!block.isOpen) throw broken("CONTINUATION without HEADERS");
    block.add(bytes.subarray(start, end));
    if ((flags & flag.endHeaders) === 0) return;
    const { id, endStream } = block;
    const whole = block.take();
    this.#fields(id, endStream, whole, 0, whole.length);
  }

  /** A header block that is whole: a request, or trailers. */
  #fields(id: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    if (id > this.#lastId) return this.#request(id, endStream, bytes, start, end);
    const stream = this.#streams.get(id);
    const how = this.#closed.of(id);
    if (stream === undefined && how !== ending.reset) {
      const code = how === ending.closed ? errorCode.streamClosed : errorCode.protocol;
      throw new ConnectionError(code, `HEADERS on stream ${id}, which is not open`);
    }
    const fields = this.#heads.fields(bytes, start, end);
    if (stream === undefined) return this.#spend(cost.idleFrame);
    if (stream.remoteEnded) return this.#refuse(stream, errorCode.streamClosed);
    if (!endStream || !areTrailers(fields)) return this.#refuse(stream, errorCode.protocol);
    this.#remoteEnd(stream);
  }

  #request(id: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    if ((id & 1) === 0) throw broken(`a client opens stream ${id}`);
    this.#lastId = id;
    const known = this.#heads.read(bytes, start, end);
    const isFull = this.#streams.size >= this.#options.maxStreams || this.sender.waitingBytes > maxWaitingBytes;
    if (known === undefined || isFull || id > this.#lastTaken) {
      this.#closed.note(id, ending.reset);
      if (id > this.#lastTaken) return;
      if (known !== undefined) this.#options.observer.dropped("call", "refused_stream", 1);
      return this.#resetStream(id, known === undefined ? errorCode.protocol : errorCode.refusedStream);
    }
    const stream = new Stream(id, this.#nowMs, known.contentLength, this);
    // Known before the request is answered, lest a client that has said all is told to send no more.
    stream.remoteEnded = endStream && known.contentLength <= 0;
    stream.handler = this.#requests.begin(known.head, stream);
    if (stream.isOver) return;
    this.#streams.add(stream);
    if (endStream) this.#remoteEnd(stream);
  }

  #remoteEnd(stream: Stream): void {
    if (stream.contentLength >= 0 && stream.contentLength !== stream.receivedBytes) {
      return this.#refuse(stream, errorCode.protocol);
    }
    stream.remoteEnded = true;
    stream.handler.end();
  }

  #windowUpdate(id: number, bytes: Buffer, start: number, end: number): void {
    checkLength(end - start, 4);
    this.#meter.earn(credit.data * this.sender.dataFrames);
    this.sender.dataFrames = 0;
    this.#spend(cost.idleFrame);
    const by = uint31At(bytes, start);
    if (id === 0) {
      if (by === 0) throw broken("a WINDOW_UPDATE of 0");
      return this.sender.open(by);
    }
    if (id > this.#lastId) throw broken(`WINDOW_UPDATE on stream ${id}, which is not open`);
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (by === 0) this.#refuse(stream, errorCode.protocol);
    else if (stream.widen(by)) stream.pump();
    else this.#refuse(stream, errorCode.flowControl);
  }

  #reset(id: number, length: number): void {
    checkLength(length, 4);
    if (id === 0 || id > this.#lastId) throw broken(`RST_STREAM on stream ${id}, which is not open`);
    const stream = this.#streams.get(id);
    if (stream === undefined) return this.#spend(cost.idleFrame);
    this.#spend(this.#nowMs - stream.startedMs < youngMs ? cost.brokenStream : cost.idleFrame);
    this.#forget(stream, ending.closed);
    stream.handler.gone();
  }

  #settings(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw broken(`SETTINGS on stream ${id}`);
    if ((flags & flag.ack) !== 0) {
      checkLength(end - start, 0);
      return this.#spend(cost.idleFrame);
    }
    if ((end - start) % 6 !== 0) throw new ConnectionError(errorCode.frameSize, "SETTINGS with half a setting");
    this.#spend(cost.idleFrame + (end - start) / 6);
    for (let at = start; at < end; at += 6) this.#set((bytes[at]! << 8) | bytes[at + 1]!, uint32At(bytes, at + 2));
    this.sender.control(settingsAck);
    for (const stream of this.#streams) stream.pump();
  }

  /** The sizes of the peer's table and lists need no look: what we send uses no table and is small. */
  #set(which: number, value: number): void {
    if (which === setting.enablePush && value > 1) throw broken(`ENABLE_PUSH of ${value}`);
    if (which === setting.maxFrameSize && (value < 16_384 || value > 0xff_ffff)) {
      throw broken(`MAX_FRAME_SIZE of ${value}`);
    }
    if (which !== setting.initialWindowSize) return;
    const tooLarge = new ConnectionError(errorCode.flowControl, `INITIAL_WINDOW_SIZE of ${value}`);
    if (value > maxWindow) throw tooLarge;
    const by = value - this.sender.streamWindow;
    this.sender.streamWindow = value;
    for (const stream of this.#streams) if (!stream.widen(by)) throw tooLarge;
  }

  #ping(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw broken(`PING on stream ${id}`);
    checkLength(end - start, 8);
    if ((flags & flag.ack) !== 0 && markPing.compare(bytes, start, end) === 0 && this.#marks.answered()) return;
    this.#spend(cost.idleFrame);
    if ((flags & flag.ack) === 0) {
      this.sender.control(frame(frameType.ping, flag.ack, 0, bytes.subarray(start, end)));
    } else if (this.#draining && drainPing.compare(bytes, start, end) === 0) this.#takeNoMore();
  }

  #spend(amount: number): void {
    if (this.#meter.spend(amount, this.#nowMs)) return;
    throw new ConnectionError(errorCode.enhanceYourCalm, "too many frames that ask for nothing");
  }

  // What is sent.

  #touched(): void {
    if (this.#flushPending) return;
    if (this.#options.pool.strained) return this.#flush();
    this.#flushPending = true;
    // Answers that come in one turn of the event loop are written together.
    process.nextTick(() => this.#flush());
  }

  #flush(): void {
    this.#flushPending = false;
    this.#outbox.flush();
    this.#account();
  }

  /** Says what is held, and stops reading from a peer that does not read. */
  #account(): void {
    const { frames, unread } = this.#options;
    const held = this.#isOver ? 0 : this.#reader.heldBytes + this.#block.heldBytes;
    if (held !== this.#heldBytes) frames.set(this.#framesHolder, (this.#heldBytes = held));
    const { backlog, awaitsDrain } = this.#outbox;
    const waiting = this.#isOver ? 0 : this.sender.waitingBytes + (awaitsDrain ? backlog : 0);
    if (waiting !== this.#unreadBytes) unread.set(this.#unreadHolder, (this.#unreadBytes = waiting));
    if (backlog <= maxBacklogBytes || this.#paused || this.#isOver) return;
    this.#paused = true;
    this.#socket.pause();
  }

  #drained(): void {
    this.#liveness.heard();
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
    this.sender.drained();
    this.#account();
  }

  // The end.

  #takeNoMore(): void {
    this.#cancelTimer?.();
    if (this.#isOver || this.#lastTaken !== maxWindow) return;
    this.#lastTaken = this.#lastId;
    this.sender.control(numbersFrame(frameType.goAway, 0, this.#lastTaken, errorCode.none));
    this.#endWhenIdle();
  }

  #endWhenIdle(): void {
    if (this.#lastTaken !== maxWindow && this.#streams.size === 0 && !this.#isOver) this.#end();
  }

  /** Ends the connection because the peer, or we, cannot go on. */
  #fail(code: number): void {
    if (this.#isOver) return;
    this.sender.control(numbersFrame(frameType.goAway, 0, this.#lastId, code));
    this.#end();
    this.#lose();
  }

  #giveUp(why: Loss): void {
    this.#options.observer.dropped("connection", why, 1);
    this.#socket.destroy();
  }

  /** Says no more, and leaves it to the peer to hang up. */
  #end(): void {
    this.#isOver = true;
    this.#flush();
    this.#liveness.stop();
    this.#cancelTimer?.();
    this.#cancelTimer = farewell(this.#socket, this.#options.timers);
  }

  #gone(): void {
    this.#isOver = true;
    this.#liveness.stop();
    this.#cancelTimer?.();
    this.#outbox.clear();
    this.#lose();
  }

  /** Lets go of everything. */
  #lose(): void {
    this.#reader.clear();
    this.#block.clear();
    const streams = [...this.#streams];
    this.#streams.clear();
    for (const stream of streams) {
      stream.isOver = true;
      stream.discardWaiting();
      stream.handler.gone();
    }
    this.#account();
  }
}
