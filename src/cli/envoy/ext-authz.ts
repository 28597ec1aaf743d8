import { said, type Tree } from "./commented.ts";
import { hubService } from "./hub-cluster.ts";
import type { PolicyReads } from "../proxy/reads.ts";
import type { EnvoySettings } from "./settings.ts";

/** The filter's name, by which routes give it more and other filters find what it left. */
export const extAuthzName = "envoy.filters.http.ext_authz";

/** The filter that verifies tokens, under whose name it leaves their claims. */
export const jwtAuthnName = "envoy.filters.http.jwt_authn";

/** The HTTP filter that asks the hub about each request. */
export function extAuthzFilter(settings: EnvoySettings, { check, setsQuery }: PolicyReads): Tree {
  const reads = (prefix: string) => check.some(({ name }) => name.startsWith(prefix));
  const readsToken = reads("request.auth.");
  const metadata = [...(readsToken ? [jwtAuthnName] : []), ...filtersOf(check, "context.metadata")];
  const routeMetadata = filtersOf(check, "context.route_metadata");
  const open = settings.failure === "open";
  return {
    name: extAuthzName,
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
      transport_api_version: "V3",
      grpc_service: hubService(settings),
      failure_mode_allow: said(
        open
          ? "Fail open: while the hub cannot be asked, requests pass, with x-envoy-auth-failure-mode-allowed: true."
          : "Fail closed: while the hub cannot be asked, requests are refused, with the status below.",
        open,
      ),
      ...(open ? { failure_mode_allow_header_add: true } : { status_on_error: { code: "ServiceUnavailable" } }),
      // With it Envoy refuses parameters of the query that are percent-encoded, whatever else they are.
      ...(!setsQuery && {
        validate_mutations: said("An answer with a header that HTTP does not allow is a failure, not a request.", true),
      }),
      include_tls_session: said("Gives connection.requested_server_name.", true),
      ...(reads("source.certificate") && {
        include_peer_certificate: said("Some policy reads the caller's certificate.", true),
      }),
      ...(metadata.length > 0 && {
        metadata_context_namespaces: said(
          readsToken
            ? `What other filters found out. To have claims of tokens, put ${jwtAuthnName} before this one (payload_in_metadata: ${settings.jwtPayload}).`
            : "What other filters found out.",
          [...new Set(metadata)],
        ),
      }),
      ...(routeMetadata.length > 0 && { route_metadata_context_namespaces: routeMetadata }),
      ...((reads("request.body") || reads("request.raw_body")) && {
        with_request_body: said(
          "Some policy reads the body. One byte more than rules may read tells the hub that there was more: rules that read it then refuse.",
          { max_request_bytes: settings.bodyBytes + 1, allow_partial_message: true, pack_as_bytes: true },
        ),
      }),
    },
  };
}

/** What a virtual host or a route tells that filter. */
export function extAuthzRoute({ attributes }: EnvoySettings): Tree {
  return {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
    check_settings: {
      context_extensions: said(
        "Envoy does not tell where a request goes. Extensions that bear an attribute's name set that attribute; no caller can change them.",
        Object.fromEntries(attributes),
      ),
    },
  };
}

/** The filters whose metadata is read by constant keys, which begin with the filter's name: `FILTER/way/to/value`. */
function filtersOf(check: PolicyReads["check"], attribute: string): string[] {
  const keys = check.flatMap(({ name, key }) => (name === attribute && key !== undefined ? [key] : []));
  return [...new Set(keys.map((key) => key.split("/", 1)[0]!.replaceAll("~1", "/").replaceAll("~0", "~")))].sort();
}
