import ipaddr from "ipaddr.js";

/**
 * An IP address. An IPv4 address that travels in IPv6 form (`::ffff:10.0.0.1`) is the IPv4 address, so that both forms
 * are equal and an IPv4 range holds both. Immutable.
 */
export class Ip {
  readonly family: 4 | 6;
  /** The 32 bits of an IPv4 address, as a number with a sign. */
  readonly #v4: number;
  #bytes: Uint8Array | undefined;
  #text: string | undefined;

  private constructor(v4: number, bytes: Uint8Array | undefined, text: string | undefined) {
    this.family = bytes === undefined ? 4 : 6;
    this.#v4 = v4;
    this.#bytes = bytes;
    this.#text = text;
  }

  /** An address from 4 or 16 bytes, or that many in a part of a buffer, which are copied; `undefined` for any other length. */
  static fromBytes(bytes: Uint8Array, start = 0, end = bytes.length): Ip | undefined {
    const length = end - start;
    if (length !== 4 && length !== 16) return undefined;
    const at = length === 16 && isMapped(bytes, start) ? start + 12 : start;
    if (end - at === 16) return new Ip(0, Uint8Array.from(bytes.subarray(at, end)), undefined);
    const v4 = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    return new Ip(v4, undefined, undefined);
  }

  /** Reads dotted IPv4 of four decimal parts, or IPv6 without a zone; `undefined` when it is neither. */
  static parse(text: string): Ip | undefined {
    if (text.length > 45) return undefined;
    const v4 = dotted(text);
    // What is dotted is canonical: each part has one way to be written.
    if (v4 !== undefined) return new Ip(v4, undefined, text);
    if (!text.includes(":") || text.includes("%") || !ipaddr.IPv6.isValid(text)) return undefined;
    return Ip.fromBytes(Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray()));
  }

  /** 4 or 16 bytes, most significant first. Not to be written. */
  get bytes(): Uint8Array {
    const v4 = this.#v4;
    return (this.#bytes ??= Uint8Array.of(v4 >>> 24, v4 >>> 16, v4 >>> 8, v4));
  }

  equals(other: Ip): boolean {
    return this.sharesBits(other, this.family === 4 ? 32 : 128);
  }

  /** Whether an address is of the same family and begins with the same bits. */
  sharesBits(other: Ip, count: number): boolean {
    if (this.family !== other.family) return false;
    if (this.family === 4) return count === 0 || (this.#v4 ^ other.#v4) >>> (32 - count) === 0;
    const [mine, theirs] = [this.bytes, other.bytes];
    const whole = count >>> 3;
    for (let i = 0; i < whole; i++) if (mine[i] !== theirs[i]) return false;
    const rest = count & 7;
    return rest === 0 || (mine[whole]! ^ theirs[whole]!) >>> (8 - rest) === 0;
  }

  /** Canonical text: dotted IPv4, or IPv6 by RFC 5952. */
  toString(): string {
    return (this.#text ??= ipaddr.fromByteArray([...this.bytes]).toString());
  }

  toJSON(): string {
    return this.toString();
  }
}

/** A range of addresses that share their first bits. Immutable. */
export class Cidr {
  readonly ip: Ip;
  /** How many leading bits are shared: 0 to 32 or 0 to 128. */
  readonly prefix: number;

  private constructor(ip: Ip, prefix: number) {
    this.ip = ip;
    this.prefix = prefix;
  }

  /**
   * Reads `10.0.0.0/8` or `2001:db8::/32`; a bare address is the range of itself. Bits beyond the prefix may be set and
   * are ignored when addresses are compared. `undefined` when it is neither.
   */
  static parse(text: string): Cidr | undefined {
    const slash = text.indexOf("/");
    const ip = Ip.parse(slash < 0 ? text : text.slice(0, slash));
    if (ip === undefined) return undefined;
    const bits = ip.family === 4 ? 32 : 128;
    if (slash < 0) return new Cidr(ip, bits);
    const digits = text.slice(slash + 1);
    if (!/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined;
    // The prefix of an IPv4-mapped range counts from the start of its 128 bits.
    const prefix = Number(digits) - (ip.family === 4 && text.includes(":") ? 96 : 0);
    return prefix < 0 || prefix > bits ? undefined : new Cidr(ip, prefix);
  }

  contains(ip: Ip): boolean {
    return this.ip.sharesBits(ip, this.prefix);
  }

  toString(): string {
    return `${this.ip}/${this.prefix}`;
  }
}

/** The bits of four decimal parts from 0 to 255 without leading zeros; `undefined` for any other text. */
function dotted(text: string): number | undefined {
  const { length } = text;
  if (length < 7 || length > 15) return undefined;
  let bits = 0;
  let part = 0;
  let value = -1;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit >= 0 && digit <= 9) {
      if (value === 0) return undefined;
      value = value < 0 ? digit : value * 10 + digit;
      if (value > 255) return undefined;
    } else if (digit === -2 && value >= 0 && part < 3) {
      bits = (bits << 8) | value;
      part++;
      value = -1;
    } else return undefined;
  }
  return part < 3 || value < 0 ? undefined : (bits << 8) | value;
}

/** Whether 16 bytes are an IPv4 address in IPv6 form (RFC 4291, 2.5.5.2). */
function isMapped(bytes: Uint8Array, start: number): boolean {
  for (let i = start; i < start + 10; i++) if (bytes[i] !== 0) return false;
  return bytes[start + 10] === 0xff && bytes[start + 11] === 0xff;
}

/** Below 0, 0 or above 0 as `a` sorts before, with or after `b`. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
