import { said, type Tree } from "./commented.ts";
import { extAuthzName } from "./ext-authz.ts";
import { countsMessages, grpcStatsName } from "./grpc-stats.ts";
import { hubStream } from "./hub-cluster.ts";
import { rateLimitName } from "./rate-limit.ts";
import type { PolicyReads } from "../proxy/reads.ts";
import type { EnvoySettings } from "./settings.ts";

/** What tells how a call ended; in headers where there is nothing but the status. */
const grpcTrailers = ["grpc-status", "grpc-message"];

const grpcTypes = "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3";

/** The access logger of an HTTP listener: each entry is a report. */
export function httpAccessLog(settings: EnvoySettings, reads: PolicyReads): Tree {
  const { report, ends } = reads;
  const read = (map: string, always: readonly string[]) => [
    ...new Set([...always, ...report.flatMap(({ name, key }) => (name === map && key !== undefined ? [key] : []))]),
  ];
  return {
    name: "envoy.access_loggers.http_grpc",
    typed_config: {
      "@type": `${grpcTypes}.HttpGrpcAccessLogConfig`,
      common_config: {
        ...commonConfig(settings, ends),
        ...(countsMessages(reads) && { filter_state_objects_to_log: [grpcStatsName] }),
      },
      additional_request_headers_to_log: said(
        "What policies read, and what tells gRPC from other HTTP.",
        read("request.headers", ["content-type"]),
      ),
      additional_response_headers_to_log: read("response.headers", grpcTrailers),
      additional_response_trailers_to_log: read("response.trailers", grpcTrailers),
    },
  };
}

/** What an HTTP connection manager is told of requests that last, and a TCP proxy of connections. */
export function accessLogOptions(
  flush: "flush_access_log_on_new_request" | "flush_access_log_on_connected",
  ms: number,
): Tree {
  return { [flush]: true, access_log_flush_interval: `${ms / 1000}s` };
}

/** The access logger of a TCP proxy. */
export function tcpAccessLog(settings: EnvoySettings): Tree {
  return {
    name: "envoy.access_loggers.tcp_grpc",
    typed_config: {
      "@type": `${grpcTypes}.TcpGrpcAccessLogConfig`,
      common_config: commonConfig(settings),
    },
  };
}

/** A line a request on standard output, with the decision that let it through or not. */
export function decisionLog(hasRateLimits: boolean): Tree {
  const decided = (field: string, filter = extAuthzName) => `%DYNAMIC_METADATA(${filter}:${field})%`;
  return {
    name: "envoy.access_loggers.stdout",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
      log_format: {
        json_format: {
          time: "%START_TIME%",
          method: "%REQ(:METHOD)%",
          path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
          code: "%RESPONSE_CODE%",
          flags: "%RESPONSE_FLAGS%",
          decision: decided("decision_id"),
          policies: decided("policy_version"),
          rules: decided("rules"),
          ...(hasRateLimits && { limits: decided("rules", rateLimitName) }),
        },
      },
    },
  };
}

function commonConfig({ direction, attributes }: EnvoySettings, ends = false): Record<string, Tree> {
  return {
    log_name: said("Says on which side of the service Envoy stands.", direction),
    transport_api_version: "V3",
    grpc_service: hubStream(),
    buffer_flush_interval: ends
      ? said("Entries end what requests hold of limits: they are sent soon.", "0.1s")
      : said("Entries are sent together, at the latest after this time.", "1s"),
    buffer_size_bytes: 65536,
    ...(attributes.size > 0 && {
      custom_tags: said(
        "Tags that bear an attribute's name set that attribute.",
        [...attributes].map(([tag, value]) => ({ tag, literal: { value } })),
      ),
    }),
  };
}
