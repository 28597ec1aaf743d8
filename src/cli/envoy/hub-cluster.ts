import { isIP } from "node:net";
import { said, type Tree } from "./commented.ts";
import type { Endpoint, EnvoySettings, HubTls } from "./settings.ts";

const clusterName = "weir";

/** How the filters name the hub. */
export function hubService({ timeoutMs }: EnvoySettings): Tree {
  return { envoy_grpc: { cluster_name: clusterName }, timeout: `${timeoutMs / 1000}s` };
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
        no_traffic_interval: "5s",
        unhealthy_threshold: 2,
        healthy_threshold: 1,
        grpc_health_check: {},
      }),
    ],
    common_lb_config: said(
      "With no healthy hub left, fail at once as the filters say, instead of trying those that are known not to answer.",
      { healthy_panic_threshold: { value: 0 } },
    ),
    circuit_breakers: said("Calls are short and many; Envoy's default of 1024 at once would refuse bursts.", {
      thresholds: [{ max_connections: 1024, max_pending_requests: 4096, max_requests: 16384 }],
    }),
    transport_socket: tls && transportSocket(tls),
  };
}

/** Addresses need no resolver; names are resolved again and again, and every address of a name is a hub. */
export function endpoints(name: string, { host, port }: Endpoint): { readonly [key: string]: Tree } {
  const address = { socket_address: { address: host, port_value: port } };
  return {
    type: isIP(host) === 0 ? "STRICT_DNS" : "STATIC",
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
