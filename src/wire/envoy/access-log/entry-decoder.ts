import { emptyMap, type Bag } from "../../../attributes/bag.ts";
import { Duration } from "../../../attributes/duration.ts";
import { Fault } from "../../../attributes/fault.ts";
import type { Layout } from "../../../attributes/layout.ts";
import { parseValue } from "../../../attributes/text.ts";
import { Timestamp } from "../../../attributes/timestamp.ts";
import type { Client } from "../../client.ts";
import { WordCache } from "../../mixer/word-cache.ts";
import { FieldIndex, want } from "../../protobuf/field-index.ts";
import { Reader } from "../../protobuf/reader.ts";
import { workloadOfPrincipal } from "../principal.ts";
import { serviceOfHost, ServiceNames, type Direction, type Service } from "../service-name.ts";
import { SocketAddressReader } from "../socket-address.ts";
import { readStruct, type StructValue } from "../struct.ts";
import { EntrySlots, type MapSlots } from "./entry-slots.ts";
import { momentOf, type Moment } from "./moment.ts";
import type { Proxy } from "./proxy.ts";
import { noFlags, readResponseFlags } from "./response-flags.ts";
import type { Workload } from "./workload.ts";
import { WorkloadCache } from "./workload-cache.ts";

/** The filter that puts what a check decided into an entry's metadata. */
const checkFilter = "envoy.filters.http.ext_authz";

/** By `envoy.config.core.v3.RequestMethod`. */
const methods = [undefined, "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] as const;
/** By HTTPAccessLogEntry.HTTPVersion. */
const protocols = [undefined, "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"] as const;
/** By TLSProperties.TLSVersion. */
const tlsVersions = [undefined, "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const;

const spiffe = Buffer.from("spiffe://");
const nothing = Buffer.alloc(0);
const nowhere = new DataView(new ArrayBuffer(0));

/**
 * Reads entries of access logs, in two steps: {@link EntryDecoder.read} finds what an entry is about,
 * {@link EntryDecoder.fill} puts its attributes into a bag. Only what the layout has slots for is looked at.
 *
 * `docs/doors/access-log.md` has the table of what becomes what.
 */
export class EntryDecoder {
  /** Of the entry that was read last. */
  moment: Moment = "end";
  /** Bytes of a connection up to this entry; 0 for a request. */
  receivedBytes = 0;
  sentBytes = 0;
  /** When the request or connection began, in epoch milliseconds; 0 when it is not said. */
  startMs = 0;
  /** How many custom tags were left out because the caller may not set their attribute, since it was last set to 0. */
  refusedTags = 0;

  readonly #reader = new Reader();
  readonly #words = new WordCache();
  readonly #services = new ServiceNames();
  readonly #workloads = new WorkloadCache();
  readonly #address = new SocketAddressReader();
  readonly #tables = new WeakMap<Layout, Table>();
  readonly #entry = new FieldIndex({ 1: want.delimited, 2: want.varint, 3: want.delimited, 4: want.delimited });
  readonly #tcpEntry = new FieldIndex({ 1: want.delimited, 2: want.delimited });
  readonly #connection = new FieldIndex({ 1: want.varint, 2: want.varint });
  readonly #tls = new FieldIndex({ 1: want.varint, 3: want.delimited, 4: want.delimited, 5: want.delimited });
  readonly #certificate = new FieldIndex({ 1: want.repeated, 2: want.delimited });
  readonly #pair = new FieldIndex({ 1: want.delimited, 2: want.delimited });
  #table: Table | undefined;
  #buffer: Buffer = nothing;
  #view: DataView = nowhere;
  #isTcp = false;
  #isGrpc = false;
  #startSeconds = 0;
  #startNanos = 0;
  #seconds = 0;
  #nanos = 0;

  /** Says what message the next entries are in, and who reads them. `view` shows the buffer. */
  begin(layout: Layout, buffer: Buffer, view: DataView): void {
    if (this.#table?.slots.layout !== layout) {
      let table = this.#tables.get(layout);
      if (table === undefined) this.#tables.set(layout, (table = new Table(layout)));
      this.#table = table;
    }
    this.#buffer = buffer;
    this.#view = view;
    this.#reader.reset(buffer);
  }

  /** Reads the entry between two positions of the message. Throws a `WeirError` where it is malformed. */
  read(start: number, end: number, isTcp: boolean): void {
    const { common } = this.#table!;
    const entry = isTcp ? this.#tcpEntry : this.#entry;
    entry.read(this.#reader, start, end);
    if (entry.has(1)) common.read(this.#reader, entry.starts[1]!, entry.ends[1]!);
    else common.clear();
    this.#isTcp = isTcp;
    this.moment = momentOf(this.#number(common, 33), this.#number(common, 27) !== 0, common.has(23));
    this.startMs = 0;
    this.#startSeconds = 0;
    this.#startNanos = 0;
    if (common.has(5)) {
      this.#span(common, 5);
      this.#startSeconds = this.#seconds;
      this.#startNanos = this.#nanos;
      this.startMs = this.#seconds * 1000 + this.#nanos / 1e6;
    }
    this.receivedBytes = 0;
    this.sentBytes = 0;
    if (!isTcp || !entry.has(2)) return;
    const connection = this.#connection;
    connection.read(this.#reader, entry.starts[2]!, entry.ends[2]!);
    this.receivedBytes = this.#number(connection, 1);
    this.sentBytes = this.#number(connection, 2);
  }

  /** The `stream_id` of the entry; where it has none, its addresses and the moment of its beginning. */
  get id(): string {
    const { common } = this.#table!;
    if (common.has(26)) return this.#buffer.toString("latin1", common.starts[26]!, common.ends[26]!);
    const part = (field: number): string =>
      common.has(field) ? this.#buffer.toString("latin1", common.starts[field]!, common.ends[field]!) : "";
    return [part(2), part(20), part(3), `${this.#startSeconds}.${this.#startNanos}`].join("\n");
  }

  /** Empties the bag and fills it from the entry that was read last. */
  fill(bag: Bag, proxy: Proxy, client: Client | undefined): void {
    bag.clear();
    const { slots, common } = this.#table!;
    const service = common.has(15) ? this.#services.ofCluster(this.#text(common, 15)) : noService;
    const tags = this.#tags(bag, client);
    const kind = tags?.get("context.reporter.kind");
    const direction = kind === "inbound" || kind === "outbound" ? kind : (service.direction ?? proxy.direction);

    this.#context(bag, slots, proxy, direction);
    if (this.#isTcp) this.#connectionOf(bag, slots);
    else this.#http(bag, slots);
    this.#common(bag, slots);
    this.#parties(bag, slots, service, proxy, direction);
    if (tags !== undefined) this.#applyTags(bag, slots, tags);
  }

  #context(bag: Bag, slots: EntrySlots, proxy: Proxy, direction: Direction): void {
    if (slots.reporterKind >= 0) bag.set(slots.reporterKind, direction);
    if (slots.reporterLocal >= 0) bag.set(slots.reporterLocal, direction === "inbound");
    if (slots.reporterUid >= 0 && proxy.uid !== "") bag.set(slots.reporterUid, proxy.uid);
    if (slots.proxyVersion >= 0 && proxy.version !== "") bag.set(slots.proxyVersion, proxy.version);
    if (slots.logName >= 0 && proxy.logName !== "") bag.set(slots.logName, proxy.logName);
  }

  #common(bag: Bag, slots: EntrySlots): void {
    const { common } = this.#table!;
    if (slots.sourceIp >= 0 || slots.sourcePort >= 0) {
      this.#putAddress(bag, common.has(20) ? 20 : 2, slots.sourceIp, slots.sourcePort);
    }
    if (slots.originIp >= 0) this.#putAddress(bag, 2, slots.originIp, -1);
    if (slots.destinationIp >= 0 || slots.destinationPort >= 0) {
      this.#putAddress(bag, 3, slots.destinationIp, slots.destinationPort);
    }
    if (slots.upstreamIp >= 0 || slots.upstreamPort >= 0) {
      this.#putAddress(bag, 13, slots.upstreamIp, slots.upstreamPort);
    }
    this.#putText(bag, slots.upstreamCluster, common, 15);
    this.#putText(bag, slots.upstreamFailure, common, 18);
    this.#putText(bag, slots.routeName, common, 19);
    this.#putText(bag, slots.terminationDetails, common, 25);
    if (slots.upstreamAttempts >= 0 && common.has(24)) bag.set(slots.upstreamAttempts, this.#number(common, 24));
    if (slots.upstreamDuration >= 0 && common.has(7) && common.has(10)) {
      this.#span(common, 7);
      const first = this.#seconds * 1000 + this.#nanos / 1e6;
      this.#span(common, 10);
      const last = this.#seconds * 1000 + this.#nanos / 1e6;
      if (last >= first) bag.set(slots.upstreamDuration, Duration.fromMs(last - first));
    }
    if (slots.proxyErrorCode >= 0) {
      bag.set(slots.proxyErrorCode, common.has(16) ? readResponseFlags(this.#at(common, 16)) : noFlags);
    }
    if (common.has(17)) this.#decision(bag, slots);
  }

  #connectionOf(bag: Bag, slots: EntrySlots): void {
    const { common } = this.#table!;
    if (slots.contextProtocol >= 0) bag.set(slots.contextProtocol, "tcp");
    this.#putText(bag, slots.connectionId, common, 26);
    if (slots.receivedBytesTotal >= 0) bag.set(slots.receivedBytesTotal, this.receivedBytes);
    if (slots.sentBytesTotal >= 0) bag.set(slots.sentBytesTotal, this.sentBytes);
    if (slots.connectionDuration >= 0) bag.set(slots.connectionDuration, this.#duration());
    if (slots.contextTime >= 0 || slots.contextTimestamp >= 0) {
      const time = common.has(5) ? this.#moment(this.#whole()) : undefined;
      if (slots.contextTime >= 0) bag.set(slots.contextTime, time);
      if (slots.contextTimestamp >= 0) bag.set(slots.contextTimestamp, time);
    }
  }

  /** Says how much of a connection's bytes is new with this entry, and what the entry is about. */
  putEvent(bag: Bag, event: "open" | "continue" | "close", received: number, sent: number): void {
    const { slots } = this.#table!;
    if (slots.connectionEvent >= 0) bag.set(slots.connectionEvent, event);
    if (slots.receivedBytes >= 0) bag.set(slots.receivedBytes, received);
    if (slots.sentBytes >= 0) bag.set(slots.sentBytes, sent);
  }

  /** Whether some rule of the layout tells the entries of a connection apart. */
  get readsEvent(): boolean {
    return this.#table!.slots.connectionEvent >= 0;
  }

  #http(bag: Bag, slots: EntrySlots): void {
    const { common, request, response } = this.#table!;
    const entry = this.#entry;
    if (entry.has(3)) request.read(this.#reader, entry.starts[3]!, entry.ends[3]!);
    else request.clear();
    if (entry.has(4)) response.read(this.#reader, entry.starts[4]!, entry.ends[4]!);
    else response.clear();
    this.#isGrpc = false;

    const headers = this.#openMap(bag, slots.requestHeaders);
    if (slots.requestHeaders !== undefined) {
      this.#header(bag, slots.requestHeaders, headers, "user-agent", request, 6);
      this.#header(bag, slots.requestHeaders, headers, "referer", request, 7);
      this.#header(bag, slots.requestHeaders, headers, "x-forwarded-for", request, 8);
      this.#header(bag, slots.requestHeaders, headers, "x-request-id", request, 9);
    }
    this.#pairs(bag, request, 13, slots.requestHeaders, headers, slots);
    this.#pairs(bag, response, 4, slots.responseHeaders, this.#openMap(bag, slots.responseHeaders), slots);
    // After the headers, since what trailers say of gRPC counts.
    this.#pairs(bag, response, 5, slots.responseTrailers, this.#openMap(bag, slots.responseTrailers), slots);
    if (slots.contextProtocol >= 0) bag.set(slots.contextProtocol, this.#isGrpc ? "grpc" : "http");

    if (slots.requestProtocol >= 0) bag.set(slots.requestProtocol, protocols[this.#number(entry, 2)]);
    if (slots.requestMethod >= 0) bag.set(slots.requestMethod, methods[this.#number(request, 1)]);
    this.#putText(bag, slots.requestScheme, request, 2);
    this.#putText(bag, slots.requestHost, request, 3);
    this.#putText(bag, slots.requestPath, request, request.has(10) ? 10 : 5);
    this.#putText(bag, slots.requestUseragent, request, 6);
    this.#putText(bag, slots.requestReferer, request, 7);
    this.#putText(bag, slots.requestId, request, 9);
    if (entry.has(3)) {
      const body = this.#number(request, 12);
      if (slots.requestSize >= 0) bag.set(slots.requestSize, body);
      if (slots.requestTotalSize >= 0) bag.set(slots.requestTotalSize, this.#number(request, 11) + body);
    }
    if (entry.has(4)) {
      const body = this.#number(response, 3);
      if (slots.responseSize >= 0) bag.set(slots.responseSize, body);
      if (slots.responseTotalSize >= 0) bag.set(slots.responseTotalSize, this.#number(response, 2) + body);
      if (slots.responseCode >= 0 && response.has(1)) bag.set(slots.responseCode, this.#wrapped(response, 1));
      this.#putText(bag, slots.responseCodeDetails, response, 6);
    }
    if (slots.responseDuration >= 0) bag.set(slots.responseDuration, this.#duration());
    if (!common.has(5)) return;
    if (slots.requestTime >= 0) bag.set(slots.requestTime, Timestamp.of(this.#startSeconds, this.#startNanos));
    if (slots.responseTime >= 0) {
      const field = common.has(11) ? 11 : 9;
      if (common.has(field)) bag.set(slots.responseTime, this.#moment(field));
    }
  }

  /** The caller, the called, and what TLS between them says. */
  #parties(bag: Bag, slots: EntrySlots, service: Service, proxy: Proxy, direction: Direction): void {
    const isInbound = direction === "inbound";
    const { namespace } = service;
    if (slots.serviceHost >= 0) bag.set(slots.serviceHost, service.host);
    if (slots.serviceName >= 0) bag.set(slots.serviceName, service.name);
    if (slots.serviceNamespace >= 0) bag.set(slots.serviceNamespace, namespace);
    if (slots.destinationNamespace >= 0) bag.set(slots.destinationNamespace, namespace);

    const { common } = this.#table!;
    const peer = common.repeated.length > 0 ? this.#peer(isInbound) : undefined;
    if (slots.readsSource) (isInbound ? peer : proxy.workload)?.fill(bag, "source");
    if (slots.readsDestination) (isInbound ? proxy.workload : peer)?.fill(bag, "destination");

    let mutual = false;
    if (common.has(4)) {
      const tls = this.#tls;
      tls.read(this.#reader, common.starts[4]!, common.ends[4]!);
      this.#putText(bag, slots.connectionServerName, tls, 3);
      if (slots.connectionTlsVersion >= 0) bag.set(slots.connectionTlsVersion, tlsVersions[this.#number(tls, 1)]);
      const caller = tls.has(5) ? this.#identity(tls, 5) : "";
      mutual = caller !== "";
      if (mutual) {
        if (slots.sourcePrincipal >= 0) bag.set(slots.sourcePrincipal, caller);
        if (slots.sourceUser >= 0) bag.set(slots.sourceUser, caller);
        putWorkload(bag, caller, slots.sourceNamespace, slots.sourceServiceAccount);
      }
      // At the caller's side this certificate is not that of the server.
      const called = isInbound && slots.readsDestination && tls.has(4) ? this.#identity(tls, 4) : "";
      if (called !== "") {
        if (slots.destinationPrincipal >= 0) bag.set(slots.destinationPrincipal, called);
        putWorkload(bag, called, slots.destinationNamespace, slots.destinationServiceAccount);
      }
    }
    if (slots.connectionMtls >= 0) bag.set(slots.connectionMtls, mutual);
  }

  /** The workload at the other end, from the filter state of Istio's metadata exchange. */
  #peer(isInbound: boolean): Workload | undefined {
    const { repeated } = this.#table!.common;
    const name = isInbound ? "downstream_peer" : "upstream_peer";
    const pair = this.#pair;
    let found: Workload | undefined;
    for (let i = 0; i < repeated.length; i += 3) {
      if (repeated[i] !== 21) continue;
      pair.read(this.#reader, repeated[i + 1]!, repeated[i + 2]!);
      const key = this.#text(pair, 1);
      if ((key !== name && key !== `wasm.${name}`) || !pair.has(2)) continue;
      // A google.protobuf.Any. Older proxies have a format of their own here, of which nothing is read.
      pair.read(this.#reader, pair.starts[2]!, pair.ends[2]!);
      if (!this.#text(pair, 1).endsWith("google.protobuf.Struct") || !pair.has(2)) continue;
      found = this.#workloads.read(this.#reader, this.#view, pair.starts[2]!, pair.ends[2]!);
    }
    return found;
  }

  /** The identity of a certificate: its first URI, else its first DNS name, else its subject; `""` when it has none. */
  #identity(index: FieldIndex, field: number): string {
    const certificate = this.#certificate;
    certificate.read(this.#reader, index.starts[field]!, index.ends[field]!);
    const { repeated } = certificate;
    let dns = "";
    for (let i = 0; i < repeated.length; i += 3) {
      const name = this.#pair;
      name.read(this.#reader, repeated[i + 1]!, repeated[i + 2]!);
      if (name.has(1)) {
        const start = name.starts[1]!;
        const end = name.ends[1]!;
        const isSpiffe = end - start > spiffe.length && this.#buffer.compare(spiffe, 0, 9, start, start + 9) === 0;
        return this.#words.text(this.#buffer, this.#view, isSpiffe ? start + 9 : start, end);
      }
      if (dns === "" && name.has(2)) dns = this.#text(name, 2);
    }
    return dns === "" && certificate.has(2) ? this.#text(certificate, 2) : dns;
  }

  /** What a check of this hub decided of the request. */
  #decision(bag: Bag, slots: EntrySlots): void {
    const reader = this.#at(this.#table!.common, 17);
    while (reader.more) {
      const tag = reader.tag();
      if (tag !== 0x0a) {
        reader.skip(tag);
        continue;
      }
      const { end } = reader;
      const stop = reader.delimited();
      const pair = this.#pair;
      pair.read(reader, reader.pos, stop);
      if (pair.has(2) && this.#text(pair, 1) === checkFilter) {
        const decision = readStruct(this.#at(pair, 2));
        const put = (slot: number, value: StructValue | undefined): void => {
          if (slot >= 0 && typeof value === "string" && value !== "") bag.set(slot, value);
        };
        put(slots.decisionId, decision.get("decision_id"));
        put(slots.decisionVersion, decision.get("policy_version"));
        const rules = decision.get("rules");
        put(
          slots.decisionRules,
          Array.isArray(rules) ? rules.filter((rule) => typeof rule === "string").join(",") : rules,
        );
      }
      reader.pos = stop;
      reader.end = end;
    }
  }

  /** The custom tags, and which of them are attributes by their names. */
  #tags(bag: Bag, client: Client | undefined): Map<string, string> | undefined {
    const { slots, common } = this.#table!;
    const { repeated } = common;
    const whole = this.#openMap(bag, slots.tags);
    let attributes: Map<string, string> | undefined;
    for (let i = 0; i < repeated.length; i += 3) {
      if (repeated[i] !== 22) continue;
      const pair = this.#pair;
      pair.read(this.#reader, repeated[i + 1]!, repeated[i + 2]!);
      const key = this.#text(pair, 1);
      const value = this.#text(pair, 2);
      if (slots.tags !== undefined) putKey(bag, slots.tags, whole, key, value);
      if (!isTagged(key, slots.layout)) continue;
      if (client !== undefined && !client.maySet(key)) this.refusedTags++;
      else (attributes ??= new Map()).set(key, value);
    }
    return attributes;
  }

  #applyTags(bag: Bag, slots: EntrySlots, tags: ReadonlyMap<string, string>): void {
    const { layout } = slots;
    const host = tags.get(serviceHost);
    if (host !== undefined) {
      const service = serviceOfHost(host);
      if (slots.serviceName >= 0) bag.set(slots.serviceName, service.name);
      if (slots.serviceNamespace >= 0) bag.set(slots.serviceNamespace, service.namespace);
      if (slots.destinationNamespace >= 0 && service.namespace !== undefined)
        bag.set(slots.destinationNamespace, service.namespace);
    }
    for (const [name, text] of tags) {
      const slot = layout.find(name);
      if (slot === undefined) continue;
      const { type } = layout.slots[slot]!;
      bag.set(slot, parseValue(type, text) ?? new Fault(`${name} came as a custom tag that is no ${type}`));
    }
  }

  #openMap(bag: Bag, slots: MapSlots | undefined): Map<string, string> | undefined {
    if (slots === undefined) return undefined;
    const whole = slots.isWhole ? new Map<string, string>() : undefined;
    bag.set(slots.slot, whole ?? emptyMap);
    return whole;
  }

  /** A header that entries bring in a field of its own. */
  #header(
    bag: Bag,
    slots: MapSlots,
    whole: Map<string, string> | undefined,
    name: string,
    index: FieldIndex,
    field: number,
  ): void {
    if (index.has(field) && index.ends[field]! > index.starts[field]!)
      putKey(bag, slots, whole, name, this.#text(index, field));
  }

  #pairs(
    bag: Bag,
    index: FieldIndex,
    field: number,
    map: MapSlots | undefined,
    whole: Map<string, string> | undefined,
    slots: EntrySlots,
  ): void {
    const { repeated } = index;
    for (let i = 0; i < repeated.length; i += 3) {
      if (repeated[i] !== field) continue;
      const pair = this.#pair;
      pair.read(this.#reader, repeated[i + 1]!, repeated[i + 2]!);
      const key = this.#text(pair, 1).toLowerCase();
      if (key === "content-type") {
        if (this.#text(pair, 2).startsWith("application/grpc")) this.#isGrpc = true;
      } else if (key === "grpc-status") {
        this.#isGrpc = true;
        this.#putText(bag, slots.responseGrpcStatus, pair, 2);
      } else if (key === "grpc-message") this.#putText(bag, slots.responseGrpcMessage, pair, 2);
      if (map !== undefined && (whole !== undefined || map.keys.has(key)))
        putKey(bag, map, whole, key, this.#text(pair, 2));
    }
  }

  #putAddress(bag: Bag, field: number, ipSlot: number, portSlot: number): void {
    const { common } = this.#table!;
    if (!common.has(field)) return;
    const address = this.#address;
    address.read(this.#reader, common.starts[field]!, common.ends[field]!);
    if (ipSlot >= 0) bag.set(ipSlot, address.ip);
    if (portSlot >= 0) bag.set(portSlot, address.port);
  }

  /** Text that is there; the empty text is what proto3 does not send, and says that there is none. */
  #putText(bag: Bag, slot: number, index: FieldIndex, field: number): void {
    if (slot < 0 || !index.has(field)) return;
    const text = this.#text(index, field);
    if (text !== "") bag.set(slot, text);
  }

  #text(index: FieldIndex, field: number): string {
    return index.has(field) ? this.#words.text(this.#buffer, this.#view, index.starts[field]!, index.ends[field]!) : "";
  }

  /** A varint, 0 when it did not come. Beyond 2^53 it is rounded. */
  #number(index: FieldIndex, field: number): number {
    if (!index.has(field)) return 0;
    const reader = this.#reader;
    reader.pos = index.starts[field]!;
    reader.end = this.#buffer.length;
    return Number(reader.int64());
  }

  /** The value of a google.protobuf.UInt32Value. */
  #wrapped(index: FieldIndex, field: number): number {
    const reader = this.#at(index, field);
    let value = 0;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x08) value = reader.uint32();
      else reader.skip(tag);
    }
    return value;
  }

  #at(index: FieldIndex, field: number): Reader {
    const reader = this.#reader;
    reader.pos = index.starts[field]!;
    reader.end = index.ends[field]!;
    return reader;
  }

  /** Reads a Timestamp or Duration, which are written alike. */
  #span(index: FieldIndex, field: number): void {
    const reader = this.#at(index, field);
    let seconds = 0;
    let nanos = 0;
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x08) seconds = Number(reader.int64());
      else if (tag === 0x10) nanos = reader.int32();
      else reader.skip(tag);
    }
    this.#seconds = seconds;
    this.#nanos = nanos;
  }

  /** The field that says how long it took, from the first byte to the end: 0 when none does. */
  #whole(): number {
    const { common } = this.#table!;
    return common.has(23) ? 23 : common.has(12) ? 12 : common.has(10) ? 10 : 0;
  }

  #duration(): Duration | undefined {
    const field = this.#whole();
    if (field === 0) return undefined;
    this.#span(this.#table!.common, field);
    return Duration.of(this.#seconds, this.#nanos);
  }

  /** The beginning and a duration after it; the beginning itself for field 0. */
  #moment(field: number): Timestamp | undefined {
    this.#seconds = 0;
    this.#nanos = 0;
    if (field !== 0) this.#span(this.#table!.common, field);
    const nanos = this.#startNanos + this.#nanos;
    const carry = Math.floor(nanos / 1e9);
    return Timestamp.of(this.#startSeconds + this.#seconds + carry, nanos - carry * 1e9);
  }
}

const serviceHost = "destination.service.host";
const noService: Service = {};

/** A layout with what is needed to look for its attributes. */
class Table {
  readonly slots: EntrySlots;
  readonly common: FieldIndex;
  readonly request: FieldIndex;
  readonly response: FieldIndex;

  constructor(layout: Layout) {
    this.slots = new EntrySlots(layout);
    this.common = new FieldIndex(this.slots.common);
    this.request = new FieldIndex(this.slots.request);
    this.response = new FieldIndex(this.slots.response);
  }
}

/** Whether a custom tag is an attribute by its name: one that some rule reads, or one that others follow from. */
function isTagged(name: string, layout: Layout): boolean {
  if (name === "context.reporter.kind" || name === serviceHost) return true;
  const slot = layout.find(name);
  return slot !== undefined && layout.slots[slot]!.type !== "string_map";
}

function putKey(bag: Bag, slots: MapSlots, whole: Map<string, string> | undefined, key: string, value: string): void {
  const slot = slots.keys.get(key);
  if (slot !== undefined) bag.set(slot, value);
  whole?.set(key, value);
}

/** What an identity of Istio's form proves of its workload, whatever the workload says of itself. */
function putWorkload(bag: Bag, principal: string, namespaceSlot: number, accountSlot: number): void {
  if (namespaceSlot < 0 && accountSlot < 0) return;
  const workload = workloadOfPrincipal(principal);
  if (workload === undefined) return;
  if (namespaceSlot >= 0) bag.set(namespaceSlot, workload.namespace);
  if (accountSlot >= 0) bag.set(accountSlot, workload.serviceAccount);
}
