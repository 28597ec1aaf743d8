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
    this.#reserve(2 * varintBytes);
    this.#tag(field, 0);
    this.#varint(value >>> 0);
  }

  int32(field: number, value: number): void {
    if (value >= 0) this.uint32(field, value);
    else this.int64(field, value);
  }

  sint32(field: number, value: number): void {
    this.uint32(field, (value << 1) ^ (value >> 31));
  }

  int64(field: number, value: Int64): void {
    this.#reserve(varintBytes + 10);
    this.#tag(field, 0);
    if (typeof value === "number" && value >= 0 && value <= 0xffff_ffff) {
      this.#varint(value);
      return;
    }
    let bits = BigInt.asUintN(64, BigInt(value));
    for (; bits > 0x7fn; bits >>= 7n) this.#buffer[this.#end++] = Number(bits & 0x7fn) | 0x80;
    this.#buffer[this.#end++] = Number(bits);
  }

  double(field: number, value: number): void {
    this.#reserve(varintBytes + 8);
    this.#tag(field, 1);
    this.#end = this.#buffer.writeDoubleLE(value, this.#end);
  }

  bool(field: number, value: boolean): void {
    this.uint32(field, value ? 1 : 0);
  }

  string(field: number, text: string): void {
    const length = Buffer.byteLength(text);
    this.#reserve(2 * varintBytes + length);
    this.#tag(field, 2);
    this.#varint(length);
    this.#end += this.#buffer.write(text, this.#end);
  }

  bytes(field: number, bytes: Uint8Array): void {
    const { length } = bytes;
    this.#reserve(2 * varintBytes + length);
    this.#tag(field, 2);
    this.#varint(length);
    this.#buffer.set(bytes, this.#end);
    this.#end += length;
  }

  /** Adds fields that were written before. */
  append(fields: Uint8Array): void {
    const { length } = fields;
    this.#reserve(length);
    this.#buffer.set(fields, this.#end);
    this.#end += length;
  }

  /** Begins a message within this one. Gives what {@link Writer.close} must be handed when it is complete. */
  open(field: number): number {
    this.#reserve(varintBytes + 1);
    this.#tag(field, 2);
    return ++this.#end - this.#start;
  }

  close(opened: number): void {
    const length = this.#end - this.#start - opened;
    // One byte was kept for the length; a longer one moves the content.
    if (length > 0x7f) {
      const extra = bytesOf(length) - 1;
      this.#reserve(extra);
      const from = this.#start + opened;
      this.#buffer.copyWithin(from + extra, from, this.#end);
    }
    this.#end = this.#start + opened - 1;
    this.#varint(length);
    this.#end += length;
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

  /** Room for it was made, as for {@link Writer.#varint}: once for all that a field has. */
  #tag(field: number, type: number): void {
    this.#varint(((field << 3) | type) >>> 0);
  }

  #varint(value: number): void {
    const buffer = this.#buffer;
    let end = this.#end;
    while (value > 0x7f) {
      buffer[end++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    buffer[end++] = value;
    this.#end = end;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return;
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

/** How many bytes a number takes as a varint. */
function bytesOf(value: number): number {
  let bytes = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes++;
  return bytes;
}
