import { Buffer } from "node:buffer";
import { int64 } from "../../attributes/int64.ts";
import type { Int64 } from "../../attributes/value.ts";
import { WeirError } from "../../util/weir-error.ts";

/** How a field's value is written (https://protobuf.dev/programming-guides/encoding/#structure). */
const wireType = { varint: 0, fixed64: 1, delimited: 2, fixed32: 5 } as const;

const nothing = Buffer.alloc(0);

/**
 * Reads protobuf's wire format from a part of a buffer. Every step checks its bounds; bytes that are not the format are
 * a `WeirError` with the code WEIR_REQUEST_MALFORMED. Groups, which proto3 does not have, are refused.
 *
 * A reader is made once and {@link Reader.reset} for each message.
 */
export class Reader {
  buffer: Buffer = nothing;
  /** Position of the next byte. */
  pos = 0;
  /** Position behind the last byte. */
  end = 0;
  /** Behind the value of the {@link Reader.field} that was begun last, where that has a length. */
  valueEnd = 0;

  reset(buffer: Buffer, start = 0, end = buffer.length): this {
    this.buffer = buffer;
    this.pos = start;
    this.end = end;
    return this;
  }

  get more(): boolean {
    return this.pos < this.end;
  }

  /** The next field's number and wire type, as `number << 3 | type`. */
  tag(): number {
    const tag = this.uint32();
    const type = tag & 7;
    if (tag >>> 3 === 0) throw malformed("a field has the number 0", this.pos);
    if (type === 3 || type === 4 || type > 5) throw malformed(`a field has the wire type ${type}`, this.pos);
    return tag;
  }

  /**
   * The next field's tag, as {@link Reader.tag} has it. Of a value with a length that is read too, so that the value lies
   * between `pos` and `valueEnd`.
   */
  field(): number {
    const { buffer, pos, end } = this;
    // A tag of one byte and a length of one or two, as most are.
    if (pos + 3 <= end) {
      const tag = buffer[pos]!;
      let start = pos + 2;
      let length = buffer[pos + 1]!;
      let high = 0;
      if (length > 0x7f) {
        high = buffer[start++]!;
        length = (length & 0x7f) | (high << 7);
      }
      const stop = start + length;
      if ((tag & 0x87) === wireType.delimited && tag > 7 && high < 0x80 && stop <= end) {
        this.pos = start;
        this.valueEnd = stop;
        return tag;
      }
    }
    const tag = this.tag();
    if ((tag & 7) === wireType.delimited) this.valueEnd = this.delimited();
    return tag;
  }

  /** Steps over the value of a field that {@link Reader.field} began. */
  pass(tag: number): void {
    if ((tag & 7) === wireType.delimited) this.pos = this.valueEnd;
    else this.skip(tag);
  }

  /** A varint; of a larger one its lowest 32 bits, as protobuf has it. */
  uint32(): number {
    const buffer = this.buffer;
    let pos = this.pos;
    if (pos >= this.end) throw truncated(pos);
    let byte = buffer[pos++]!;
    let value = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (pos >= this.end) throw truncated(pos);
      if (shift > 63) throw malformed("a varint is longer than 10 bytes", pos);
      byte = buffer[pos++]!;
      if (shift < 32) value |= (byte & 0x7f) << shift;
    }
    this.pos = pos;
    return value >>> 0;
  }

  int32(): number {
    return this.uint32() | 0;
  }

  /** A zigzag varint. */
  sint32(): number {
    const value = this.uint32();
    return (value >>> 1) ^ -(value & 1);
  }

  bool(): boolean {
    return this.int64() !== 0;
  }

  int64(): Int64 {
    const buffer = this.buffer;
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (this.pos >= this.end) throw truncated(this.pos);
      if (shift > 63) throw malformed("a varint is longer than 10 bytes", this.pos);
      const byte = buffer[this.pos++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) break;
    }
    const value = high * 0x1_0000_0000 + (low >>> 0);
    return Number.isSafeInteger(value) ? value : int64((BigInt(high) << 32n) | BigInt(low >>> 0))!;
  }

  double(): number {
    this.#need(8);
    const value = this.buffer.readDoubleLE(this.pos);
    this.pos += 8;
    return value;
  }

  /** The length of what follows; gives the position behind it, which is within this reader's part. */
  delimited(): number {
    let byte = this.pos < this.end ? this.buffer[this.pos++]! : 0x80;
    let length = byte & 0x7f;
    for (let unit = 2 ** 7; byte >= 0x80; unit *= 2 ** 7) {
      if (this.pos >= this.end) throw truncated(this.pos);
      if (unit > 2 ** 28) throw malformed("a length is beyond 4 GiB", this.pos);
      byte = this.buffer[this.pos++]!;
      length += (byte & 0x7f) * unit;
    }
    const stop = this.pos + length;
    if (stop > this.end) throw malformed(`${length} bytes are announced and ${this.end - this.pos} are left`, this.pos);
    return stop;
  }

  /** Text. Bytes that are not UTF-8 become U+FFFD, since proxies pass on what headers hold. */
  string(): string {
    const stop = this.delimited();
    const text = this.buffer.toString("utf8", this.pos, stop);
    this.pos = stop;
    return text;
  }

  /** Steps over the value of a field. */
  skip(tag: number): void {
    switch (tag & 7) {
      case wireType.varint:
        this.#skipVarint();
        return;
      case wireType.fixed64:
        this.#need(8);
        this.pos += 8;
        return;
      case wireType.delimited:
        this.pos = this.delimited();
        return;
      default:
        this.#need(4);
        this.pos += 4;
    }
  }

  #skipVarint(): void {
    const { buffer, pos, end } = this;
    // Most are short, or the ten bytes of a number below 0.
    const last = Math.min(end, pos + 10);
    for (let i = pos; i < last; i++) {
      if (buffer[i]! < 0x80) {
        this.pos = i + 1;
        return;
      }
    }
    if (last === end) throw truncated(end);
    throw malformed("a varint is longer than 10 bytes", last);
  }

  #need(bytes: number): void {
    if (this.pos + bytes > this.end) throw truncated(this.pos);
  }
}

/** The bytes as a Buffer over the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function malformed(what: string, pos: number): WeirError {
  return new WeirError("WEIR_REQUEST_MALFORMED", `the message is malformed at byte ${pos}: ${what}`);
}

function truncated(pos: number): WeirError {
  return malformed("it ends within a field", pos);
}
