import { said, type Tree } from "./commented.ts";
import { extAuthzName } from "./ext-authz.ts";
import { hubStream } from "./hub-cluster.ts";
import type { PolicyReads } from "./reads.ts";
import type { EnvoySettings } from "./settings.ts";

const grpcTypes = "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3";

/** The access logger of an HTTP listener: each entry is a report. */
export function httpAccessLog(settings: EnvoySettings, reads: PolicyReads): Tree {
  const headers = (map: string) =>
    reads.report.flatMap(({ name, key }) => (name === map && key !== undefined && !key.startsWith(":") ? [key] : []));
  const logged = {
    additional_request_headers_to_log: headers("request.headers"),
    additional_response_headers_to_log: headers("response.headers"),
  };
  return {
    name: "envoy.access_loggers.http_grpc",
    typed_config: {
      "@type": `${grpcTypes}.HttpGrpcAccessLogConfig`,
      common_config: commonConfig(settings),
      ...Object.fromEntries(
        Object.entries(logged)
          .filter(([, names]) => names.length > 0)
          .map(([key, names]) => [key, said("What the policies read.", names)]),
      ),
    },
  };
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
export function decisionLog(): Tree {
  const decided = (field: string) => `%DYNAMIC_METADATA(${extAuthzName}:${field})%`;
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
          policies: decided("version"),
          rules: decided("rules"),
        },
      },
    },
  };
}

function commonConfig({ direction }: EnvoySettings): Tree {
  return {
    log_name: direction,
    transport_api_version: "V3",
    grpc_service: hubStream(),
    buffer_flush_interval: said("Entries are sent together: at the latest after this time.", "1s"),
    buffer_size_bytes: 65536,
  };
}
