import { ClosedStreams, ending } from "./closed-streams.ts";
import type { Requests } from "./connection-options.ts";
import { cost, credit, type FloodMeter } from "./flood-meter.ts";
import { broken, ConnectionError, errorCode, frameType, maxWindow, numbersFrame } from "./frame.ts";
import type { ReadMarks } from "./read-marks.ts";
import { areTrailers } from "./request-fields.ts";
import { RequestHeads } from "./request-heads.ts";
import type { Sender } from "./sender.ts";
import { StreamTable } from "./stream-table.ts";
import { Stream, type StreamOwner } from "./stream.ts";

/** What a peer may send on a stream, and on all together, before it is given more. */
export const streamWindow = 256 * 1024;
export const connectionWindow = 1024 * 1024;
/** Answers that wait for the peer's windows: with more than these, it gets no new streams. */
const maxWaitingBytes = 1024 * 1024;
/** A stream that is reset in this time was hardly meant; one that lived longer, the limit of open streams bounds. */
const youngMs = 100;

export interface OpenStreamsOptions<Head> {
  readonly requests: Requests<Head>;
  readonly sender: Sender;
  readonly meter: FloodMeter;
  readonly marks: ReadMarks;
  /** Streams that may be open at the same time. */
  readonly maxStreams: number;
  /** A stream was refused because too many are open, or wait for the peer. */
  readonly onRefused: () => void;
  /** No more streams are taken, and none is open any more. */
  readonly onDone: () => void;
}

/**
 * The streams of a connection: opened by the peer's requests, ended by either side. What the peer does wrong on a stream
 * ends the stream; what it does wrong with streams is thrown as a {@link ConnectionError}.
 */
export class OpenStreams<Head> implements StreamOwner {
  readonly sender: Sender;
  readonly #options: OpenStreamsOptions<Head>;
  readonly #requests: Requests<Head>;
  readonly #meter: FloodMeter;
  readonly #heads: RequestHeads<Head>;
  readonly #streams = new StreamTable<Stream>();
  readonly #closed = new ClosedStreams();
  #lastId = 0;
  #lastTaken = maxWindow;
  /** Bytes of DATA for which the peer was given no new window of the connection. */
  #unreturnedBytes = 0;

  constructor(options: OpenStreamsOptions<Head>) {
    this.#options = options;
    this.#requests = options.requests;
    this.sender = options.sender;
    this.#meter = options.meter;
    this.#heads = new RequestHeads(options.requests);
  }

  /** The last stream that the peer has opened. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Takes no stream any more that the peer opens from now on, and says so. */
  takeNoMore(): void {
    if (this.#lastTaken !== maxWindow) return;
    this.#lastTaken = this.#lastId;
    this.sender.control(numbersFrame(frameType.goAway, 0, this.#lastTaken, errorCode.none));
    this.#tellWhenDone();
  }

  /** The connection is lost, and with it every stream. */
  lose(): void {
    const streams = [...this.#streams];
    this.#streams.clear();
    for (const stream of streams) {
      stream.isOver = true;
      stream.discardWaiting();
      stream.handler.gone();
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

  whenRead(told: () => void): void {
    this.#options.marks.add(told);
  }

  /** DATA of `length` bytes in all, of which those from `start` to `end` are not padding. */
  data(id: number, endStream: boolean, length: number, bytes: Buffer, start: number, end: number): void {
    this.#unreturnedBytes += length;
    if (this.#unreturnedBytes > connectionWindow) {
      throw new ConnectionError(errorCode.flowControl, "more data than the connection's window allows");
    }
    // No stream may hold up the others: its own window bounds what it holds.
    if (this.#unreturnedBytes >= connectionWindow / 2) {
      this.sender.control(numbersFrame(frameType.windowUpdate, 0, this.#unreturnedBytes));
      this.#unreturnedBytes = 0;
    }
    if (start < end) this.#meter.earn(credit.data);
    else if (!endStream) this.#meter.spend(cost.idleFrame);

    const stream = this.#streams.get(id);
    if (stream === undefined) return this.#strayData(id);
    if (stream.remoteEnded) return this.#refuse(stream, errorCode.streamClosed);
    stream.unreturnedBytes += length;
    stream.receivedBytes += end - start;
    if (stream.unreturnedBytes > streamWindow) return this.#refuse(stream, errorCode.flowControl);
    if (start < end) stream.handler.data(bytes, start, end, endStream);
    if (stream.isOver) return;
    if (endStream) this.#remoteEnd(stream);
    else this.reopen(stream);
  }

  /** A header block that is whole: a request, or trailers. */
  fields(id: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    if (id > this.#lastId) return this.#request(id, endStream, bytes, start, end);
    const stream = this.#streams.get(id);
    const how = this.#closed.of(id);
    if (stream === undefined && how !== ending.reset) {
      const code = how === ending.closed ? errorCode.streamClosed : errorCode.protocol;
      throw new ConnectionError(code, `HEADERS on stream ${id}, which is not open`);
    }
    const fields = this.#heads.fields(bytes, start, end);
    if (stream === undefined) return this.#meter.spend(cost.idleFrame);
    if (stream.remoteEnded) return this.#refuse(stream, errorCode.streamClosed);
    if (!endStream || !areTrailers(fields)) return this.#refuse(stream, errorCode.protocol);
    this.#remoteEnd(stream);
  }

  /** The peer takes more of one stream. */
  widen(id: number, by: number): void {
    if (id > this.#lastId) throw broken(`WINDOW_UPDATE on stream ${id}, which is not open`);
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (by === 0) this.#refuse(stream, errorCode.protocol);
    else if (stream.widen(by)) stream.pump();
    else this.#refuse(stream, errorCode.flowControl);
  }

  /** The peer takes more, or less, of all streams (RFC 9113, 6.9.2). */
  widenAll(by: number): void {
    for (const stream of this.#streams) {
      if (!stream.widen(by)) throw new ConnectionError(errorCode.flowControl, "a stream's window is too large");
    }
  }

  /** Sends what waits as far as the peer's windows allow. */
  pump(): void {
    for (const stream of this.#streams) stream.pump();
  }

  /** The peer has reset a stream. */
  reset(id: number): void {
    if (id === 0 || id > this.#lastId) throw broken(`RST_STREAM on stream ${id}, which is not open`);
    const stream = this.#streams.get(id);
    if (stream === undefined) return this.#meter.spend(cost.idleFrame);
    this.#meter.spend(this.#meter.nowMs - stream.startedMs < youngMs ? cost.brokenStream : cost.idleFrame);
    this.#forget(stream, ending.closed);
    stream.handler.gone();
  }

  #request(id: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    if ((id & 1) === 0) throw broken(`a client opens stream ${id}`);
    this.#lastId = id;
    const known = this.#heads.read(bytes, start, end);
    const isFull = this.#streams.size >= this.#options.maxStreams || this.sender.waitingBytes > maxWaitingBytes;
    if (known === undefined || isFull || id > this.#lastTaken) {
      this.#closed.note(id, ending.reset);
      if (id > this.#lastTaken) return;
      if (known !== undefined) this.#options.onRefused();
      return this.#resetStream(id, known === undefined ? errorCode.protocol : errorCode.refusedStream);
    }
    const stream = new Stream(id, this.#meter.nowMs, known.contentLength, this);
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

  #strayData(id: number): void {
    if (id === 0 || id > this.#lastId) throw broken(`DATA on stream ${id}, which is not open`);
    if (id > this.#lastTaken || this.#closed.of(id) === ending.reset) return;
    this.#resetStream(id, errorCode.streamClosed);
  }

  /** Ends a stream with an error of ours, or of the peer's, who pays for it. */
  #refuse(stream: Stream, code: number): void {
    this.#resetStream(stream.id, code);
    this.#forget(stream, ending.reset);
    stream.handler.gone();
  }

  #resetStream(id: number, code: number): void {
    this.#meter.spend(code === errorCode.refusedStream ? cost.idleFrame : cost.brokenStream);
    this.sender.control(numbersFrame(frameType.reset, id, code));
  }

  #forget(stream: Stream, how: number): void {
    stream.isOver = true;
    stream.discardWaiting();
    this.#closed.note(stream.id, how);
    this.#streams.delete(stream);
    this.#tellWhenDone();
  }

  #tellWhenDone(): void {
    if (this.#lastTaken !== maxWindow && this.#streams.size === 0) this.#options.onDone();
  }
}
