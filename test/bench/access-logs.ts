import { StreamAccessLogsMessage } from "../../src/wire/gen/envoy/service/accesslog/v3/als.ts";
import { Struct } from "../../src/wire/gen/google/protobuf/struct.ts";
import { type Random, seeded } from "./random.ts";
import { serviceName, teams } from "./requests.ts";

const noon = Date.UTC(2026, 0, 1, 12);
const callers = ["frontend", "gateway", "checkout", "search", "mobile-api", "batch", "reports", "partners"];
const resources = ["orders", "carts", "products", "users", "reviews", "invoices", "shipments", "sessions"];
const agents = ["okhttp/4.12.0", "Mozilla/5.0 (X11; Linux x86_64)", "grpc-node-js/1.14.7", "curl/8.5.0"];
const codes = [200, 201, 404, 429, 503];

export interface AccessLogOptions {
  readonly seed: number;
  /** Messages, each the only one of its stream. */
  readonly count: number;
  /** Entries in one message. */
  readonly entries: number;
  /** When entries were written. Default: at the end of their requests. */
  readonly at?: "start" | "going" | "end";
}

/** By `envoy.data.accesslog.v3.AccessLogType`: DownstreamStart, DownstreamPeriodic, DownstreamEnd. */
const types = { start: 4, going: 5, end: 6 };

/** How many label sets {@link accessLogMessages} makes. */
export const accessLogSeries = 1000;

const address = (a: number, b: number, portValue: number) => ({
  socketAddress: { address: `10.${a}.${b}.7`, portValue },
});

const span = (ms: number) => ({ seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.floor((ms % 1000) * 1e6) });

/** One served request as a sidecar of Istio at the server's side logs it: about 1.3 kB. */
function entry(random: Random, destination: number, source: number, accessLogType: number) {
  const caller = `${callers[source % callers.length]!}-${source}`;
  const from = teams[source]!;
  const to = teams[destination]!;
  const name = serviceName(destination);
  const id = `${random.hex(8)}-${random.hex(4)}-4${random.hex(3)}-8${random.hex(3)}-${random.hex(12)}`;
  const ms = 1 + random.below(400_000) / 1000;
  const peer = {
    workload: caller,
    namespace: from,
    app: caller,
    version: "v1",
    service: caller,
    cluster: "Kubernetes",
  };
  return {
    commonProperties: {
      downstreamRemoteAddress: address(random.below(256), random.below(256), 30_000 + random.below(30_000)),
      downstreamLocalAddress: address(1, destination, 9080),
      downstreamDirectRemoteAddress: address(2, source, 30_000 + random.below(30_000)),
      upstreamRemoteAddress: address(1, destination, 9080),
      upstreamLocalAddress: address(1, destination, 30_000 + random.below(30_000)),
      tlsProperties: {
        tlsVersion: 4,
        tlsSniHostname: `outbound_.9080_._.${name}.${to}.svc.cluster.local`,
        localCertificateProperties: {
          subjectAltName: [{ uri: `spiffe://cluster.local/ns/${to}/sa/${name}` }],
        },
        peerCertificateProperties: {
          subjectAltName: [{ uri: `spiffe://cluster.local/ns/${from}/sa/${caller}` }],
        },
      },
      startTime: { seconds: BigInt(noon / 1000 + random.below(3600)), nanos: random.below(1e9) },
      timeToLastRxByte: span(ms / 10),
      timeToFirstUpstreamTxByte: span(ms / 8),
      timeToLastUpstreamTxByte: span(ms / 7),
      timeToFirstUpstreamRxByte: span(ms / 2),
      timeToLastUpstreamRxByte: span(ms / 1.1),
      timeToFirstDownstreamTxByte: span(ms / 1.9),
      timeToLastDownstreamTxByte: span(ms),
      duration: span(ms),
      upstreamCluster: `inbound|9080|http|${name}.${to}.svc.cluster.local`,
      upstreamRequestAttemptCount: 1,
      routeName: "default",
      streamId: id,
      accessLogType,
      filterStateObjects: new Map([
        [
          "downstream_peer",
          {
            typeUrl: "type.googleapis.com/google.protobuf.Struct",
            value: Struct.encode(Struct.wrap(peer)).finish(),
          },
        ],
      ]),
      metadata: {
        filterMetadata: new Map([["envoy.filters.http.ext_authz", { decision_id: random.hex(32), rules: [] }]]),
      },
    },
    protocolVersion: 2,
    request: {
      requestMethod: random.pick([1, 1, 1, 3]),
      scheme: "https",
      authority: `${name}.${to}:9080`,
      path: `/api/v1/${random.pick(resources)}/${random.below(1_000_000)}?page=${random.below(50)}`,
      userAgent: random.pick(agents),
      requestId: id,
      requestHeadersBytes: BigInt(600 + random.below(400)),
      requestBodyBytes: BigInt(random.below(2000)),
      requestHeaders: new Map([["content-type", "application/json"]]),
    },
    response: {
      responseCode: random.pick(codes),
      responseHeadersBytes: BigInt(180 + random.below(100)),
      responseBodyBytes: BigInt(random.below(20_000)),
      responseCodeDetails: "via_upstream",
    },
  };
}

/** Different messages of `envoy.service.accesslog.v3`, each of the sidecar of one of 10 services. */
export function accessLogMessages(options: AccessLogOptions): Uint8Array[] {
  const random = seeded(options.seed);
  return Array.from({ length: options.count }, (_, i) => {
    const destination = i % 10;
    const name = serviceName(destination);
    const namespace = teams[destination]!;
    const metadata = {
      NAME: `${name}-54c6c64795-2rkfm`,
      NAMESPACE: namespace,
      WORKLOAD_NAME: name,
      LABELS: { app: name, version: "v3" },
    };
    const message = {
      identifier: {
        node: { id: `sidecar~10.1.${destination}.7~${name}-54c6c64795-2rkfm.${namespace}~local`, metadata },
        logName: "mesh",
      },
      httpLogs: {
        logEntry: Array.from({ length: options.entries }, () =>
          entry(random, destination, random.below(20), types[options.at ?? "end"]),
        ),
      },
    };
    return StreamAccessLogsMessage.encode(StreamAccessLogsMessage.fromPartial(message as object)).finish();
  });
}
