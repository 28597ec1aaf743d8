import type { Bag } from "../../../attributes/bag.ts";
import { FieldIndex, want } from "../../protobuf/field-index.ts";
import { Principals, putPrincipal, type Principal } from "../principal.ts";
import type { Direction, Service } from "../service-name.ts";
import type { EntrySlots } from "./entry-slots.ts";
import type { Entry } from "./entry.ts";
import type { Proxy } from "./proxy.ts";
import { WorkloadCache } from "./workload-cache.ts";
import type { Workload } from "./workload.ts";

/** By TLSProperties.TLSVersion. */
const tlsVersions = [undefined, "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/** Puts into a bag who calls and who is called, and what TLS between them says. */
export class PartyAttributes {
  readonly #workloads = new WorkloadCache();
  readonly #principals = new Principals();
  readonly #tls = new FieldIndex({ 1: want.varint, 3: want.delimited, 4: want.delimited, 5: want.delimited });
  readonly #certificate = new FieldIndex({ 1: want.repeated, 2: want.delimited });

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
      tls.read(entry.reader, common.starts[4]!, common.ends[4]!);
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
    const name = isInbound ? "downstream_peer" : "upstream_peer";
    let found: Workload | undefined;
    for (let i = 0; i < repeatedEnd; i += 3) {
      if (repeated[i] !== 21) continue;
      const pair = entry.readPair(repeated, i);
      const key = entry.text(pair, 1);
      if ((key !== name && key !== `wasm.${name}`) || !pair.has(2)) continue;
      // A google.protobuf.Any. Older proxies put a format of their own into it, of which nothing is read.
      pair.read(entry.reader, pair.starts[2]!, pair.ends[2]!);
      if (!entry.text(pair, 1).endsWith("/google.protobuf.Struct") || !pair.has(2)) continue;
      found = this.#workloads.read(entry.reader, entry.view, pair.starts[2]!, pair.ends[2]!);
    }
    return found;
  }

  /** Whom a certificate, a field of TLSProperties, says somebody to be; `undefined` where it names nobody. */
  #principal(entry: Entry, field: number): Principal | undefined {
    if (!this.#tls.has(field)) return undefined;
    const identity = this.#identity(entry, field);
    return identity === "" ? undefined : this.#principals.of(identity);
  }

  /** A certificate's first URI, else its first DNS name, else its subject; `""` when it has none. */
  #identity(entry: Entry, field: number): string {
    const certificate = this.#certificate;
    certificate.read(entry.reader, this.#tls.starts[field]!, this.#tls.ends[field]!);
    const { repeated, repeatedEnd } = certificate;
    let dns = "";
    for (let i = 0; i < repeatedEnd; i += 3) {
      // A SubjectAltName is written like an entry of a map: 1 is a URI, 2 a DNS name.
      const name = entry.readPair(repeated, i);
      const uri = entry.text(name, 1);
      if (uri !== "") return uri;
      if (dns === "") dns = entry.text(name, 2);
    }
    return dns === "" ? entry.text(certificate, 2) : dns;
  }
}
