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
    if (this.#usual(reader.buffer, reader.pos, stop, bag, ip, port)) {
      reader.pos = stop;
      return;
    }
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

  /** Reads the usual form: a SocketAddress of address and port, in this order, each with a length of one byte. */
  #usual(buffer: Buffer, start: number, stop: number, bag: Bag, ip: number, port: number): boolean {
    const length = stop - start - 2;
    if (length < 6 || length > 0x7f || buffer[start] !== 0x0a || buffer[start + 1] !== length) return false;
    const address = start + 4;
    const addressEnd = address + buffer[start + 3]!;
    const portBytes = stop - addressEnd - 1;
    if (buffer[start + 2] !== 0x12 || portBytes < 1 || portBytes > 3 || buffer[addressEnd] !== 0x18) return false;
    let number = 0;
    for (let i = 0; i < portBytes; i++) {
      const byte = buffer[addressEnd + 1 + i]!;
      // All but the last byte of a varint have the highest bit.
      if (byte > 0x7f !== i < portBytes - 1) return false;
      number |= (byte & 0x7f) << (7 * i);
    }
    if (ip >= 0) bag.set(ip, this.#address(buffer, address, addressEnd));
    if (port >= 0) bag.set(port, number);
    return true;
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
    let address = 0;
    let dots = 0;
    let value = 0;
    let digits = 0;
    for (let i = start; i < end; i++) {
      const digit = buffer[i]! - 0x30;
      if (digit >= 0 && digit <= 9) {
        // No digit may follow a leading 0: some read 010 as 8.
        if (digits > 0 && value === 0) return false;
        value = value * 10 + digit;
        digits++;
        if (value > 255) return false;
      } else {
        if (digit !== 0x2e - 0x30 || digits === 0) return false;
        address = (address << 8) | value;
        dots++;
        value = 0;
        digits = 0;
      }
    }
    if (dots !== 3 || digits === 0) return false;
    this.#fourView.setInt32(0, (address << 8) | value);
    return true;
  }
}
