import type { Int64 } from "../../attributes/value.ts";

/** As much as Node's own pool of small buffers has: who keeps a message that was taken keeps so much with it. */
const usualBytes = 8192;
/** What most messages have room in. */
const roomBytes = 1024;

/**
 * Writes protobuf's wire format. One writer is kept and used for message after message: {@link Writer.reset} begins one,
 * {@link Writer.finish} copies it out, {@link Writer.take} gives it away. Fields are written as they are asked for;
 * leaving out default values is the caller's choice.
 */
export class Writer {
  #buffer = Buffer.allocUnsafeSlow(usualBytes);
  /** Where the message begins; before it lie those that were taken. */
  #start = 0;
  #end = 0;

  reset(): this {
    const isFull = this.#buffer.length - this.#start < roomBytes;
    if (isFull || this.#buffer.length > 8 * usualBytes) {
      this.#buffer = Buffer.allocUnsafeSlow(usualBytes);
      this.#start = 0;
    }
    this.#end = this.#start;
    return this;
  }

  uint32(field: number, value: number): void {
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
    this.#tag(field, 0);
    if (typeof value === "number" && value >= 0 && value <= 0xffff_ffff) {
      this.#varint(value);
      return;
    }
    this.#reserve(10);
    let bits = BigInt.asUintN(64, BigInt(value));
    for (; bits > 0x7fn; bits >>= 7n) this.#buffer[this.#end++] = Number(bits & 0x7fn) | 0x80;
    this.#buffer[this.#end++] = Number(bits);
  }

  double(field: number, value: number): void {
    this.#tag(field, 1);
    this.#reserve(8);
    this.#end = this.#buffer.writeDoubleLE(value, this.#end);
  }

  bool(field: number, value: boolean): void {
    this.uint32(field, value ? 1 : 0);
  }

  string(field: number, text: string): void {
    this.#tag(field, 2);
    const length = Buffer.byteLength(text);
    this.#varint(length);
    this.#reserve(length);
    this.#end += this.#buffer.write(text, this.#end);
  }

  bytes(field: number, bytes: Uint8Array): void {
    this.#tag(field, 2);
    this.#varint(bytes.length);
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** Adds fields that were written before. */
  append(fields: Uint8Array): void {
    this.#reserve(fields.length);
    this.#buffer.set(fields, this.#end);
    this.#end += fields.length;
  }

  /** Begins a message within this one. Gives what {@link Writer.close} must be handed when it is complete. */
  open(field: number): number {
    this.#tag(field, 2);
    this.#reserve(1);
    return ++this.#end - this.#start;
  }

  close(opened: number): void {
    const length = this.#end - this.#start - opened;
    // One byte was kept for the length; a longer one moves the content.
    let extra = 0;
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) extra++;
    // The length is written as any number is, which asks for room behind it: none of the content must be left behind then.
    this.#reserve(extra + 4);
    if (extra > 0) {
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
    const message = this.#buffer.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return message;
  }

  #tag(field: number, type: number): void {
    this.#varint(((field << 3) | type) >>> 0);
  }

  #varint(value: number): void {
    this.#reserve(5);
    while (value > 0x7f) {
      this.#buffer[this.#end++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    this.#buffer[this.#end++] = value;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return;
    const length = this.#end - this.#start;
    const larger = Buffer.allocUnsafeSlow(Math.max(usualBytes, length + bytes, length * 2));
    this.#buffer.copy(larger, 0, this.#start, this.#end);
    this.#buffer = larger;
    this.#start = 0;
    this.#end = length;
  }
}
