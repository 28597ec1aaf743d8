import type { Duplex } from "node:stream";
import { ClientFrames, drainPing, markPing } from "./client-frames.ts";
import type { ConnectionOptions, Requests } from "./connection-options.ts";
import { farewell } from "./farewell.ts";
import { FloodMeter } from "./flood-meter.ts";
import {
  broken,
  ConnectionError,
  errorCode,
  frame,
  frameType,
  initialWindow,
  maxWindow,
  numbersFrame,
  preface,
  setting,
  settingsFrame,
} from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import { Liveness, type Loss } from "./liveness.ts";
import { connectionWindow, OpenStreams, streamWindow } from "./open-streams.ts";
import { Output } from "./output.ts";
import { ReadMarks } from "./read-marks.ts";
import { maxHeaderListBytes } from "./request-heads.ts";
import type { Sender } from "./sender.ts";

/** How long a client has to hear of a GOAWAY before streams that it opens are no more taken. */
const drainMs = 1000;

const settings = (maxStreams: number): Buffer =>
  Buffer.concat([
    settingsFrame([
      [setting.maxConcurrentStreams, maxStreams],
      [setting.initialWindowSize, streamWindow],
      [setting.maxHeaderListSize, maxHeaderListBytes],
    ]),
    numbersFrame(frameType.windowUpdate, 0, connectionWindow - initialWindow),
  ]);
const keepalivePing = Buffer.from("weirlive", "latin1");

/**
 * The server's side of an HTTP/2 connection (RFC 9113) on any socket: of TCP, or of TLS that has agreed on `h2`. It keeps
 * to the protocol, to the peer's windows and to its own bounds; requests are answered by `requests`. A peer that breaks
 * the protocol loses its stream or its connection, and never more.
 */
export class Connection<Head> {
  readonly #socket: Duplex;
  readonly #options: ConnectionOptions;
  readonly #output: Output;
  readonly #sender: Sender;
  readonly #meter: FloodMeter;
  readonly #streams: OpenStreams<Head>;
  readonly #frames: ClientFrames;
  readonly #reader: FrameReader;
  readonly #liveness: Liveness;
  readonly #framesHolder = { refuse: () => this.#fail(errorCode.enhanceYourCalm) };
  #prefaceBytes = 0;
  #isDraining = false;
  /** All is said: what still comes is not read any more. */
  #isOver = false;
  #heldBytes = 0;
  #cancelTimer: (() => void) | undefined;

  /** Takes the socket over, whose errors end this connection and nothing else. */
  constructor(socket: Duplex, requests: Requests<Head>, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#output = new Output(socket, options);
    const { sender } = this.#output;
    const meter = new FloodMeter(options.monotonic());
    const ping = (payload: Uint8Array): void => sender.control(frame(frameType.ping, 0, 0, payload));
    const marks = new ReadMarks(() => ping(markPing));
    const streams = new OpenStreams<Head>({
      requests,
      sender,
      meter,
      marks,
      maxStreams: options.maxStreams,
      onRefused: () => options.observer.dropped("call", "refused_stream", 1),
      onDone: () => {
        if (!this.#isOver) this.#end();
      },
    });
    this.#liveness = new Liveness(
      options.timers,
      () => ping(keepalivePing),
      (why) => this.#giveUp(why),
    );
    this.#frames = new ClientFrames({
      streams,
      sender,
      meter,
      marks,
      onGreeted: () => this.#liveness.greeted(),
      onDrainHeard: () => {
        if (this.#isDraining) this.#takeNoMore();
      },
    });
    this.#sender = sender;
    this.#meter = meter;
    this.#streams = streams;
    this.#reader = new FrameReader(this.#frames, options.pieces);
    sender.control(settings(options.maxStreams));
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
    if (this.#isDraining || this.#isOver) return;
    this.#isDraining = true;
    // Whatever a client has asked that has not greeted yet, it may ask again elsewhere.
    if (!this.#frames.isGreeted) {
      this.#sender.control(numbersFrame(frameType.goAway, 0, 0, errorCode.none));
      return this.#end();
    }
    this.#sender.control(numbersFrame(frameType.goAway, 0, maxWindow, errorCode.none));
    this.#sender.control(frame(frameType.ping, 0, 0, drainPing));
    this.#cancelTimer = this.#options.timers.after(drainMs, () => this.#takeNoMore());
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#liveness.heard();
    this.#meter.nowMs = this.#options.monotonic();
    this.#output.begin();
    try {
      const start = this.#prefaceBytes < preface.length ? this.#preface(bytes) : 0;
      this.#reader.read(bytes, start);
    } catch (error) {
      this.#failBy(error);
    }
    this.#output.flush();
    this.#account();
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

  /** Says what is held of frames that have not come whole. */
  #account(): void {
    const held = this.#isOver ? 0 : this.#reader.heldBytes + this.#frames.heldBytes;
    if (held !== this.#heldBytes) this.#options.frames.set(this.#framesHolder, (this.#heldBytes = held));
  }

  #drained(): void {
    this.#liveness.heard();
    this.#output.drained();
  }

  #takeNoMore(): void {
    this.#cancelTimer?.();
    if (!this.#isOver) this.#streams.takeNoMore();
  }

  #failBy(error: unknown): void {
    if (!(error instanceof ConnectionError)) {
      this.#options.log.error({ err: error }, "a connection failed");
      return this.#fail(errorCode.internal);
    }
    const isFlood = error.code === errorCode.enhanceYourCalm;
    this.#options.observer.dropped("connection", isFlood ? "flood" : "protocol_error", 1);
    this.#options.log.debug({ err: error }, "a peer broke the protocol");
    this.#fail(error.code);
  }

  /** Ends the connection because the peer, or we, cannot go on. */
  #fail(code: number): void {
    if (this.#isOver) return;
    this.#sender.control(numbersFrame(frameType.goAway, 0, this.#streams.lastId, code));
    this.#end();
    this.#lose();
  }

  #giveUp(why: Loss): void {
    this.#options.observer.dropped("connection", why, 1);
    this.#socket.destroy();
  }

  /** Says no more, and leaves it to the peer to hang up. */
  #end(): void {
    this.#isOver = this.#frames.isOver = true;
    this.#output.end();
    this.#account();
    this.#liveness.stop();
    this.#cancelTimer?.();
    this.#cancelTimer = farewell(this.#socket, this.#options.timers);
  }

  #gone(): void {
    this.#isOver = this.#frames.isOver = true;
    this.#liveness.stop();
    this.#cancelTimer?.();
    this.#output.clear();
    this.#lose();
  }

  /** Lets go of everything. */
  #lose(): void {
    this.#reader.clear();
    this.#frames.clear();
    this.#streams.lose();
    this.#output.account();
    this.#account();
  }
}
