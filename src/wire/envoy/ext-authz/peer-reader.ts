import type { Bag } from "../../../attributes/bag.ts";
import { setMap } from "../../../attributes/set-map.ts";
import type { WordCache } from "../../mixer/word-cache.ts";
import { Pair } from "../../protobuf/pair.ts";
import type { Reader } from "../../protobuf/reader.ts";
import { AddressReader } from "../address-reader.ts";
import { Certificates } from "../certificate.ts";
import { Principals, putPrincipal } from "../principal.ts";
import type { PeerSlots, RequestTable } from "./request-table.ts";

/** Reads who is at both ends of a request: messages of the type AttributeContext.Peer. */
export class PeerReader {
  /** Whether the caller of the request that was read last has proved who it is. */
  hasIdentity = false;
  readonly #cache: WordCache;
  readonly #addresses = new AddressReader();
  readonly #certificates = new Certificates();
  readonly #principals = new Principals();
  readonly #pair = new Pair();

  constructor(cache: WordCache) {
    this.#cache = cache;
  }

  /** To be called before the peers of a request. */
  begin(): void {
    this.hasIdentity = false;
  }

  /**
   * Reads the Peer that fills the reader's part. Its `service` is a header of the request, which its caller may write,
   * and says nothing here.
   */
  read(reader: Reader, view: DataView, bag: Bag, table: RequestTable, isSource: boolean): void {
    const slots = isSource ? table.source : table.destination;
    let labels: Map<string, string> | undefined;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x0a && (slots.ip >= 0 || slots.port >= 0)) {
        const stop = reader.delimited();
        this.#addresses.read(reader, stop, bag, slots.ip, slots.port);
        reader.pos = stop;
      } else if (tag === 0x1a && slots.readsLabels) {
        labels ??= new Map();
        this.#label(reader, view, labels);
      } else if (tag === 0x22) {
        const stop = reader.delimited();
        if (stop > reader.pos) {
          if (isSource) this.hasIdentity = true;
          if (slots.readsIdentity) this.#principal(reader, view, bag, slots, stop);
        }
        reader.pos = stop;
      } else if (tag === 0x2a && isSource) {
        const stop = reader.delimited();
        if (stop > reader.pos) this.hasIdentity = true;
        if (table.readsCertificate) this.#certificates.set(bag, reader.buffer.toString("latin1", reader.pos, stop));
        reader.pos = stop;
      } else reader.skip(tag);
    }
    if (labels !== undefined) setMap(bag, slots.labels, labels);
  }

  #principal(reader: Reader, view: DataView, bag: Bag, slots: PeerSlots, stop: number): void {
    const identity = this.#cache.text(reader.buffer, view, reader.pos, stop);
    putPrincipal(bag, slots, this.#principals.of(identity));
  }

  #label(reader: Reader, view: DataView, labels: Map<string, string>): void {
    const { keyStart, keyEnd, valueStart, valueEnd } = this.#pair.read(reader);
    const key = this.#cache.text(reader.buffer, view, keyStart, keyEnd);
    labels.set(key, this.#cache.text(reader.buffer, view, valueStart, valueEnd));
  }
}
