import { emptyMap, type Bag } from "../../../attributes/bag.ts";
import { Fault } from "../../../attributes/fault.ts";
import type { Layout } from "../../../attributes/layout.ts";
import { setMap } from "../../../attributes/set-map.ts";
import { Timestamp } from "../../../attributes/timestamp.ts";
import { WordCache } from "../../mixer/word-cache.ts";
import { Reader } from "../../protobuf/reader.ts";
import { type JsonObject, readStruct } from "../../protobuf/struct.ts";
import { AddressReader } from "../address-reader.ts";
import { Certificates } from "../certificate.ts";
import { flattened } from "../metadata.ts";
import { type Principal, principalOf } from "../principal.ts";
import { jwtFilter, setToken } from "../token.ts";
import { HeaderReader } from "./header-reader.ts";
import { PrincipalReader, unusual } from "./principal-reader.ts";
import { type PeerSlots, RequestTable } from "./request-table.ts";

/** How many principals are remembered. */
const maxPrincipals = 1024;

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
  readonly #cache = new WordCache();
  readonly #addresses = new AddressReader();
  readonly #certificates = new Certificates();
  readonly #principals = new Map<string, Principal>();
  readonly #tokenPrincipals = new PrincipalReader(this.#cache);
  readonly #headers = new HeaderReader(this.#cache);
  readonly #tables = new WeakMap<Layout, RequestTable>();
  readonly #decoded: Decoded = { isHttp: false, isGrpc: false, extensions: [] };
  #table: RequestTable | undefined;
  /** Of the whole memory that messages share. */
  #view = new DataView(new ArrayBuffer(0) as ArrayBufferLike);
  #bag!: Bag;
  #bodyBytes = 0;
  #hasIdentity = false;

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
    this.#hasIdentity = false;
    this.#headers.begin();
    const reader = this.#reader.reset(buffer);
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x0a) this.#within(this.#context);
      else reader.skip(tag);
    }
    this.#headers.end(bag, table);
    if (table.mtls >= 0) bag.set(table.mtls, this.#hasIdentity);
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
          this.#within(this.#extension);
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

  #source({ source, readsCertificate }: RequestTable): void {
    this.#peer(source, readsCertificate);
  }

  #destination({ destination }: RequestTable): void {
    this.#peer(destination, false);
  }

  /**
   * AttributeContext.Peer. `service` is a header of the request, which its caller may write, and says nothing here.
   */
  #peer(slots: PeerSlots, readsCertificate: boolean): void {
    const reader = this.#reader;
    const isSource = slots === this.#table!.source;
    let labels: Map<string, string> | undefined;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x0a && (slots.ip >= 0 || slots.port >= 0)) {
        const stop = reader.delimited();
        this.#addresses.read(reader, stop, this.#bag, slots.ip, slots.port);
        reader.pos = stop;
      } else if (tag === 0x1a && slots.readsLabels) {
        labels ??= new Map();
        this.#textEntry(labels);
      } else if (tag === 0x22) {
        const stop = reader.delimited();
        if (stop > reader.pos) {
          if (isSource) this.#hasIdentity = true;
          if (slots.readsIdentity) this.#principal(slots, stop);
        }
        reader.pos = stop;
      } else if (tag === 0x2a && isSource) {
        const stop = reader.delimited();
        if (stop > reader.pos) this.#hasIdentity = true;
        if (readsCertificate) {
          this.#certificates.set(this.#bag, reader.buffer.toString("latin1", reader.pos, stop));
        }
        reader.pos = stop;
      } else reader.skip(tag);
    }
    if (labels !== undefined) setMap(this.#bag, slots.labels, labels);
  }

  #principal(slots: PeerSlots, stop: number): void {
    const reader = this.#reader;
    const identity = this.#cache.text(reader.buffer, this.#view, reader.pos, stop);
    const { name, workload } = this.#principalOf(identity);
    const bag = this.#bag;
    if (slots.principal >= 0) bag.set(slots.principal, name);
    if (slots.user >= 0) bag.set(slots.user, name);
    if (slots.namespace >= 0) bag.set(slots.namespace, workload?.namespace);
    if (slots.serviceAccount >= 0) bag.set(slots.serviceAccount, workload?.serviceAccount);
  }

  /** Few callers make most requests, and taking a name apart costs more than knowing it. */
  #principalOf(identity: string): Principal {
    let principal = this.#principals.get(identity);
    if (principal === undefined) {
      if (this.#principals.size === maxPrincipals) this.#principals.clear();
      this.#principals.set(identity, (principal = principalOf(identity)));
    }
    return principal;
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
    const reader = this.#reader;
    let seconds = 0;
    let nanos = 0;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x08) seconds = Number(reader.int64());
      else if (tag === 0x10) nanos = reader.int32();
      else reader.skip(tag);
    }
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
    const { extensions } = this.#decoded;
    const reader = this.#reader;
    let key = "";
    let value = "";
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x0a) key = this.#text();
      else if (tag === 0x12) value = this.#text();
      else reader.skip(tag);
    }
    extensions.push(key, value);
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
    const filters = this.#filters();
    if (readsMetadata) setMap(this.#bag, "context.metadata", flattened(filters));
    const token = readsToken ? filters.get(jwtFilter) : undefined;
    if (token !== undefined) setToken(this.#bag, token);
  }

  #routeMetadata(): void {
    setMap(this.#bag, "context.route_metadata", flattened(this.#filters()));
  }

  /** The `filter_metadata` of a config.core.v3.Metadata. */
  #filters(): ReadonlyMap<string, JsonObject> {
    const filters = new Map<string, JsonObject>();
    const reader = this.#reader;
    const { end } = reader;
    while (reader.more) {
      const tag = reader.tag();
      if (tag !== 0x0a) {
        reader.skip(tag);
        continue;
      }
      const stop = (reader.end = reader.delimited());
      let name = "";
      let fields: JsonObject = new Map();
      while (reader.more) {
        const inner = reader.tag();
        if (inner === 0x0a) name = reader.string();
        else if (inner === 0x12) {
          reader.end = reader.delimited();
          fields = readStruct(reader);
          reader.end = stop;
        } else reader.skip(inner);
      }
      reader.end = end;
      filters.set(name, fields);
    }
    return filters;
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
    const text = this.#cache.text(reader.buffer, this.#view, reader.pos, stop);
    reader.pos = stop;
    return text;
  }

  /** An entry of a map of texts. */
  #textEntry(map: Map<string, string>): void {
    const reader = this.#reader;
    const { end } = reader;
    const stop = (reader.end = reader.delimited());
    let key = "";
    let value = "";
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x0a) key = this.#text();
      else if (tag === 0x12) value = this.#text();
      else reader.skip(tag);
    }
    reader.end = end;
    reader.pos = stop;
    map.set(key, value);
  }
}
