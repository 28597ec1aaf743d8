import type { Endpoint, HubTls, ListenTls } from "../envoy/settings.ts";
import type { CarriedHeaders } from "./carried-headers.ts";

/** What the operator says on the command line of `weir nginx`, with defaults, and what the policies need. */
export interface NginxSettings {
  /** The hub's HTTP listener. */
  readonly hub: Endpoint;
  readonly tls?: HubTls;
  /** What happens to requests while the hub cannot be asked. */
  readonly failure: "open" | "closed";
  readonly timeoutMs: number;
  /** Attributes that nginx's configuration vouches for. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly headers: CarriedHeaders;
  /** Whether nginx asks callers for certificates, and tells the hub of those that it has verified. */
  readonly clientCertificates: boolean;

  /** Where callers connect. */
  readonly listen: Endpoint;
  readonly listenTls?: ListenTls;
  /** The service that is protected. */
  readonly upstream: Endpoint;
  /** Where nginx keeps its pid and temporary files; left out: where it was built to. */
  readonly folder?: string;
}
