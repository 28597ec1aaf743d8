import type { Bag } from "../../../attributes/bag.ts";
import { isGrpcType } from "../../grpc/type.ts";
import type { WordCache } from "../../mixer/word-cache.ts";
import { Pair } from "../../protobuf/pair.ts";
import type { Reader } from "../../protobuf/reader.ts";
import { httpTags, type RequestTable } from "./request-table.ts";

const colon = 0x3a;

/**
 * Reads the headers of a request, as entries of a map (`headers`) or as a list (`header_map`), into the slots of those
 * that a rule reads. Pseudo-headers (`:path`) are left out: other attributes say the same, at each door. The header `host`
 * is the request's host, as it came over HTTP/1 or would have.
 */
export class HeaderReader {
  /** Whether the request that was read last is a call of gRPC, by its content type. */
  isGrpc = false;
  /** The host of the request, which Envoy says beside the headers; "" for none. */
  host = "";
  /** What tells the request from others where the header `x-request-id` does not; "" for nothing. */
  id = "";
  /** Whether the body that came is the beginning of a longer one. Told only where a rule reads the body. */
  hasPartialBody = false;
  readonly #cache: WordCache;
  #all: Map<string, string> | undefined;
  readonly #pair = new Pair();

  constructor(cache: WordCache) {
    this.#cache = cache;
  }

  /** To be called before the headers of a request. */
  begin(): void {
    this.isGrpc = false;
    this.host = "";
    this.id = "";
    this.hasPartialBody = false;
    this.#all = undefined;
  }

  /** Steps over entries of `headers` that come next and that nobody reads, those that can be told at a glance. */
  skipUnread(reader: Reader, view: DataView, offset: number, table: RequestTable): void {
    if (table.allHeaders) return;
    reader.pos = table.headerNames.skipOthers(view, offset + reader.pos, offset + reader.end, httpTags.header) - offset;
  }

  /**
   * Reads the entry of `headers` that the reader has begun. Of several entries of a name the last counts, as in any map.
   * `view` shows the whole memory of the reader's buffer, which begins there at `offset`.
   */
  entry(reader: Reader, view: DataView, offset: number, bag: Bag, table: RequestTable): void {
    this.#pair.read(reader, reader.valueEnd);
    this.#take(reader.buffer, view, offset, bag, table, false);
  }

  /** Reads the HeaderMap that the reader has begun. Several headers of a name are joined, as Envoy joins them in `headers`. */
  list(reader: Reader, view: DataView, offset: number, bag: Bag, table: RequestTable): void {
    const { end } = reader;
    const stop = (reader.end = reader.valueEnd);
    while (reader.more) {
      const tag = reader.field();
      if (tag === 0x0a) {
        this.#pair.read(reader, reader.valueEnd, 0x1a);
        this.#take(reader.buffer, view, offset, bag, table, true);
      } else reader.pass(tag);
    }
    reader.end = end;
    reader.pos = stop;
  }

  /** Puts in what can only be put in when all headers were read. */
  end(bag: Bag, table: RequestTable): void {
    const { host, id } = this;
    if (id !== "" && (bag.peek(table.id) ?? "") === "") bag.set(table.id, id);
    if (host !== "") {
      if (table.hostKey >= 0 && bag.peek(table.hostKey) === undefined) bag.set(table.hostKey, host);
      if (table.allHeaders && this.#all?.has("host") !== true) (this.#all ??= new Map()).set("host", host);
    }
    if (this.#all !== undefined) bag.set(table.headers, this.#all);
  }

  #take(buffer: Buffer, view: DataView, offset: number, bag: Bag, table: RequestTable, joins: boolean): void {
    const { keyStart: start, keyEnd: end, valueStart, valueEnd } = this.#pair;
    const index = table.headerNames.find(view, offset + start, offset + end);
    if (table.allHeaders) {
      if (start < end && buffer[start] === colon) return;
      const value = this.#cache.text(buffer, view, valueStart, valueEnd);
      this.#takeWhole(this.#cache.text(buffer, view, start, end), value, joins);
    }
    if (index < 0) return;
    const { key, attribute, isContentType, isPartialBody } = table.headerUses[index]!;
    if (isContentType) this.isGrpc = isGrpcBytes(buffer, valueStart, valueEnd);
    if (isPartialBody && buffer.toString("latin1", valueStart, valueEnd) === "true") this.hasPartialBody = true;
    if (key < 0 && attribute < 0) return;
    const value = this.#cache.text(buffer, view, valueStart, valueEnd);
    if (key >= 0) {
      const before = joins ? bag.peek(key) : undefined;
      bag.set(key, typeof before === "string" ? before + separator(buffer, start, end) + value : value);
    }
    if (attribute >= 0) {
      const before = joins ? bag.peek(attribute) : undefined;
      bag.set(attribute, typeof before === "string" ? `${before},${value}` : value);
    }
  }

  #takeWhole(name: string, value: string, joins: boolean): void {
    const all = (this.#all ??= new Map());
    const before = joins ? all.get(name) : undefined;
    all.set(name, before === undefined ? value : before + (name === "cookie" ? "; " : ",") + value);
  }
}

/** Where `application/grpc` differs from what most bodies are. */
const letterAt = 12;

function isGrpcBytes(buffer: Buffer, start: number, end: number): boolean {
  if (end - start <= letterAt || (buffer[start + letterAt]! | 0x20) !== 0x67) return false;
  return isGrpcType(buffer.toString("latin1", start, end));
}

/** What joins several headers of a name: a comma (RFC 9110, 5.3), for cookies a semicolon (RFC 9113, 8.2.3). */
function separator(buffer: Buffer, start: number, end: number): string {
  return end - start === 6 && buffer.toString("latin1", start, end) === "cookie" ? "; " : ",";
}
