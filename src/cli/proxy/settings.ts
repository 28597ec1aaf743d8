import type { Endpoint } from "../hub-address.ts";

/** What the operator says of a proxy and its hub on the command line, with defaults. */
export interface ProxySettings {
  /** The hub's listener that the proxy asks. */
  readonly hub: Endpoint;
  /** TLS to the hub. */
  readonly tls?: HubTls;
  /** What happens to requests while the hub cannot be asked. */
  readonly failure: "open" | "closed";
  /** How long the proxy waits for an answer of the hub. */
  readonly timeoutMs: number;
  /** Attributes that the proxy's configuration vouches for: the service behind it, and what else was given. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Where callers connect. */
  readonly listen: Endpoint;
  /** TLS of that listener; with `ca`, callers must show a certificate. */
  readonly listenTls?: ListenTls;
  /** The service that is protected. */
  readonly upstream: Endpoint;
}

/** Files as the proxy sees them. */
export interface ListenTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

/** Files as the proxy sees them, and who the hub must be. */
export interface HubTls {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  /** The name in the hub's certificate: a DNS name, an address or, for Envoy, a SPIFFE id. */
  readonly name: string;
}
