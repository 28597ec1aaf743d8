import { emptyMap, type Bag } from "../../../attributes/bag.ts";
import { Fault } from "../../../attributes/fault.ts";
import type { Layout } from "../../../attributes/layout.ts";
import { setMap } from "../../../attributes/set-map.ts";
import { Timestamp } from "../../../attributes/timestamp.ts";
import { WordCache } from "../../mixer/word-cache.ts";
import { Reader } from "../../protobuf/reader.ts";
import { flattened, readFilters } from "../metadata.ts";
import { jwtFilter, setToken } from "../token.ts";
import type { Extension } from "./context-extensions.ts";
import { HeaderReader } from "./header-reader.ts";
import { PeerReader } from "./peer-reader.ts";
import { PrincipalReader, unusual } from "./principal-reader.ts";
import { httpTags, RequestTable, special, unread } from "./request-table.ts";
import { SecondsAndNanos } from "../../protobuf/seconds-and-nanos.ts";

/** What a request is beside its attributes. */
export interface Decoded {
  /** Whether it is a request of HTTP; else it is a connection. */
  isHttp: boolean;
  /** Whether it is a call of gRPC. */
  isGrpc: boolean;
  /** Of the bag's layout. So many as {@link Decoded.extensionCount} count, those behind are of other requests. */
  readonly extensions: Extension[];
  extensionCount: number;
}

/** For so many context extensions room is kept after a request. */
const usualExtensions = 64;

/**
 * Reads what a layout has slots for out of the bytes of an envoy.service.auth.v3.CheckRequest, in one walk, and steps
 * over the rest. The order of fields does not matter. Bytes that are no such message throw a `WeirError`; what no slot
 * asks for is not looked into.
 */
export class RequestDecoder {
  readonly #reader = new Reader();
  readonly #moment = new SecondsAndNanos();
  readonly words = new WordCache();
  readonly #peers = new PeerReader(this.words);
  readonly #tokenPrincipals = new PrincipalReader(this.words);
  readonly #headers = new HeaderReader(this.words);
  readonly #tables = new WeakMap<Layout, RequestTable>();
  readonly #decoded: Decoded = { isHttp: false, isGrpc: false, extensions: [], extensionCount: 0 };
  #table: RequestTable | undefined;
  /** Of the whole memory that messages share. */
  #view = new DataView(new ArrayBuffer(0) as ArrayBufferLike);
  #memory = this.#view.buffer;
  /** Where the message's buffer begins in it. */
  #offset = 0;
  #bag!: Bag;
  #bodyBytes = 0;

  /**
   * Fills an empty bag. What it gives holds until the next request. A body of more than `bodyBytes` is a fault of its
   * attributes.
   */
  fill(bag: Bag, buffer: Buffer, bodyBytes: number): Decoded {
    const table = this.#tableOf(bag.layout);
    const decoded = this.#decoded;
    decoded.isHttp = false;
    decoded.isGrpc = false;
    decoded.extensionCount = 0;
    if (decoded.extensions.length > usualExtensions) decoded.extensions.length = 0;
    this.#bag = bag;
    const memory = buffer.buffer;
    if (memory !== this.#memory) {
      this.#memory = memory;
      this.#view = new DataView(memory);
    }
    this.#offset = buffer.byteOffset;
    this.#bodyBytes = bodyBytes;
    this.#peers.begin();
    this.#headers.begin();
    const reader = this.#reader.reset(buffer);
    while (reader.more) {
      const tag = reader.field();
      if (tag === 0x0a) this.#context(table);
      else reader.pass(tag);
    }
    this.#headers.end(bag, table);
    if (this.#headers.hasPartialBody) refusePartialBody(bag, table);
    if (table.mtls >= 0) bag.set(table.mtls, this.#peers.hasIdentity);
    if (table.protocol >= 0) {
      bag.set(table.protocol, !decoded.isHttp ? "tcp" : this.#headers.isGrpc ? "grpc" : "http");
    }
    decoded.isGrpc = this.#headers.isGrpc;
    return decoded;
  }

  #tableOf(layout: Layout): RequestTable {
    if (this.#table?.layout === layout) return this.#table;
    let table = this.#tables.get(layout);
    if (table === undefined) this.#tables.set(layout, (table = new RequestTable(layout)));
    return (this.#table = table);
  }

  /** The AttributeContext that the reader has begun. */
  #context(table: RequestTable): void {
    const reader = this.#reader;
    const { end, valueEnd } = reader;
    reader.end = valueEnd;
    while (reader.more) {
      const tag = reader.field();
      const stop = reader.valueEnd;
      switch (tag) {
        case 0x0a:
        case 0x12:
          if (tag === 0x0a ? table.readsSource : table.readsDestination) {
            reader.end = stop;
            this.#peers.read(reader, this.#view, this.#offset, this.#bag, table, tag === 0x0a);
          }
          break;
        case 0x22:
          reader.end = stop;
          this.#request(table);
          break;
        case 0x52: {
          const decoded = this.#decoded;
          const { contextExtensions } = table;
          const extension = contextExtensions.of(reader, this.#view, this.#offset, reader.pos, stop);
          decoded.extensions[decoded.extensionCount++] = extension;
          break;
        }
        case 0x5a:
          if (table.readsMetadata || table.readsToken) {
            reader.end = stop;
            this.#metadata(table);
          }
          break;
        case 0x62:
          reader.end = stop;
          this.#session(table);
          break;
        case 0x6a:
          if (table.readsRouteMetadata) {
            reader.end = stop;
            setMap(this.#bag, "context.route_metadata", flattened(readFilters(reader)));
          }
          break;
        default:
          reader.pass(tag);
          continue;
      }
      reader.end = valueEnd;
      reader.pos = stop;
    }
    reader.end = end;
    reader.pos = valueEnd;
  }

  #request(table: RequestTable): void {
    const reader = this.#reader;
    const { end } = reader;
    while (reader.more) {
      const tag = reader.field();
      const stop = reader.valueEnd;
      if (tag === 0x12) {
        reader.end = stop;
        this.#http(table);
      } else if (tag === 0x0a && (table.time >= 0 || table.contextTime >= 0 || table.contextTimestamp >= 0)) {
        reader.end = stop;
        this.#time(table);
      } else {
        reader.pass(tag);
        continue;
      }
      reader.end = end;
      reader.pos = stop;
    }
  }

  #time(table: RequestTable): void {
    const { seconds, nanos } = this.#moment.read(this.#reader);
    const time = Timestamp.of(seconds, nanos) ?? new Fault(`request.time came as ${seconds} s and ${nanos} ns`);
    const bag = this.#bag;
    if (table.time >= 0) bag.set(table.time, time);
    if (table.contextTime >= 0) bag.set(table.contextTime, time);
    if (table.contextTimestamp >= 0) bag.set(table.contextTimestamp, time);
  }

  /** AttributeContext.HttpRequest. */
  #http(table: RequestTable): void {
    const reader = this.#reader;
    const { httpTexts } = table;
    const { buffer } = reader;
    this.#decoded.isHttp = true;
    while (reader.more) {
      if (buffer[reader.pos] === httpTags.header) {
        this.#headers.skipUnread(reader, this.#view, this.#offset, table);
        if (!reader.more) break;
      }
      const tag = reader.field();
      const slot = tag < httpTexts.length ? httpTexts[tag]! : special;
      if (slot >= 0) this.#set(slot);
      else if (slot === unread) reader.pos = reader.valueEnd;
      else this.#special(tag, table);
    }
    if (table.headers >= 0 && this.#bag.peek(table.headers) === undefined) this.#bag.set(table.headers, emptyMap);
  }

  #special(tag: number, table: RequestTable): void {
    const reader = this.#reader;
    const headers = this.#headers;
    switch (tag) {
      case httpTags.header:
        headers.entry(reader, this.#view, this.#offset, this.#bag, table);
        break;
      case httpTags.headerMap:
        headers.list(reader, this.#view, this.#offset, this.#bag, table);
        break;
      case httpTags.host:
        headers.host = this.#text();
        if (table.host >= 0) this.#bag.set(table.host, headers.host === "" ? undefined : headers.host);
        break;
      case httpTags.id:
        headers.id = this.#text();
        break;
      case httpTags.size:
        if (table.size < 0) reader.skip(tag);
        else {
          const size = reader.int64();
          this.#bag.set(table.size, size < 0 ? undefined : size);
        }
        break;
      case httpTags.body:
      case httpTags.rawBody:
        this.#body(table);
        break;
      default:
        reader.pass(tag);
    }
  }

  #body({ body, rawBody }: RequestTable): void {
    const reader = this.#reader;
    const { pos: from, valueEnd: stop } = reader;
    reader.pos = stop;
    if (stop === from) return;
    const length = stop - from;
    const fault =
      length <= this.#bodyBytes
        ? undefined
        : new Fault(`the body has ${length} bytes, and rules may read ${this.#bodyBytes} (doors.body of weir.yaml)`);
    if (body >= 0) this.#bag.set(body, fault ?? reader.buffer.toString("utf8", from, stop));
    if (rawBody >= 0) this.#bag.set(rawBody, fault ?? Uint8Array.from(reader.buffer.subarray(from, stop)));
  }

  #session({ serverName }: RequestTable): void {
    const reader = this.#reader;
    while (reader.more) {
      const tag = reader.field();
      if (tag === 0x0a && serverName >= 0) this.#set(serverName);
      else reader.pass(tag);
    }
  }

  #metadata({ readsMetadata, readsToken, onlyPrincipal }: RequestTable): void {
    const reader = this.#reader;
    const { pos, end } = reader;
    if (onlyPrincipal >= 0) {
      const principal = this.#tokenPrincipals.read(reader, this.#view, this.#offset);
      if (principal !== unusual) {
        if (principal !== undefined) this.#bag.set(onlyPrincipal, principal);
        return;
      }
      reader.pos = pos;
      reader.end = end;
    }
    const filters = readFilters(reader);
    if (readsMetadata) setMap(this.#bag, "context.metadata", flattened(filters));
    const token = readsToken ? filters.get(jwtFilter) : undefined;
    if (token !== undefined) setToken(this.#bag, token);
  }

  /** Reads the text that was begun into a slot; one that is empty is absent, since nothing tells the two apart on the wire. */
  #set(slot: number): void {
    const text = this.#text();
    this.#bag.set(slot, text === "" ? undefined : text);
  }

  #text(): string {
    const reader = this.#reader;
    const stop = reader.valueEnd;
    const text = this.words.text(reader.buffer, this.#view, reader.pos, stop);
    reader.pos = stop;
    return text;
  }
}

const partialBody = new Fault("Envoy sent the beginning of the body alone (max_request_bytes of with_request_body)");

/** What a rule looks for may stand in the part that did not come. One that is too long as it is says what to raise first. */
function refusePartialBody(bag: Bag, { body, rawBody }: RequestTable): void {
  for (const slot of [body, rawBody]) {
    const come = slot >= 0 ? bag.peek(slot) : undefined;
    if (come !== undefined && !(come instanceof Fault)) bag.set(slot, partialBody);
  }
}
