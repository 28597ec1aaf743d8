import type { Endpoint } from "../hub-address.ts";
import type { ProxySettings } from "../proxy/settings.ts";

/** Where the value of a descriptor's entry comes from. */
export type DescriptorSource = { readonly header: string } | { readonly value: string };

/** What the operator says on the command line of `weir envoy`, with defaults. */
export interface EnvoySettings extends ProxySettings {
  /** The domain of the rate limit filter. */
  readonly domain: string;
  /** Entries of the rate limit filter's descriptor that were given, by their keys. */
  readonly descriptor: ReadonlyMap<string, DescriptorSource>;
  /** Whether Envoy keeps to the limits of the domain by itself, rather than ask about each request. */
  readonly quota: boolean;
  /** The key under which Envoy's jwt_authn filter leaves a token's claims (`payload_in_metadata`). */
  readonly jwtPayload: string;
  /** The largest body that rules may read, in bytes. */
  readonly bodyBytes: number;
  /** How often requests are reported that last, in milliseconds; left out: only when they end. */
  readonly ongoingMs?: number;
  /** On which side of the service Envoy stands. */
  readonly direction: "inbound" | "outbound";

  readonly admin: Endpoint;
  /** `same`: the protocol that the caller speaks. */
  readonly upstreamProtocol: "http1" | "http2" | "same";
  /** Whether Envoy leaves paths as callers write them. */
  readonly rawPaths: boolean;
}
