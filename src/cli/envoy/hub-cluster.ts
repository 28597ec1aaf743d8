import { isIP } from "node:net";
import type { Endpoint } from "../hub-address.ts";
import { said, type Tree } from "./commented.ts";
import type { HubTls } from "../proxy/settings.ts";
import type { EnvoySettings } from "./settings.ts";

const clusterName = "weir";

/** How the filters name the hub. */
export function hubService({ timeoutMs }: EnvoySettings): Tree {
  const timeout = `${timeoutMs / 1000}s`;
  return {
    envoy_grpc: { cluster_name: clusterName },
    timeout,
    retry_policy: said("Asks another hub where the question reached none, so that no limit is charged twice.", {
      retry_on: "connect-failure,refused-stream,reset-before-request",
      num_retries: 2,
      retry_back_off: said("Envoy takes the longer one for the time of a single try as well.", {
        base_interval: "0.005s",
        max_interval: timeout,
      }),
      retry_host_predicate: [
        {
          name: "envoy.retry_host_predicates.previous_hosts",
          typed_config: {
            "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
          },
        },
      ],
      host_selection_retry_max_attempts: 5,
    }),
  };
}

/** How access loggers name it: their streams last, so no answer is waited for. */
export function hubStream(): Tree {
  return { envoy_grpc: { cluster_name: clusterName } };
}

/** The cluster of the hub. */
export function hubCluster({ hub, tls }: EnvoySettings): Tree {
  return {
    name: clusterName,
    ...endpoints(clusterName, hub),
    connect_timeout: "1s",
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config: {
          http2_protocol_options: {
            connection_keepalive: said(
              "Pings find out that a connection is dead when nothing else would, such as behind a load balancer that forgot it.",
              { interval: "30s", timeout: "5s" },
            ),
          },
        },
      },
    },
    health_checks: [
      said("The hub says NOT_SERVING while it drains and when it is broken: it is not asked any more then.", {
        timeout: "1s",
        interval: "5s",
        unhealthy_interval: "1s",
        // Envoy goes by these two while it has asked the hub nothing yet.
        no_traffic_interval: "1s",
        no_traffic_healthy_interval: "5s",
        unhealthy_threshold: 2,
        healthy_threshold: 1,
        grpc_health_check: {},
      }),
    ],
    common_lb_config: said(
      "With no healthy hub left, fail at once as the filters say, instead of trying those that are known not to answer.",
      { healthy_panic_threshold: { value: 0 } },
    ),
    outlier_detection: said(
      "Of several hubs, one that takes no connections is left out for a second, or until its health is good.",
      {
        split_external_local_origin_errors: true,
        consecutive_local_origin_failure: 3,
        enforcing_consecutive_local_origin_failure: 100,
        enforcing_local_origin_success_rate: 0,
        enforcing_consecutive_5xx: 0,
        enforcing_consecutive_gateway_failure: 0,
        enforcing_success_rate: 0,
        interval: "1s",
        base_ejection_time: "1s",
        max_ejection_time: "5s",
        max_ejection_percent: 50,
      },
    ),
    circuit_breakers: said(
      "Calls are short and many; Envoy's defaults (1024 at once, 3 retries) would refuse bursts.",
      {
        thresholds: [{ max_connections: 1024, max_pending_requests: 4096, max_requests: 16384, max_retries: 1024 }],
      },
    ),
    transport_socket: tls && transportSocket(tls),
  };
}

/**
 * Addresses need no resolver; names are resolved again and again, and every address of a name is a hub. Envoy by itself
 * prefers IPv6, so that `localhost` would be an address at which most programs do not listen.
 */
export function endpoints(name: string, { host, port }: Endpoint): { readonly [key: string]: Tree } {
  const address = { socket_address: { address: host, port_value: port } };
  return {
    ...(isIP(host) === 0 ? { type: "STRICT_DNS", dns_lookup_family: "V4_PREFERRED" } : { type: "STATIC" }),
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
  };
}

function transportSocket({ ca, cert, key, name }: HubTls): Tree {
  const type = name.includes("://") ? "URI" : isIP(name) === 0 ? "DNS" : "IP_ADDRESS";
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
      ...(type === "DNS" && { sni: name }),
      common_tls_context: {
        tls_params: { tls_minimum_protocol_version: "TLSv1_2" },
        ...(cert !== undefined &&
          key !== undefined && {
            tls_certificates: [
              said("Who Envoy is to the hub.", {
                certificate_chain: { filename: cert },
                private_key: { filename: key },
              }),
            ],
          }),
        validation_context: said("Who may be the hub.", {
          trusted_ca: { filename: ca },
          match_typed_subject_alt_names: [{ san_type: type, matcher: { exact: name } }],
        }),
      },
    },
  };
}
