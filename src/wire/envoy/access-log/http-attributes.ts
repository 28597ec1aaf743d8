import type { Bag } from "../../../attributes/bag.ts";
import { isGrpcType } from "../../grpc/type.ts";
import type { FieldIndex } from "../../protobuf/field-index.ts";
import type { EntrySlots } from "./entry-slots.ts";
import type { Entry } from "./entry.ts";
import { StringMapSlots } from "./string-map.ts";

/** By `envoy.config.core.v3.RequestMethod`; one that is not among them comes as 0. */
const methods = [undefined, "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/** By `HTTPAccessLogEntry.HTTPVersion`. */
const protocols = [undefined, "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"];

const contentType = "content-type";

/** Puts what only entries of HTTP have into a bag. */
export class HttpAttributes {
  readonly #map = new StringMapSlots();
  #isGrpc = false;
  /** The content type that came last, and what was found of it: mostly it is that of the next. */
  #lastType = "";
  #wasLastGrpc = false;

  fill(bag: Bag, slots: EntrySlots, entry: Entry): void {
    const { http, request, response, reader } = entry;
    if (http.has(3)) request.read(reader, http.start(3), http.end(3));
    else request.clear();
    if (http.has(4)) response.read(reader, http.start(4), http.end(4));
    else response.clear();
    this.#maps(bag, slots, entry);
    const { context } = slots;
    if (context.protocol >= 0) bag.set(context.protocol, this.#isGrpc ? "grpc" : "http");
    this.#request(bag, slots, entry);
    this.#response(bag, slots, entry);
  }

  #request(bag: Bag, { request: slots }: EntrySlots, entry: Entry): void {
    const { http, request } = entry;
    if (slots.protocol >= 0) bag.set(slots.protocol, protocols[entry.number(http, 2)]);
    if (slots.time >= 0) bag.set(slots.time, entry.start);
    if (!http.has(3)) return;
    if (slots.method >= 0) bag.set(slots.method, methods[entry.number(request, 1)]);
    entry.put(bag, slots.scheme, request, 2);
    entry.put(bag, slots.host, request, 3);
    // A route may have rewritten the path since it was received.
    entry.put(bag, slots.path, request, request.has(10) ? 10 : 5);
    entry.put(bag, slots.useragent, request, 6);
    entry.put(bag, slots.referer, request, 7);
    entry.put(bag, slots.id, request, 9);
    const body = entry.number(request, 12);
    if (slots.size >= 0) bag.set(slots.size, body);
    if (slots.totalSize >= 0) bag.set(slots.totalSize, entry.number(request, 11) + body);
  }

  #response(bag: Bag, { response: slots }: EntrySlots, entry: Entry): void {
    const { http, response, common } = entry;
    if (slots.duration >= 0) bag.set(slots.duration, entry.duration);
    if (slots.time >= 0) bag.set(slots.time, entry.after(common.has(11) ? 11 : 9));
    if (!http.has(4)) return;
    if (slots.code >= 0 && response.has(1)) bag.set(slots.code, entry.wrapped(response, 1));
    entry.put(bag, slots.codeDetails, response, 6);
    const body = entry.number(response, 3);
    if (slots.size >= 0) bag.set(slots.size, body);
    if (slots.totalSize >= 0) bag.set(slots.totalSize, entry.number(response, 2) + body);
  }

  /** Headers and trailers, and what they say of gRPC: trailers after headers, so that theirs counts. */
  #maps(bag: Bag, slots: EntrySlots, entry: Entry): void {
    const { request, response } = entry;
    this.#isGrpc = false;
    this.#map.open(bag, slots.request.headers);
    this.#header(bag, entry, "user-agent", 6);
    this.#header(bag, entry, "referer", 7);
    this.#header(bag, entry, "x-forwarded-for", 8);
    this.#header(bag, entry, "x-request-id", 9);
    this.#pairs(bag, slots, entry, request, 13);
    this.#map.open(bag, slots.response.headers);
    this.#pairs(bag, slots, entry, response, 4);
    this.#map.open(bag, slots.response.trailers);
    this.#pairs(bag, slots, entry, response, 5);
  }

  /** A header that comes in a field of its own. */
  #header(bag: Bag, entry: Entry, name: string, field: number): void {
    if (!this.#map.takes(name)) return;
    const text = entry.text(entry.request, field);
    if (text !== "") this.#map.put(bag, name, text);
  }

  #isOfGrpc(type: string): boolean {
    if (type !== this.#lastType) {
      this.#lastType = type;
      this.#wasLastGrpc = isGrpcType(type);
    }
    return this.#wasLastGrpc;
  }

  #pairs(bag: Bag, slots: EntrySlots, entry: Entry, index: FieldIndex, field: number): void {
    const { repeated, repeatedEnd } = index;
    for (let i = 0; i < repeatedEnd; i += 3) {
      if (repeated[i] !== field) continue;
      const pair = entry.readPair(repeated, i);
      const name = entry.text(pair, 1);
      const key = name === contentType ? contentType : name.toLowerCase();
      if (key === contentType) {
        if (this.#isOfGrpc(entry.text(pair, 2))) this.#isGrpc = true;
      } else if (key === "grpc-status") {
        this.#isGrpc = true;
        entry.put(bag, slots.response.grpcStatus, pair, 2);
      } else if (key === "grpc-message") entry.put(bag, slots.response.grpcMessage, pair, 2);
      if (this.#map.takes(key)) this.#map.put(bag, key, entry.text(pair, 2));
    }
  }
}
