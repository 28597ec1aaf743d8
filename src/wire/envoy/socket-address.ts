import { Ip } from "../../attributes/ip.ts";
import { AddressCache } from "../mixer/address-cache.ts";
import { viewOf } from "../mixer/word-hash.ts";
import type { Reader } from "../protobuf/reader.ts";

/** Longer texts are no addresses. */
const maxText = 45;

/** Reads `envoy.config.core.v3.Address`. Made once and used for all messages; it remembers the addresses of late. */
export class SocketAddressReader {
  /** Of the address that was read last; `undefined` for a pipe, an address inside the proxy, or one that is none. */
  ip: Ip | undefined;
  port: number | undefined;
  readonly #cache = new AddressCache();
  readonly #bytes = Buffer.alloc(4);
  readonly #view = viewOf(this.#bytes);

  /** Reads the address between two positions of the reader's buffer. Throws a `WeirError` where it is malformed. */
  read(reader: Reader, start: number, end: number): void {
    this.ip = undefined;
    this.port = undefined;
    reader.pos = start;
    reader.end = end;
    while (reader.more) {
      const tag = reader.tag();
      if (tag !== 0x0a) {
        reader.skip(tag);
        continue;
      }
      reader.end = reader.delimited();
      this.#readSocketAddress(reader);
      reader.end = end;
    }
  }

  #readSocketAddress(reader: Reader): void {
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x12) {
        const stop = reader.delimited();
        this.ip = this.#parse(reader.buffer, reader.pos, stop);
        reader.pos = stop;
      } else if (tag === 0x18) this.port = reader.uint32();
      else reader.skip(tag);
    }
  }

  #parse(text: Buffer, start: number, end: number): Ip | undefined {
    if (end - start > maxText) return undefined;
    if (this.#parseV4(text, start, end)) return this.#cache.address(this.#bytes, this.#view, 0, 4);
    return Ip.parse(text.toString("latin1", start, end));
  }

  /** Reads dotted decimal without leading zeros into the four bytes. */
  #parseV4(text: Buffer, start: number, end: number): boolean {
    let part = 0;
    let value = -1;
    for (let i = start; i < end; i++) {
      const byte = text[i]!;
      if (byte === 0x2e) {
        if (value < 0 || part === 3) return false;
        this.#bytes[part++] = value;
        value = -1;
      } else {
        const digit = byte - 0x30;
        if (digit < 0 || digit > 9 || value === 0) return false;
        value = value < 0 ? digit : value * 10 + digit;
        if (value > 255) return false;
      }
    }
    if (part !== 3 || value < 0) return false;
    this.#bytes[3] = value;
    return true;
  }
}
