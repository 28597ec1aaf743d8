/**
 * Writes protobuf messages into one buffer (https://protobuf.dev/programming-guides/encoding/). A message within a message
 * is begun and ended; its length is put before it when it ends. Used in place of a library's writer because the metrics of
 * a hub come to a million fields at once: this one takes a quarter of the time of @bufbuild/protobuf's.
 */
export class MessageWriter {
  #bytes: Buffer;
  #length = 0;
  /** Where the messages begin that are not ended yet. */
  readonly #open: number[] = [];

  constructor(capacity = 1024) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  /** How many bytes were written. */
  get length(): number {
    return this.#length;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }

  /** Begins a field that holds a message, or packed values. */
  begin(field: number): void {
    this.#reserve(6);
    this.#varint((field << 3) | 2);
    // Most messages are shorter than 128 bytes: their length takes one.
    this.#length++;
    this.#open.push(this.#length);
  }

  /** Ends what was begun last. */
  end(): void {
    const start = this.#open.pop()!;
    const length = this.#length - start;
    const more = varintLength(length) - 1;
    if (more > 0) {
      this.#reserve(more);
      this.#bytes.copyWithin(start + more, start, this.#length);
    }
    this.#length = start - 1;
    this.#varint(length);
    this.#length += length;
  }

  /** A field that holds bytes: a message that was encoded before, say. */
  bytes(field: number, value: Uint8Array): void {
    this.#reserve(10 + value.length);
    this.#varint((field << 3) | 2);
    this.#varint(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** What is a whole field, tag and all. */
  raw(encoded: Uint8Array): void {
    this.#reserve(encoded.length);
    this.#bytes.set(encoded, this.#length);
    this.#length += encoded.length;
  }

  /** A field that holds bytes which come in hexadecimal, two digits each, in lower case. */
  hex(field: number, digits: string): void {
    const length = digits.length >> 1;
    this.#reserve(10 + length);
    this.#varint((field << 3) | 2);
    this.#varint(length);
    const bytes = this.#bytes;
    let at = this.#length;
    // Buffer.write takes four times as long for so few.
    for (let i = 0; i < digits.length; i += 2) {
      bytes[at++] = (digitOf(digits.charCodeAt(i)) << 4) | digitOf(digits.charCodeAt(i + 1));
    }
    this.#length = at;
  }

  /** A text; halves of characters become U+FFFD, as proto3 wants UTF-8. */
  string(field: number, value: string): void {
    if (value.length < shortText && this.#shortString(field, value)) return;
    this.begin(field);
    this.#reserve(value.length * 3);
    this.#length += this.#bytes.write(value, this.#length, "utf8");
    this.end();
  }

  /** Writes a short text of ASCII, for which Buffer.write takes several times as long. Answers whether it is one. */
  #shortString(field: number, value: string): boolean {
    const { length } = value;
    this.#reserve(8 + length);
    const bytes = this.#bytes;
    const before = this.#length;
    this.#varint((field << 3) | 2);
    let at = this.#length;
    bytes[at++] = length;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) {
        this.#length = before;
        return false;
      }
      bytes[at++] = code;
    }
    this.#length = at;
    return true;
  }

  /** An int64, int32, enum or bool. The value is a safe integer. */
  integer(field: number, value: number): void {
    this.#reserve(16);
    this.#varint(field << 3);
    if (value >= 0) return this.#varint(value);
    // Two's complement of 64 bits (https://protobuf.dev/programming-guides/encoding/#signed-ints).
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 127n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 127n) | 128;
    this.#bytes[this.#length++] = Number(rest);
  }

  double(field: number, value: number): void {
    this.#reserve(16);
    this.#varint((field << 3) | 1);
    this.packedDouble(value);
  }

  /** A fixed64. The value is a safe integer that is not negative. */
  fixed64(field: number, value: number): void {
    this.#reserve(16);
    this.#varint((field << 3) | 1);
    this.packedFixed64(value);
  }

  /** A fixed64 with a time: milliseconds since 1970, with a fraction, written as nanoseconds. */
  time(field: number, ms: number): void {
    this.#reserve(16);
    this.#varint((field << 3) | 1);
    // Beyond the safe integers: in two halves, of 2^32 each.
    const whole = Math.trunc(ms);
    const low = (whole % 2 ** 32) * 1_000_000 + Math.round((ms - whole) * 1_000_000);
    const high = Math.floor(whole / 2 ** 32) * 1_000_000 + Math.floor(low / 2 ** 32);
    this.#bytes.writeUInt32LE(low % 2 ** 32, this.#length);
    this.#bytes.writeUInt32LE(high % 2 ** 32, this.#length + 4);
    this.#length += 8;
  }

  packedDouble(value: number): void {
    this.#reserve(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
  }

  packedFixed64(value: number): void {
    this.#reserve(8);
    this.#bytes.writeUInt32LE(value % 2 ** 32, this.#length);
    this.#bytes.writeUInt32LE(Math.floor(value / 2 ** 32), this.#length + 4);
    this.#length += 8;
  }

  #varint(value: number): void {
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) this.#bytes[this.#length++] = (rest % 128) | 128;
    this.#bytes[this.#length++] = rest;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Below this many characters a text is written one by one; its length takes one byte. */
const shortText = 64;

function digitOf(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) length++;
  return length;
}
