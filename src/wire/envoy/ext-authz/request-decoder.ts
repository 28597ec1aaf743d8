import { emptyMap, type Bag } from "../../../attributes/bag.ts";
import { Fault } from "../../../attributes/fault.ts";
import type { Layout } from "../../../attributes/layout.ts";
import { setMap } from "../../../attributes/set-map.ts";
import { Timestamp } from "../../../attributes/timestamp.ts";
import { WordCache } from "../../mixer/word-cache.ts";
import { Pair } from "../../protobuf/pair.ts";
import { Reader } from "../../protobuf/reader.ts";
import { flattened, readFilters } from "../metadata.ts";
import { jwtFilter, setToken } from "../token.ts";
import { HeaderReader } from "./header-reader.ts";
import { PeerReader } from "./peer-reader.ts";
import { PrincipalReader, unusual } from "./principal-reader.ts";
import { RequestTable } from "./request-table.ts";
import { SecondsAndNanos } from "../../protobuf/seconds-and-nanos.ts";

/** What a request is beside its attributes. */
export interface Decoded {
  /** Whether it is a request of HTTP; else it is a connection. */
  isHttp: boolean;
  /** Whether it is a call of gRPC. */
  isGrpc: boolean;
  /** Key and value of each context extension, in turn. */
  readonly extensions: string[];
}

/**
 * Reads what a layout has slots for out of the bytes of an envoy.service.auth.v3.CheckRequest, in one walk, and steps
 * over the rest. The order of fields does not matter. Bytes that are no such message throw a `WeirError`; what no slot
 * asks for is not looked into.
 */
export class RequestDecoder {
  readonly #reader = new Reader();
  readonly #moment = new SecondsAndNanos();
  readonly words = new WordCache();
  readonly #pair = new Pair();
  readonly #peers = new PeerReader(this.words);
  readonly #tokenPrincipals = new PrincipalReader(this.words);
  readonly #headers = new HeaderReader(this.words);
  readonly #tables = new WeakMap<Layout, RequestTable>();
  readonly #decoded: Decoded = { isHttp: false, isGrpc: false, extensions: [] };
  #table: RequestTable | undefined;
  /** Of the whole memory that messages share. */
  #view = new DataView(new ArrayBuffer(0) as ArrayBufferLike);
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
    decoded.extensions.length = 0;
    this.#bag = bag;
    if (this.#view.buffer !== buffer.buffer) this.#view = new DataView(buffer.buffer);
    this.#bodyBytes = bodyBytes;
    this.#peers.begin();
    this.#headers.begin();
    const reader = this.#reader.reset(buffer);
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x0a) this.#within(this.#context);
      else reader.skip(tag);
    }
    this.#headers.end(bag, table);
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

  /** Reads the message that comes. */
  #within(read: (this: this, table: RequestTable) => void): void {
    const reader = this.#reader;
    const { end } = reader;
    const stop = reader.delimited();
    reader.end = stop;
    read.call(this, this.#table!);
    reader.end = end;
    reader.pos = stop;
  }

  /** AttributeContext. */
  #context(table: RequestTable): void {
    const reader = this.#reader;
    while (reader.more) {
      const tag = reader.tag();
      switch (tag) {
        case 0x0a:
          if (table.readsSource) this.#within(this.#source);
          else reader.skip(tag);
          break;
        case 0x12:
          if (table.readsDestination) this.#within(this.#destination);
          else reader.skip(tag);
          break;
        case 0x22:
          this.#within(this.#request);
          break;
        case 0x52:
          this.#extension();
          break;
        case 0x5a:
          if (table.readsMetadata || table.readsToken) this.#within(this.#metadata);
          else reader.skip(tag);
          break;
        case 0x62:
          this.#within(this.#session);
          break;
        case 0x6a:
          if (table.readsRouteMetadata) this.#within(this.#routeMetadata);
          else reader.skip(tag);
          break;
        default:
          reader.skip(tag);
      }
    }
  }

  #source(table: RequestTable): void {
    this.#peers.read(this.#reader, this.#view, this.#bag, table, true);
  }

  #destination(table: RequestTable): void {
    this.#peers.read(this.#reader, this.#view, this.#bag, table, false);
  }

  #request(table: RequestTable): void {
    const reader = this.#reader;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x12) this.#within(this.#http);
      else if (tag === 0x0a && (table.time >= 0 || table.contextTime >= 0 || table.contextTimestamp >= 0)) {
        this.#within(this.#time);
      } else reader.skip(tag);
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
    const headers = this.#headers;
    this.#decoded.isHttp = true;
    while (reader.more) {
      const tag = reader.tag();
      switch (tag) {
        case 0x1a:
          headers.entry(reader, this.#view, this.#bag, table);
          break;
        case 0x6a:
          headers.list(reader, this.#view, this.#bag, table);
          break;
        case 0x0a:
          this.#set(table.id);
          break;
        case 0x12:
          this.#set(table.method);
          break;
        case 0x22:
          this.#set(table.path);
          break;
        case 0x2a: {
          if (table.readsHost) headers.host = this.#text();
          else reader.skip(tag);
          if (table.host >= 0) this.#bag.set(table.host, headers.host === "" ? undefined : headers.host);
          break;
        }
        case 0x32:
          this.#set(table.scheme);
          break;
        case 0x48: {
          const size = reader.int64();
          if (table.size >= 0) this.#bag.set(table.size, size < 0 ? undefined : size);
          break;
        }
        case 0x5a:
        case 0x62:
          this.#body(table);
          break;
        default:
          reader.skip(tag);
      }
    }
    if (table.headers >= 0 && this.#bag.peek(table.headers) === undefined) this.#bag.set(table.headers, emptyMap);
  }

  #body({ body, rawBody }: RequestTable): void {
    const reader = this.#reader;
    const stop = reader.delimited();
    const from = reader.pos;
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
      const tag = reader.tag();
      if (tag === 0x0a) this.#set(serverName);
      else reader.skip(tag);
    }
  }

  #extension(): void {
    const { buffer } = this.#reader;
    const { keyStart, keyEnd, valueStart, valueEnd } = this.#pair.read(this.#reader);
    this.#decoded.extensions.push(
      this.words.text(buffer, this.#view, keyStart, keyEnd),
      this.words.text(buffer, this.#view, valueStart, valueEnd),
    );
  }

  #metadata({ readsMetadata, readsToken, onlyPrincipal }: RequestTable): void {
    const reader = this.#reader;
    if (onlyPrincipal >= 0) {
      const principal = this.#tokenPrincipals.read(reader.buffer, this.#view, reader.pos, reader.end);
      if (principal !== unusual) {
        if (principal !== undefined) this.#bag.set(onlyPrincipal, principal);
        return;
      }
    }
    const filters = readFilters(reader);
    if (readsMetadata) setMap(this.#bag, "context.metadata", flattened(filters));
    const token = readsToken ? filters.get(jwtFilter) : undefined;
    if (token !== undefined) setToken(this.#bag, token);
  }

  #routeMetadata(): void {
    setMap(this.#bag, "context.route_metadata", flattened(readFilters(this.#reader)));
  }

  /** Reads a text into a slot; one that is empty is absent, since nothing tells the two apart on the wire. */
  #set(slot: number): void {
    const reader = this.#reader;
    if (slot < 0) {
      reader.pos = reader.delimited();
      return;
    }
    const text = this.#text();
    this.#bag.set(slot, text === "" ? undefined : text);
  }

  #text(): string {
    const reader = this.#reader;
    const stop = reader.delimited();
    const text = this.words.text(reader.buffer, this.#view, reader.pos, stop);
    reader.pos = stop;
    return text;
  }
}
