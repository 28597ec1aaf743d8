import { Buffer } from "node:buffer";
import type { Int64 } from "../../attributes/value.ts";

/** As much as Node's own pool of small buffers has: who keeps a message that was taken keeps so much with it. */
const usualBytes = 8192;
/** What most messages have room in. */
const roomBytes = 1024;
/** The most bytes of a number of 32 bits. */
const varintBytes = 5;

/**
 * Writes protobuf's wire format. One writer is kept and used for message after message: {@link Writer.reset} begins one,
 * {@link Writer.finish} copies it out, {@link Writer.take} gives it away. Fields are written as they are asked for;
 * leaving out default values is the caller's choice.
 */
export class Writer {
  #buffer = Buffer.allocUnsafeSlow(usualBytes);
  /** The buffer's, which is all of it. */
  #memory = this.#buffer.buffer;
  /** Where the message begins; before it lie those that were taken. */
  #start = 0;
  #end = 0;

  reset(): this {
    const isFull = this.#buffer.length - this.#start < roomBytes;
    if (isFull || this.#buffer.length > 8 * usualBytes) {
      this.#use(Buffer.allocUnsafeSlow(usualBytes));
    }
    this.#end = this.#start;
    return this;
  }

  uint32(field: number, value: number): void {
    const bytes = this.room(2 * varintBytes);
    const at = putTag(bytes, this.#end, field, 0);
    this.#end = putVarint(bytes, at, value);
  }

  int32(field: number, value: number): void {
    if (value >= 0) this.uint32(field, value);
    else this.int64(field, value);
  }

  sint32(field: number, value: number): void {
    this.uint32(field, (value << 1) ^ (value >> 31));
  }

  int64(field: number, value: Int64): void {
    const bytes = this.room(varintBytes + 10);
    let end = putTag(bytes, this.#end, field, 0);
    if (typeof value === "number" && value >= 0 && value <= 0xffff_ffff) {
      this.#end = putVarint(bytes, end, value);
      return;
    }
    let bits = BigInt.asUintN(64, BigInt(value));
    for (; bits > 0x7fn; bits >>= 7n) bytes[end++] = Number(bits & 0x7fn) | 0x80;
    bytes[end++] = Number(bits);
    this.#end = end;
  }

  double(field: number, value: number): void {
    const at = putTag(this.room(varintBytes + 8), this.#end, field, 1);
    this.#end = this.#buffer.writeDoubleLE(value, at);
  }

  bool(field: number, value: boolean): void {
    this.uint32(field, value ? 1 : 0);
  }

  string(field: number, text: string): void {
    const length = Buffer.byteLength(text);
    const at = this.#delimited(field, length);
    this.#end = at + this.#buffer.write(text, at);
  }

  bytes(field: number, bytes: Uint8Array): void {
    const { length } = bytes;
    const at = this.#delimited(field, length);
    this.#buffer.set(bytes, at);
    this.#end = at + length;
  }

  /** Adds fields that were written before. */
  append(fields: Uint8Array): void {
    const { length } = fields;
    this.room(length).set(fields, this.#end);
    this.#end += length;
  }

  /**
   * For who writes fields byte by byte, where that is worth it: memory with room for so many bytes from
   * {@link Writer.end} on, which then is to be set.
   */
  room(bytes: number): Uint8Array {
    if (this.#end + bytes > this.#buffer.length) this.#grow(bytes);
    return this.#buffer;
  }

  /** Where in that memory the next byte goes. */
  get end(): number {
    return this.#end;
  }

  set end(end: number) {
    this.#end = end;
  }

  /** Begins a message within this one. Gives what {@link Writer.close} must be handed when it is complete. */
  open(field: number): number {
    const end = putTag(this.room(varintBytes + 1), this.#end, field, 2) + 1;
    this.#end = end;
    return end - this.#start;
  }

  close(opened: number): void {
    const from = this.#start + opened;
    const length = this.#end - from;
    if (length <= 0x7f) {
      this.#buffer[from - 1] = length;
      return;
    }
    // One byte was kept for the length; a longer one moves the content.
    const extra = bytesOf(length) - 1;
    const bytes = this.room(extra);
    const begin = this.#start + opened;
    bytes.copyWithin(begin + extra, begin, this.#end);
    this.#end = putVarint(bytes, begin - 1, length) + length;
  }

  /** The message so far, as a copy of its own. */
  finish(): Uint8Array {
    return Buffer.from(this.#buffer.subarray(this.#start, this.#end));
  }

  /** The message where it lies, for who lets go of it soon: it keeps the memory of others. The writer writes on behind it. */
  take(): Uint8Array {
    // Not `subarray`: that of a `Buffer` costs twice as much.
    const message = new Uint8Array(this.#memory, this.#start, this.#end - this.#start);
    this.#start = this.#end;
    return message;
  }

  /** Begins a field of so many bytes, makes room for them, and gives where they go. */
  #delimited(field: number, length: number): number {
    const bytes = this.room(2 * varintBytes + length);
    return putVarint(bytes, putTag(bytes, this.#end, field, 2), length);
  }

  #grow(bytes: number): void {
    const length = this.#end - this.#start;
    const larger = Buffer.allocUnsafeSlow(Math.max(usualBytes, length + bytes, length * 2));
    this.#buffer.copy(larger, 0, this.#start, this.#end);
    this.#use(larger);
    this.#end = length;
  }

  #use(buffer: Buffer<ArrayBuffer>): void {
    this.#buffer = buffer;
    this.#memory = buffer.buffer;
    this.#start = 0;
  }
}

function putTag(bytes: Uint8Array, at: number, field: number, type: number): number {
  return putVarint(bytes, at, (field << 3) | type);
}

/** Writes the lowest 32 bits of a number as a varint, for which there is room, and gives where it ends. */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  const bits = value >>> 0;
  // No loop: what one does between its steps costs more than a step. Of a number the memory takes the lowest eight bits.
  if (bits < 2 ** 7) {
    bytes[at] = bits;
    return at + 1;
  }
  bytes[at] = bits | 0x80;
  if (bits < 2 ** 14) {
    bytes[at + 1] = bits >>> 7;
    return at + 2;
  }
  bytes[at + 1] = (bits >>> 7) | 0x80;
  if (bits < 2 ** 21) {
    bytes[at + 2] = bits >>> 14;
    return at + 3;
  }
  bytes[at + 2] = (bits >>> 14) | 0x80;
  if (bits < 2 ** 28) {
    bytes[at + 3] = bits >>> 21;
    return at + 4;
  }
  bytes[at + 3] = (bits >>> 21) | 0x80;
  bytes[at + 4] = bits >>> 28;
  return at + 5;
}

/** How many bytes a number takes as a varint. */
function bytesOf(value: number): number {
  let bytes = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes++;
  return bytes;
}
