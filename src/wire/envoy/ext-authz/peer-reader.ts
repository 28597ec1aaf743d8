import type { Bag } from "../../../attributes/bag.ts";
import { setMap } from "../../../attributes/set-map.ts";
import type { WordCache } from "../../mixer/word-cache.ts";
import { Pair } from "../../protobuf/pair.ts";
import type { Reader } from "../../protobuf/reader.ts";
import { AddressReader } from "../address-reader.ts";
import { Certificates } from "../certificate.ts";
import { PartCache } from "../part-cache.ts";
import { principalOf, putPrincipal } from "../principal.ts";
import type { RequestTable } from "./request-table.ts";

/** Reads who is at both ends of a request: messages of the type AttributeContext.Peer. */
export class PeerReader {
  /** Whether the caller of the request that was read last has proved who it is. */
  hasIdentity = false;
  readonly #cache: WordCache;
  readonly #addresses = new AddressReader();
  readonly #certificates = new Certificates();
  readonly #principals = new PartCache(({ buffer, pos, end }) => principalOf(buffer.toString("utf8", pos, end)));
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
   * and says nothing here. `view` shows the whole memory of the reader's buffer, which begins there at `offset`.
   */
  read(reader: Reader, view: DataView, offset: number, bag: Bag, table: RequestTable, isSource: boolean): void {
    const slots = isSource ? table.source : table.destination;
    let labels: Map<string, string> | undefined;
    while (reader.more) {
      const tag = reader.field();
      const stop = reader.valueEnd;
      if (tag === 0x0a && (slots.ip >= 0 || slots.port >= 0)) {
        this.#addresses.read(reader, stop, bag, slots.ip, slots.port);
        reader.pos = stop;
      } else if (tag === 0x1a && slots.readsLabels) {
        labels ??= new Map();
        this.#label(reader, view, labels);
      } else if (tag === 0x22) {
        if (stop > reader.pos) {
          if (isSource) this.hasIdentity = true;
          if (slots.readsIdentity) {
            const { pos, end } = reader;
            putPrincipal(bag, slots, this.#principals.of(reader, view, offset, pos, stop));
            reader.end = end;
          }
        }
        reader.pos = stop;
      } else if (tag === 0x2a && isSource) {
        if (stop > reader.pos) this.hasIdentity = true;
        if (table.readsCertificate) this.#certificates.set(bag, reader.buffer.toString("latin1", reader.pos, stop));
        reader.pos = stop;
      } else reader.pass(tag);
    }
    if (labels !== undefined) setMap(bag, slots.labels, labels);
  }

  #label(reader: Reader, view: DataView, labels: Map<string, string>): void {
    const { keyStart, keyEnd, valueStart, valueEnd } = this.#pair.read(reader, reader.valueEnd);
    const key = this.#cache.text(reader.buffer, view, keyStart, keyEnd);
    labels.set(key, this.#cache.text(reader.buffer, view, valueStart, valueEnd));
  }
}
