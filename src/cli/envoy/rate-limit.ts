import { said, type Tree } from "./commented.ts";
import type { Descriptor } from "./descriptor.ts";
import { hubService } from "./hub-cluster.ts";
import type { EnvoySettings } from "./settings.ts";

/** The filter's name. */
export const rateLimitName = "envoy.filters.http.ratelimit";

/** The HTTP filter that charges the limits `at: ratelimit`. */
export function rateLimitFilter(settings: EnvoySettings): Tree {
  const closed = settings.failure === "closed";
  return {
    name: rateLimitName,
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit",
      domain: settings.domain,
      timeout: `${settings.timeoutMs / 1000}s`,
      failure_mode_deny: said(
        closed
          ? "Fail closed: while the hub cannot be asked, requests are refused, with the status below."
          : "Fail open: while the hub cannot be asked, nothing is limited.",
        closed,
      ),
      ...(closed && { status_on_error: { code: "ServiceUnavailable" } }),
      rate_limited_as_resource_exhausted: said("What a gRPC caller understands as a limit.", true),
      rate_limit_service: { transport_api_version: "V3", grpc_service: hubService(settings) },
    },
  };
}

/** What a virtual host or a route tells that filter. */
export function rateLimits({ actions }: Descriptor): Tree {
  return said(
    "What a request is described by: one descriptor, so that no limit is charged twice. What a request lacks is left out, and the limits that need it do not apply.",
    [{ actions }],
  );
}
