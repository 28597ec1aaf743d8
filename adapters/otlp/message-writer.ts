/**
 * Writes protobuf messages into one buffer (https://protobuf.dev/programming-guides/encoding/). A message within a message
 * is begun and ended; its length is put before it when it ends. Used in place of a library's writer because the metrics of
 * a hub come to a million fields at once: this one takes a quarter of the time of @bufbuild/protobuf's.
 */
export class MessageWriter {
  #bytes: Buffer;
  #length = 0;
  /** Where the messages begin that are not ended yet, each with the room that its length has. */
  readonly #open: number[] = [];

  constructor(capacity = 1024) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  /** How many bytes were written. */
  get length(): number {
    return this.#length;
  }

  /** What was written. The writer is done: the bytes are not copied. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /**
   * Begins a field that holds a message, or packed values.
   *
   * @param room how many bytes its length is expected to take; what it holds is moved where it takes more or fewer.
   *   Default: 1, for what is shorter than 128 bytes
   */
  begin(field: number, room = 1): void {
    this.#reserve(5 + room);
    this.#varint((field << 3) | 2);
    this.#length += room;
    this.#open.push(this.#length, room);
  }

  /** Ends what was begun last. */
  end(): void {
    const room = this.#open.pop()!;
    const start = this.#open.pop()!;
    const length = this.#length - start;
    const moved = varintLength(length) - room;
    if (moved !== 0) {
      this.#reserve(moved);
      this.#bytes.copyWithin(start + moved, start, this.#length);
    }
    this.#length = start - room;
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
    for (let i = 0; i < digits.length; i += 2) {
      bytes[at++] = (digitOf(digits.charCodeAt(i)) << 4) | digitOf(digits.charCodeAt(i + 1));
    }
    this.#length = at;
  }

  /** A text; halves of characters become U+FFFD, as proto3 wants UTF-8. */
  string(field: number, value: string): void {
    this.#reserve(10 + value.length * 3);
    const before = this.#length;
    this.#varint((field << 3) | 2);
    if (value.length < shortText && this.#ascii(value)) return;
    this.#length = before;
    this.begin(field);
    this.#length += this.#bytes.write(value, this.#length, "utf8");
    this.end();
  }

  /**
   * A message that holds a whole field and a message (2) with a text (1), as entries of a map do. Answers whether the whole
   * is a short one; else nothing is written. It is what most of a span consists of.
   */
  shortEntry(field: number, key: Uint8Array, value: string): boolean {
    const inner = value.length + 2;
    const outer = key.length + 2 + inner;
    if (outer > 127) return false;
    this.#reserve(10 + outer);
    const before = this.#length;
    this.#varint((field << 3) | 2);
    const bytes = this.#bytes;
    bytes[this.#length++] = outer;
    bytes.set(key, this.#length);
    this.#length += key.length;
    bytes[this.#length++] = (2 << 3) | 2;
    bytes[this.#length++] = inner;
    bytes[this.#length++] = (1 << 3) | 2;
    if (this.#ascii(value)) return true;
    this.#length = before;
    return false;
  }

  /**
   * Writes the length and the characters of a text, for which there is room. Answers whether it is one of ASCII, of less than
   * 128 characters; for such ones Buffer.write takes several times as long.
   */
  #ascii(value: string): boolean {
    const { length } = value;
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at++] = length;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) return false;
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
    for (; rest > 0x7fffffff; rest = Math.floor(rest / 128)) this.#bytes[this.#length++] = (rest % 128) | 128;
    for (; rest > 127; rest >>= 7) this.#bytes[this.#length++] = (rest & 127) | 128;
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

/** The value of a hexadecimal digit. A branch would be guessed wrong in four of ten. */
function digitOf(code: number): number {
  return (code & 15) + (code >> 6) * 9;
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) length++;
  return length;
}
