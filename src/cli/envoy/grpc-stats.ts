import { said, type Tree } from "./commented.ts";
import type { PolicyReads } from "../proxy/reads.ts";

/** The filter's name; what it counted of a call bears it too. */
export const grpcStatsName = "envoy.filters.http.grpc_stats";

/** Whether a report is to say how many messages a call of gRPC had. */
export function countsMessages({ report }: PolicyReads): boolean {
  return report.some(({ name }) => name === "request.messages" || name === "response.messages");
}

/** The HTTP filter that counts the messages of gRPC calls. */
export function grpcStatsFilter(): Tree {
  return {
    name: grpcStatsName,
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
      emit_filter_state: said("For the access log, which hands the counts on.", true),
      stats_for_all_methods: false,
    },
  };
}
