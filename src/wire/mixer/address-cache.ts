import { Ip } from "../../attributes/ip.ts";
import { hashBytes } from "./word-hash.ts";

/**
 * Makes addresses from bytes and remembers those of late, with the text that they were turned into. Its size is fixed.
 * An address is kept when it comes for the second time: one that never comes again would only be made to live long.
 */
export class AddressCache {
  readonly #places: (Ip | undefined)[];
  /** Of what came last to each place: kept, or met for the first time. */
  readonly #hashes: Int32Array;

  /** `places` is how many addresses are kept: a power of 2. */
  constructor(places = 2048) {
    this.#places = new Array<Ip | undefined>(places).fill(undefined);
    this.#hashes = new Int32Array(places);
  }

  /** The address in 4 or 16 bytes of a buffer, whose whole memory `view` shows; `undefined` for any other length. */
  address(buffer: Buffer, view: DataView, start: number, end: number): Ip | undefined {
    const hash = hashBytes(view, buffer.byteOffset + start, buffer.byteOffset + end);
    const place = hash & (this.#places.length - 1);
    if (this.#hashes[place] !== hash) {
      this.#hashes[place] = hash;
      return Ip.fromBytes(buffer, start, end);
    }
    const kept = this.#places[place];
    if (kept !== undefined && isSame(kept.bytes, buffer, start, end)) return kept;
    const ip = Ip.fromBytes(buffer, start, end);
    if (ip !== undefined) this.#places[place] = ip;
    return ip;
  }
}

function isSame(kept: Uint8Array, buffer: Buffer, start: number, end: number): boolean {
  if (kept.length !== end - start) return false;
  for (let i = 0; i < kept.length; i++) if (kept[i] !== buffer[start + i]) return false;
  return true;
}
