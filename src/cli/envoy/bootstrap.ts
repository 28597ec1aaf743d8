import type { Endpoint } from "../hub-address.ts";
import { accessLogOptions, decisionLog, httpAccessLog, tcpAccessLog } from "./access-log.ts";
import { said, type Tree } from "./commented.ts";
import type { Descriptor } from "./descriptor.ts";
import { extAuthzFilter, extAuthzName, extAuthzRoute } from "./ext-authz.ts";
import { countsMessages, grpcStatsFilter } from "./grpc-stats.ts";
import { endpoints, hubCluster } from "./hub-cluster.ts";
import { rateLimitQuotaFilter } from "./rate-limit-quota.ts";
import { rateLimitFilter, rateLimits } from "./rate-limit.ts";
import type { PolicyReads } from "../proxy/reads.ts";
import type { ListenTls } from "../proxy/settings.ts";
import type { EnvoySettings } from "./settings.ts";

const networkTypes = "type.googleapis.com/envoy.extensions.filters.network";

/** The network filter that speaks HTTP, and the type of its configuration. */
export const managerName = "envoy.filters.network.http_connection_manager";
export const managerType = `${networkTypes}.http_connection_manager.v3.HttpConnectionManager`;

/** A whole configuration: one listener before one HTTP service, which the hub judges, limits and reports. */
export function httpBootstrap(settings: EnvoySettings, reads: PolicyReads, descriptor: Descriptor): Tree {
  return bootstrap(settings, {
    name: managerName,
    typed_config: {
      "@type": managerType,
      stat_prefix: "ingress",
      access_log: [
        said(
          "A line a request on standard output, with the id of the hub's decision.",
          decisionLog(descriptor.actions.length > 0 && !settings.quota),
        ),
        said("Each request as a report to the hub.", httpAccessLog(settings, reads)),
      ],
      ...(settings.ongoingMs !== undefined && {
        access_log_options: said(
          "A request that lasts is told of again and again, for counters that grow while it does.",
          accessLogOptions("flush_access_log_on_new_request", settings.ongoingMs),
        ),
      }),
      use_remote_address: said(
        "Callers connect here themselves: nothing that they say of their address is believed. Behind another proxy, set xff_num_trusted_hops too.",
        true,
      ),
      ...(!settings.rawPaths && {
        normalize_path: said(
          "The service gets paths as they were judged: without dot segments and doubled slashes.",
          true,
        ),
        merge_slashes: true,
        path_with_escaped_slashes_action: "UNESCAPE_AND_REDIRECT",
      }),
      http_filters: [
        ...hubFilters(settings, reads, descriptor),
        ...(countsMessages(reads) ? [said("Counts the messages of gRPC calls.", grpcStatsFilter())] : []),
        {
          name: "envoy.filters.http.router",
          typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        },
      ],
      route_config: {
        name: "service",
        virtual_hosts: [
          {
            name: "service",
            domains: ["*"],
            routes: [{ match: { prefix: "/" }, route: { cluster: upstreamName(settings) } }],
            ...routeParts(settings, descriptor),
          },
        ],
      },
    },
  });
}

/** The HTTP filters that ask the hub, in their order. */
export function hubFilters(settings: EnvoySettings, reads: PolicyReads, descriptor: Descriptor): readonly Tree[] {
  return [
    said("Asks the hub whether the request may pass.", extAuthzFilter(settings, reads)),
    ...(descriptor.actions.length > 0 ? [limitFilter(settings, descriptor)] : []),
  ];
}

function limitFilter(settings: EnvoySettings, descriptor: Descriptor): Tree {
  return settings.quota
    ? said("Keeps to its share of the limits `at: ratelimit`.", rateLimitQuotaFilter(settings, descriptor))
    : said("Charges the limits `at: ratelimit`.", rateLimitFilter(settings));
}

/** What a virtual host or a route says for the filters. */
export function routeParts(settings: EnvoySettings, descriptor: Descriptor): Record<string, Tree> {
  return {
    typed_per_filter_config: { [extAuthzName]: extAuthzRoute(settings) },
    ...(descriptor.actions.length > 0 && !settings.quota && { rate_limits: rateLimits(descriptor) }),
  };
}

/** A whole configuration for a TCP service: nothing is judged, connections are reported. */
export function tcpBootstrap(settings: EnvoySettings): Tree {
  return bootstrap(settings, {
    name: "envoy.filters.network.tcp_proxy",
    typed_config: {
      "@type": `${networkTypes}.tcp_proxy.v3.TcpProxy`,
      stat_prefix: "ingress",
      cluster: upstreamName(settings),
      access_log_options: said(
        "A connection that lasts is reported again and again, each time by what is new.",
        accessLogOptions("flush_access_log_on_connected", settings.ongoingMs ?? 10_000),
      ),
      access_log: [said("Each connection as reports to the hub.", tcpAccessLog(settings))],
    },
  });
}

function bootstrap(settings: EnvoySettings, filter: Tree): Tree {
  const { listen, listenTls, admin } = settings;
  return {
    node: nodeOf(settings),
    admin: said("Shows and changes everything: for this machine alone.", { address: socketAddress(admin) }),
    overload_manager: said("How many connections Envoy accepts at once.", {
      resource_monitors: [
        {
          name: "envoy.resource_monitors.global_downstream_max_connections",
          typed_config: {
            "@type":
              "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            max_active_downstream_connections: 50_000,
          },
        },
      ],
    }),
    static_resources: {
      listeners: [
        {
          name: settings.direction,
          address: socketAddress(listen),
          filter_chains: [
            { filters: [filter], ...(listenTls !== undefined && { transport_socket: downstreamTls(listenTls) }) },
          ],
        },
      ],
      clusters: [said("The hub.", hubCluster(settings)), said("The service.", upstreamCluster(settings))],
    },
  };
}

/** Who Envoy is in reports: beside the service, the name of its workload. */
function nodeOf({ direction, attributes }: EnvoySettings): Tree {
  const name = direction === "inbound" ? attributes.get("destination.service.name") : undefined;
  const namespace = name === undefined ? undefined : attributes.get("destination.namespace");
  return {
    id: name === undefined ? "envoy" : `${name}-envoy`,
    cluster: name ?? "envoy",
    ...(namespace !== undefined && { metadata: { NAMESPACE: namespace } }),
  };
}

/**
 * What the cluster of the service is called. Access logs tell nothing of the service but this name, so it holds direction,
 * port and host as Istio's do: `inbound|9080||ratings.bookinfo.svc.cluster.local`.
 */
function upstreamName({ direction, upstream, attributes }: EnvoySettings): string {
  const host = attributes.get("destination.service.host") ?? attributes.get("destination.service.name");
  return `${direction}|${upstream.port}||${host ?? upstream.host}`;
}

function upstreamCluster(settings: EnvoySettings): Tree {
  const { upstream, upstreamProtocol } = settings;
  const name = upstreamName(settings);
  const http2 = { http2_protocol_options: {} };
  return {
    name,
    ...endpoints(name, upstream),
    connect_timeout: "1s",
    ...(upstreamProtocol !== "http1" && {
      typed_extension_protocol_options: {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
          "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
          ...(upstreamProtocol === "same"
            ? { use_downstream_protocol_config: http2 }
            : { explicit_http_config: http2 }),
        },
      },
    }),
  };
}

function downstreamTls({ cert, key, ca }: ListenTls): Tree {
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
      ...(ca !== undefined && { require_client_certificate: true }),
      common_tls_context: {
        alpn_protocols: ["h2", "http/1.1"],
        tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }],
        ...(ca !== undefined && {
          validation_context: said("Whose certificates callers must show; the name in it is source.principal.", {
            trusted_ca: { filename: ca },
          }),
        }),
      },
    },
  };
}

function socketAddress({ host, port }: Endpoint): Tree {
  return { socket_address: { address: host, port_value: port } };
}
