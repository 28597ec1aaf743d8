import { Struct } from "../../../../src/wire/gen/google/protobuf/struct.ts";
import {
  AccessLogType,
  HTTPAccessLogEntry,
  HTTPAccessLogEntry_HTTPVersion,
  TCPAccessLogEntry,
  TLSProperties_TLSVersion,
  type AccessLogCommon,
} from "../../../../src/wire/gen/envoy/data/accesslog/v3/accesslog.ts";
import { StreamAccessLogsMessage } from "../../../../src/wire/gen/envoy/service/accesslog/v3/als.ts";
import { RequestMethod } from "../../../../src/wire/gen/envoy/config/core/v3/base.ts";

/** What may be given of a message: all of it, or part. */
export type Part<T> = T extends Uint8Array | Map<unknown, unknown> | bigint
  ? T
  : T extends readonly (infer U)[]
    ? readonly Part<U>[]
    : T extends object
      ? { [K in keyof T]?: Part<T[K]> | undefined }
      : T;

export const socketAddress = (address: string, portValue: number) => ({ socketAddress: { address, portValue } });

/** The filter state in which Istio's proxies keep what they know of a peer. */
export const peer = (fields: Record<string, unknown>) => ({
  typeUrl: "type.googleapis.com/google.protobuf.Struct",
  value: Struct.encode(Struct.wrap(fields)).finish(),
});

/** What Envoy's filter grpc_stats leaves of a call: field 1 counts the caller's messages, field 2 the server's. */
export const messageCounts = (caller: number, server: number) => ({
  typeUrl: "type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterObject",
  value: Buffer.of(...(caller > 0 ? [0x08, caller] : []), ...(server > 0 ? [0x10, server] : [])),
});

/** What both kinds of entry have: everything. */
export const common: Part<AccessLogCommon> = {
  downstreamRemoteAddress: socketAddress("203.0.113.9", 0),
  downstreamLocalAddress: socketAddress("10.0.1.7", 9080),
  downstreamDirectRemoteAddress: socketAddress("10.0.0.4", 51_234),
  upstreamRemoteAddress: socketAddress("2001:db8::7", 9081),
  tlsProperties: {
    tlsVersion: TLSProperties_TLSVersion.TLSv1_3,
    tlsSniHostname: "outbound_.9080_._.reviews.bookinfo.svc.cluster.local",
    localCertificateProperties: {
      subjectAltName: [{ uri: "spiffe://cluster.local/ns/bookinfo/sa/bookinfo-reviews" }],
    },
    peerCertificateProperties: {
      subjectAltName: [{ uri: "spiffe://cluster.local/ns/web/sa/bookinfo-productpage" }],
      subject: "CN=productpage",
    },
  },
  startTime: { seconds: 1_800_000_000n, nanos: 900_000_000 },
  timeToLastRxByte: { seconds: 0n, nanos: 1_000_000 },
  timeToFirstUpstreamTxByte: { seconds: 0n, nanos: 2_000_000 },
  timeToLastUpstreamTxByte: { seconds: 0n, nanos: 3_000_000 },
  timeToFirstUpstreamRxByte: { seconds: 0n, nanos: 200_000_000 },
  timeToLastUpstreamRxByte: { seconds: 1n, nanos: 202_000_000 },
  timeToFirstDownstreamTxByte: { seconds: 0n, nanos: 201_000_000 },
  timeToLastDownstreamTxByte: { seconds: 1n, nanos: 203_000_000 },
  duration: { seconds: 1n, nanos: 250_000_000 },
  upstreamCluster: "inbound|9080|http|reviews.bookinfo.svc.cluster.local",
  upstreamTransportFailureReason: "TLS_error:|268435581:SSL routines",
  upstreamRequestAttemptCount: 2,
  routeName: "default",
  responseFlags: { upstreamConnectionFailure: true, upstreamRetryLimitExceeded: true },
  connectionTerminationDetails: "idle_timeout",
  streamId: "4b7f1c1e-9c1f-4e6e-8c59-1f2d8f6c0a11",
  customTags: new Map([
    ["zone", "b"],
    ["origin.user", "ann"],
  ]),
  filterStateObjects: new Map([
    [
      "downstream_peer",
      peer({
        name: "productpage-v1-5f4",
        namespace: "told-by-the-peer",
        workload: "productpage-v1",
        app: "productpage",
        version: "v1",
        labels: { tier: "front" },
        service: "productpage",
      }),
    ],
    ["envoy.filters.http.grpc_stats", messageCounts(3, 1)],
  ]),
  metadata: {
    filterMetadata: new Map([
      [
        "envoy.filters.http.ext_authz",
        {
          decision_id: "0123456789abcdef0123456789abcdef",
          policy_version: "7fec6fca2b31",
          code: "permission_denied",
          rule: "acl/key",
          rules: ["acl/key", "acl/only-web"],
        },
      ],
      ["envoy.filters.http.ratelimit", { decision_id: "fedcba9876543210fedcba9876543210" }],
      [
        "envoy.filters.http.jwt_authn",
        { payload: { iss: "https://login.example", sub: "ann", aud: ["shop", "api"], azp: "web", level: 3 } },
      ],
    ]),
  },
};

export function httpEntry(changes: Part<HTTPAccessLogEntry> = {}): Uint8Array {
  return HTTPAccessLogEntry.encode(HTTPAccessLogEntry.fromPartial(changes as object)).finish();
}

export function tcpEntry(changes: Part<TCPAccessLogEntry> = {}): Uint8Array {
  return TCPAccessLogEntry.encode(TCPAccessLogEntry.fromPartial(changes as object)).finish();
}

/** An HTTP entry that has everything. */
export const fullHttp: Part<HTTPAccessLogEntry> = {
  commonProperties: { ...common, accessLogType: AccessLogType.DownstreamEnd },
  protocolVersion: HTTPAccessLogEntry_HTTPVersion.HTTP2,
  request: {
    requestMethod: RequestMethod.POST,
    scheme: "https",
    authority: "reviews:9080",
    path: "/rewritten",
    originalPath: "/reviews/0?full=yes",
    userAgent: "curl/8.5.0",
    referer: "https://shop.example/",
    forwardedFor: "203.0.113.9",
    requestId: "f9d1c6d0-0d1d-4d7c-b2a9-8a3c0b7d9d21",
    requestHeadersBytes: 300n,
    requestBodyBytes: 1200n,
    requestHeaders: new Map([
      ["content-type", "application/grpc+proto"],
      ["x-tenant", "t1"],
    ]),
  },
  response: {
    responseCode: 503,
    responseHeadersBytes: 100n,
    responseBodyBytes: 5_000_000_000n,
    responseHeaders: new Map([["x-cache", "miss"]]),
    responseTrailers: new Map([
      ["grpc-status", "14"],
      ["grpc-message", "no healthy upstream"],
    ]),
    responseCodeDetails: "via_upstream",
  },
};

/** A TCP entry that has everything. */
export const fullTcp: Part<TCPAccessLogEntry> = {
  commonProperties: { ...common, accessLogType: AccessLogType.TcpConnectionEnd },
  connectionProperties: { receivedBytes: 480n, sentBytes: 5_000_000_000n },
};

/** The proxy that writes the entries: a sidecar of Istio. */
export const identifier: NonNullable<Part<StreamAccessLogsMessage>["identifier"]> = {
  logName: "mesh",
  node: {
    id: "sidecar~10.0.1.7~reviews-v3-54c6.bookinfo~bookinfo.svc.cluster.local",
    cluster: "reviews.bookinfo",
    metadata: {
      NAME: "reviews-v3-54c6",
      NAMESPACE: "bookinfo",
      WORKLOAD_NAME: "reviews-v3",
      OWNER: "kubernetes://apis/apps/v1/namespaces/bookinfo/deployments/reviews-v3",
      SERVICE_ACCOUNT: "bookinfo-reviews",
      LABELS: { app: "reviews", version: "v3" },
      ISTIO_VERSION: "1.24.1",
    } as never,
    userAgentName: "envoy",
    userAgentBuildVersion: { version: { majorNumber: 1, minorNumber: 40, patch: 2 } },
  },
};

/** A message of entries that were encoded before. */
export function message(
  entries: { readonly http?: readonly Uint8Array[]; readonly tcp?: readonly Uint8Array[] },
  who?: Part<StreamAccessLogsMessage>["identifier"],
): Uint8Array {
  const parts: Uint8Array[] = [];
  if (who !== undefined)
    parts.push(
      StreamAccessLogsMessage.encode(StreamAccessLogsMessage.fromPartial({ identifier: who } as object)).finish(),
    );
  if (entries.http !== undefined) parts.push(delimited(2, ...entries.http.map((entry) => delimited(1, entry))));
  if (entries.tcp !== undefined) parts.push(delimited(3, ...entries.tcp.map((entry) => delimited(1, entry))));
  return Buffer.concat(parts);
}

/** A field with a length, as it stands in a message. */
export function delimited(field: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(parts);
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}
