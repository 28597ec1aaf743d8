/** Where something listens. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Where the value of a descriptor's entry comes from. */
export type DescriptorSource = { readonly header: string } | { readonly value: string };

/** What the operator says on the command line of `weir envoy`, with defaults. */
export interface EnvoySettings {
  /** The hub's gRPC listener. */
  readonly hub: Endpoint;
  /** TLS to the hub. */
  readonly tls?: HubTls;
  /** What happens to requests while the hub cannot be asked. */
  readonly failure: "open" | "closed";
  /** How long Envoy waits for an answer of the hub. */
  readonly timeoutMs: number;
  /** The domain of the rate limit filter. */
  readonly domain: string;
  /** Attributes that Envoy's configuration vouches for: the service behind it, and what else was given. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Entries of the rate limit filter's descriptor that were given, by their keys. */
  readonly descriptor: ReadonlyMap<string, DescriptorSource>;
  /** The key under which Envoy's jwt_authn filter leaves a token's claims (`payload_in_metadata`). */
  readonly jwtPayload: string;
  /** The largest body that rules may read, in bytes. */
  readonly bodyBytes: number;
  /** On which side of the service Envoy stands. */
  readonly direction: "inbound" | "outbound";

  /** Where callers connect. */
  readonly listen: Endpoint;
  /** TLS of that listener; with `ca`, callers must show a certificate. */
  readonly listenTls?: ListenTls;
  readonly admin: Endpoint;
  /** The service that is protected. */
  readonly upstream: Endpoint;
  /** `same`: the protocol that the caller speaks. */
  readonly upstreamProtocol: "http1" | "http2" | "same";
  /** Whether Envoy leaves paths as callers write them. */
  readonly rawPaths: boolean;
}

/** Files as Envoy sees them. */
export interface ListenTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

/** Files as Envoy sees them, and who the hub must be. */
export interface HubTls {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  /** The name in the hub's certificate: a DNS name, an address or a SPIFFE id. */
  readonly name: string;
}
