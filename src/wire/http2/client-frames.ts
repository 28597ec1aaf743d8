import { cost, credit, type FloodMeter } from "./flood-meter.ts";
import {
  broken,
  checkLength,
  ConnectionError,
  errorCode,
  flag,
  frame,
  frameType,
  maxWindow,
  paddingAt,
  setting,
  uint31At,
  uint32At,
} from "./frame.ts";
import type { FrameSink } from "./frame-reader.ts";
import { HeaderBlock } from "./header-block.ts";
import type { OpenStreams } from "./open-streams.ts";
import type { ReadMarks } from "./read-marks.ts";
import type { Sender } from "./sender.ts";

const settingsAck = frame(frameType.settings, flag.ack, 0);
/** What the PINGs say by which a connection asks whether its GOAWAY was heard, and what was read. */
export const drainPing = Buffer.from("weirdone", "latin1");
export const markPing = Buffer.from("weirmark", "latin1");

export interface ClientFramesOptions {
  readonly streams: OpenStreams<unknown>;
  readonly sender: Sender;
  readonly meter: FloodMeter;
  readonly marks: ReadMarks;
  /** The client has sent its first frame. */
  readonly onGreeted: () => void;
  /** The client has heard what was sent before {@link drainPing}. */
  readonly onDrainHeard: () => void;
}

/**
 * What a client's frames mean, one after the other (RFC 9113, 6): for a stream, or for the connection. A frame that breaks
 * the protocol is thrown as a {@link ConnectionError}.
 */
export class ClientFrames implements FrameSink {
  /** All is said: what still comes is not read any more. */
  isOver = false;
  readonly #options: ClientFramesOptions;
  readonly #streams: OpenStreams<unknown>;
  readonly #sender: Sender;
  readonly #meter: FloodMeter;
  readonly #block = new HeaderBlock();
  #isGreeted = false;

  constructor(options: ClientFramesOptions) {
    this.#options = options;
    this.#streams = options.streams;
    this.#sender = options.sender;
    this.#meter = options.meter;
  }

  /** Whether the client has sent its first frame. */
  get isGreeted(): boolean {
    return this.#isGreeted;
  }

  /** Bytes of a header block that has not come whole. */
  get heldBytes(): number {
    return this.#block.heldBytes;
  }

  /** Lets go of what is held. */
  clear(): void {
    this.#block.clear();
  }

  frame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.isOver) return;
    if (this.#block.isOpen && (type !== frameType.continuation || id !== this.#block.id)) {
      throw broken(`a frame of type ${type} within a header block`);
    }
    if (!this.#isGreeted) this.#greet(type, flags);
    switch (type) {
      case frameType.data:
        return this.#data(flags, id, bytes, start, end);
      case frameType.headers:
        return this.#headers(flags, id, bytes, start, end);
      case frameType.windowUpdate:
        return this.#windowUpdate(id, bytes, start, end);
      case frameType.reset:
        checkLength(end - start, 4);
        return this.#streams.reset(id);
      case frameType.settings:
        return this.#settings(flags, id, bytes, start, end);
      case frameType.ping:
        return this.#ping(flags, id, bytes, start, end);
      case frameType.continuation:
        return this.#continuation(flags, bytes, start, end);
      case frameType.priority:
        if (id === 0) throw broken("PRIORITY on stream 0");
        checkLength(end - start, 5);
        return this.#meter.spend(cost.idleFrame);
      case frameType.goAway:
        if (id !== 0) throw broken(`GOAWAY on stream ${id}`);
        return this.#meter.spend(cost.idleFrame);
      case frameType.pushPromise:
        throw broken("a client does not push");
      default:
        // Frames of other kinds are to be ignored (RFC 9113, 4.1).
        return this.#meter.spend(cost.idleFrame);
    }
  }

  #greet(type: number, flags: number): void {
    if (type !== frameType.settings || (flags & flag.ack) !== 0) throw broken("the first frame is not SETTINGS");
    this.#isGreeted = true;
    this.#options.onGreeted();
  }

  #data(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    let from = start;
    let to = end;
    if ((flags & flag.padded) !== 0) {
      to -= paddingAt(bytes, start, end);
      from++;
      if (to < from) throw broken("more padding than a frame holds");
    }
    this.#streams.data(id, (flags & flag.endStream) !== 0, end - start, bytes, from, to);
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
    const endStream = (flags & flag.endStream) !== 0;
    if ((flags & flag.endHeaders) !== 0) this.#streams.fields(id, endStream, bytes, from, to);
    else this.#block.begin(id, endStream, bytes.subarray(from, to));
  }

  #continuation(flags: number, bytes: Buffer, start: number, end: number): void {
    const block = this.#block;
    if (!block.isOpen) throw broken("CONTINUATION without HEADERS");
    block.add(bytes.subarray(start, end));
    if ((flags & flag.endHeaders) === 0) return;
    const { id, endStream } = block;
    const whole = block.take();
    this.#streams.fields(id, endStream, whole, 0, whole.length);
  }

  #windowUpdate(id: number, bytes: Buffer, start: number, end: number): void {
    checkLength(end - start, 4);
    this.#meter.earn(credit.data * this.#sender.dataFrames);
    this.#sender.dataFrames = 0;
    this.#meter.spend(cost.idleFrame);
    const by = uint31At(bytes, start);
    if (id !== 0) return this.#streams.widen(id, by);
    if (by === 0) throw broken("a WINDOW_UPDATE of 0");
    this.#sender.open(by);
  }

  #settings(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw broken(`SETTINGS on stream ${id}`);
    if ((flags & flag.ack) !== 0) {
      checkLength(end - start, 0);
      return this.#meter.spend(cost.idleFrame);
    }
    if ((end - start) % 6 !== 0) throw new ConnectionError(errorCode.frameSize, "SETTINGS with half a setting");
    this.#meter.spend(cost.idleFrame + (end - start) / 6);
    for (let at = start; at < end; at += 6) this.#set((bytes[at]! << 8) | bytes[at + 1]!, uint32At(bytes, at + 2));
    this.#sender.control(settingsAck);
    this.#streams.pump();
  }

  /** The sizes of the peer's table and lists need no look: what we send uses no table and is small. */
  #set(which: number, value: number): void {
    if (which === setting.enablePush && value > 1) throw broken(`ENABLE_PUSH of ${value}`);
    if (which === setting.maxFrameSize && (value < 16_384 || value > 0xff_ffff)) {
      throw broken(`MAX_FRAME_SIZE of ${value}`);
    }
    if (which !== setting.initialWindowSize) return;
    if (value > maxWindow) throw new ConnectionError(errorCode.flowControl, `INITIAL_WINDOW_SIZE of ${value}`);
    const by = value - this.#sender.streamWindow;
    this.#sender.streamWindow = value;
    this.#streams.widenAll(by);
  }

  #ping(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw broken(`PING on stream ${id}`);
    checkLength(end - start, 8);
    const isAnswer = (flags & flag.ack) !== 0;
    if (isAnswer && markPing.compare(bytes, start, end) === 0 && this.#options.marks.answered()) return;
    this.#meter.spend(cost.idleFrame);
    if (!isAnswer) this.#sender.control(frame(frameType.ping, flag.ack, 0, bytes.subarray(start, end)));
    else if (drainPing.compare(bytes, start, end) === 0) this.#options.onDrainHeard();
  }
}
