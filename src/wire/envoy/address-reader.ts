import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import { Ip } from "../../attributes/ip.ts";
import type { Reader } from "../protobuf/reader.ts";
import { AddressCache } from "../mixer/address-cache.ts";
import { viewOf } from "../mixer/word-hash.ts";

/** Reads IP addresses and ports out of messages of the type envoy.config.core.v3.Address. */
export class AddressReader {
  readonly #cache = new AddressCache();
  readonly #four = Buffer.alloc(4);
  readonly #fourView = viewOf(this.#four);

  /**
   * Reads the Address between the reader's position and `stop` into slots of a bag; a slot of -1 is not filled. An
   * address that is no IP address (a pipe, a listener inside Envoy) leaves them as they are.
   */
  read(reader: Reader, stop: number, bag: Bag, ip: number, port: number): void {
    const { end } = reader;
    reader.end = stop;
    while (reader.more) {
      const tag = reader.field();
      if (tag !== 0x0a) {
        reader.pass(tag);
        continue;
      }
      const socketEnd = (reader.end = reader.valueEnd);
      while (reader.more) {
        const inner = reader.field();
        if (inner === 0x12) {
          if (ip >= 0) bag.set(ip, this.#address(reader.buffer, reader.pos, reader.valueEnd));
          reader.pos = reader.valueEnd;
        } else if (inner === 0x18) {
          const number = reader.uint32();
          if (port >= 0) bag.set(port, number);
        } else reader.pass(inner);
      }
      reader.end = stop;
      reader.pos = socketEnd;
    }
    reader.end = end;
  }

  #address(buffer: Buffer, start: number, end: number): Ip | Fault | undefined {
    if (start === end) return undefined;
    if (this.#isFour(buffer, start, end)) return this.#cache.address(this.#four, this.#fourView, 0, 4);
    const text = buffer.toString("latin1", start, Math.min(end, start + 64));
    return Ip.parse(text) ?? new Fault(`${JSON.stringify(text)} is no IP address`);
  }

  /** Reads `10.1.2.3` into {@link AddressReader.#four}. `false` for any other text, also of an address. */
  #isFour(buffer: Buffer, start: number, end: number): boolean {
    if (end - start > 15) return false;
    let part = 0;
    let value = -1;
    for (let i = start; i < end; i++) {
      const byte = buffer[i]!;
      if (byte === 0x2e) {
        if (value < 0 || part > 2) return false;
        this.#four[part++] = value;
        value = -1;
      } else if (byte >= 0x30 && byte <= 0x39) {
        // No digit may follow a leading 0: some read 010 as 8.
        if (value === 0) return false;
        value = (value < 0 ? 0 : value * 10) + byte - 0x30;
        if (value > 255) return false;
      } else return false;
    }
    if (part !== 3 || value < 0) return false;
    this.#four[3] = value;
    return true;
  }
}
