import type { Int64 } from "../../attributes/value.ts";

const usualBytes = 4096;

/**
 * Writes protobuf's wire format. One writer is kept and used for message after message: {@link Writer.reset} begins one
 * and {@link Writer.finish} copies it out. Fields are written as they are asked for; leaving out default values is the
 * caller's choice.
 */
export class Writer {
  #buffer = Buffer.allocUnsafeSlow(usualBytes);
  #length = 0;

  reset(): this {
    this.#length = 0;
    if (this.#buffer.length > 16 * usualBytes) this.#buffer = Buffer.allocUnsafeSlow(usualBytes);
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
    for (; bits > 0x7fn; bits >>= 7n) this.#buffer[this.#length++] = Number(bits & 0x7fn) | 0x80;
    this.#buffer[this.#length++] = Number(bits);
  }

  double(field: number, value: number): void {
    this.#tag(field, 1);
    this.#reserve(8);
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
  }

  bool(field: number, value: boolean): void {
    this.uint32(field, value ? 1 : 0);
  }

  string(field: number, text: string): void {
    this.#tag(field, 2);
    const length = Buffer.byteLength(text);
    this.#varint(length);
    this.#reserve(length);
    this.#length += this.#buffer.write(text, this.#length);
  }

  bytes(field: number, bytes: Uint8Array): void {
    this.#tag(field, 2);
    this.#varint(bytes.length);
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Adds fields that were written before. */
  append(fields: Uint8Array): void {
    this.#reserve(fields.length);
    this.#buffer.set(fields, this.#length);
    this.#length += fields.length;
  }

  /** Begins a message within this one. Gives what {@link Writer.close} must be handed when it is complete. */
  open(field: number): number {
    this.#tag(field, 2);
    this.#reserve(1);
    return ++this.#length;
  }

  close(start: number): void {
    const length = this.#length - start;
    // One byte was kept for the length; a longer one moves the content.
    let extra = 0;
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) extra++;
    if (extra > 0) {
      this.#reserve(extra);
      this.#buffer.copyWithin(start + extra, start, this.#length);
    }
    this.#length = start - 1;
    this.#varint(length);
    this.#length += length;
  }

  /** The message so far, as a copy of its own. */
  finish(): Uint8Array {
    return Buffer.from(this.#buffer.subarray(0, this.#length));
  }

  #tag(field: number, type: number): void {
    this.#varint(((field << 3) | type) >>> 0);
  }

  #varint(value: number): void {
    this.#reserve(5);
    while (value > 0x7f) {
      this.#buffer[this.#length++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    this.#buffer[this.#length++] = value;
  }

  #reserve(bytes: number): void {
    const need = this.#length + bytes;
    if (need <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(need, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
