import type { Bag } from "../../../attributes/bag.ts";
import { FieldIndex, want } from "../../protobuf/field-index.ts";
import type { Reader } from "../../protobuf/reader.ts";
import { readStruct } from "../../protobuf/struct.ts";
import { within } from "../../protobuf/within.ts";
import { PartCache } from "../part-cache.ts";
import { principalOf, putPrincipal, type Principal } from "../principal.ts";
import type { Direction, Service } from "../service-name.ts";
import type { EntrySlots } from "./entry-slots.ts";
import type { Entry } from "./entry.ts";
import type { Proxy } from "./proxy.ts";
import { workloadOf, type Workload } from "./workload.ts";

/** By TLSProperties.TLSVersion. */
const tlsVersions = [undefined, "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/** Under which keys filter state holds the peer: that of the proxy's own filter, and that of the filter in Wasm before it. */
const downstreamPeer = ["downstream_peer", "wasm.downstream_peer"] as const;
const upstreamPeer = ["upstream_peer", "wasm.upstream_peer"] as const;

/** Puts into a bag who calls and who is called, and what TLS between them says. */
export class PartyAttributes {
  readonly #workloads = new PartCache(readPeer);
  readonly #principals = new PartCache(readPrincipal);
  readonly #tls = new FieldIndex({ 1: want.varint, 3: want.delimited, 4: want.delimited, 5: want.delimited });

  /**
   * In the order in which one source counts more than another: the name of the cluster, what workloads say of
   * themselves, what certificates prove.
   */
  fill(bag: Bag, slots: EntrySlots, entry: Entry, service: Service, proxy: Proxy, direction: Direction): void {
    const { source, destination, connection } = slots;
    if (slots.service.host >= 0) bag.set(slots.service.host, service.host);
    if (slots.service.name >= 0) bag.set(slots.service.name, service.name);
    if (slots.service.namespace >= 0) bag.set(slots.service.namespace, service.namespace);
    if (destination.namespace >= 0) bag.set(destination.namespace, service.namespace);

    const isInbound = direction === "inbound";
    const peer = entry.common.repeatedEnd > 0 ? this.#peer(entry, isInbound) : undefined;
    if (source.isRead) (isInbound ? peer : proxy.workload)?.fill(bag, "source");
    if (destination.isRead) (isInbound ? proxy.workload : peer)?.fill(bag, "destination");

    const { common } = entry;
    let caller: Principal | undefined;
    if (common.has(4)) {
      const tls = this.#tls;
      tls.read(entry.reader, common.start(4), common.end(4));
      entry.put(bag, connection.serverName, tls, 3);
      if (connection.tlsVersion >= 0) bag.set(connection.tlsVersion, tlsVersions[entry.number(tls, 1)]);
      caller = this.#principal(entry, 5);
      if (caller !== undefined) putPrincipal(bag, source, caller);
      // At the caller's side this certificate of the proxy is not that of the server.
      const called = isInbound && destination.isRead ? this.#principal(entry, 4) : undefined;
      if (called !== undefined) putPrincipal(bag, destination, called);
    }
    if (connection.mtls >= 0) bag.set(connection.mtls, caller !== undefined);
  }

  /** The workload at the other end, from the filter state of Istio's metadata exchange. */
  #peer(entry: Entry, isInbound: boolean): Workload | undefined {
    const { repeated, repeatedEnd } = entry.common;
    const [name, wasmName] = isInbound ? downstreamPeer : upstreamPeer;
    let found: Workload | undefined;
    for (let i = 0; i < repeatedEnd; i += 3) {
      if (repeated[i] !== 21) continue;
      const pair = entry.readPair(repeated, i);
      const key = entry.text(pair, 1);
      if ((key !== name && key !== wasmName) || !pair.has(2)) continue;
      found = this.#workloads.of(entry.reader, entry.view, entry.offset, pair.start(2), pair.end(2)) ?? found;
    }
    return found;
  }

  /** Whom a certificate, a field of TLSProperties, says somebody to be; `undefined` where it names nobody. */
  #principal({ reader, view, offset }: Entry, field: number): Principal | undefined {
    const tls = this.#tls;
    return tls.has(field) ? this.#principals.of(reader, view, offset, tls.start(field), tls.end(field)) : undefined;
  }
}

/** Reads a google.protobuf.Any of a workload. Older proxies put a format of their own into it, of which nothing is read. */
function readPeer(reader: Reader): Workload | undefined {
  let type = "";
  let start = 0;
  let end = -1;
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x0a) type = reader.string();
    else if (tag === 0x12) {
      end = reader.delimited();
      start = reader.pos;
      reader.pos = end;
    } else reader.skip(tag);
  }
  if (!type.endsWith("/google.protobuf.Struct") || end < 0) return undefined;
  reader.pos = start;
  reader.end = end;
  return workloadOf(readStruct(reader));
}

/**
 * Reads a TLSProperties.CertificateProperties: whom its first URI names, else its first DNS name, else its subject;
 * `undefined` where it has none.
 */
function readPrincipal(reader: Reader): Principal | undefined {
  let uri = "";
  let dns = "";
  let subject = "";
  const readName = (): void => {
    while (reader.more) {
      const tag = reader.tag();
      if (tag === 0x0a) {
        const text = reader.string();
        if (uri === "") uri = text;
      } else if (tag === 0x12) {
        const text = reader.string();
        if (dns === "") dns = text;
      } else reader.skip(tag);
    }
  };
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x0a) within(reader, readName);
    else if (tag === 0x12) subject = reader.string();
    else reader.skip(tag);
  }
  const identity = uri === "" ? (dns === "" ? subject : dns) : uri;
  return identity === "" ? undefined : principalOf(identity);
}
