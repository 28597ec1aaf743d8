import type { ProxySettings } from "../proxy/settings.ts";
import type { CarriedHeaders } from "./carried-headers.ts";

/** What the operator says on the command line of `weir nginx`, with defaults, and what the policies need. */
export interface NginxSettings extends ProxySettings {
  readonly headers: CarriedHeaders;
  /** Whether nginx asks callers for certificates, and tells the hub of those that it has verified. */
  readonly clientCertificates: boolean;
  /** Where nginx keeps its pid and temporary files; left out: where it was built to. */
  readonly folder?: string;
}
