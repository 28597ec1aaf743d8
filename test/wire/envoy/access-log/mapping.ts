/** One row of the table of docs/doors/access-log.md, and what the full entries of `entries.ts` come to. */
export interface Row {
  readonly attribute: string;
  /** Where it is taken from, as the page says it. */
  readonly from: string;
  /** The value of the full HTTP and TCP entries, as text; left out where such an entry does not bring the attribute. */
  readonly http?: string;
  readonly tcp?: string;
}

const both = (attribute: string, from: string, value: string): Row => ({ attribute, from, http: value, tcp: value });
const http = (attribute: string, from: string, value: string): Row => ({ attribute, from, http: value });
const tcp = (attribute: string, from: string, value: string): Row => ({ attribute, from, tcp: value });

export const mapping: readonly Row[] = [
  both("source.ip", "`downstream_direct_remote_address`, else `downstream_remote_address`", "10.0.0.4"),
  both("source.port", "likewise", "51234"),
  both("origin.ip", "`downstream_remote_address`", "203.0.113.9"),
  both("destination.ip", "`downstream_local_address`", "10.0.1.7"),
  both("destination.port", "likewise", "9080"),
  both("source.principal", "the caller's certificate", "cluster.local/ns/web/sa/bookinfo-productpage"),
  both("source.user", "likewise", "cluster.local/ns/web/sa/bookinfo-productpage"),
  both("source.namespace", "`source.principal`, else the caller's workload", "web"),
  both("source.serviceAccount", "likewise", "bookinfo-productpage"),
  both("source.name", "the caller's workload", "productpage-v1-5f4"),
  both("source.uid", "likewise", "kubernetes://productpage-v1-5f4.told-by-the-peer"),
  both(
    "source.labels",
    "likewise",
    "tier=front app=productpage version=v1 service.istio.io/canonical-name=productpage",
  ),
  both("source.workload.name", "likewise", "productpage-v1"),
  both("source.workload.namespace", "likewise", "told-by-the-peer"),
  both("source.workload.uid", "likewise", "istio://told-by-the-peer/workloads/productpage-v1"),
  both(
    "destination.principal",
    "the proxy's certificate, at the server's side",
    "cluster.local/ns/bookinfo/sa/bookinfo-reviews",
  ),
  both(
    "destination.namespace",
    "`destination.principal`, else the server's workload, else `destination.service.namespace`",
    "bookinfo",
  ),
  both("destination.serviceAccount", "`destination.principal`, else the server's workload", "bookinfo-reviews"),
  both("destination.name", "the server's workload", "reviews-v3-54c6"),
  both("destination.uid", "likewise", "kubernetes://reviews-v3-54c6.bookinfo"),
  both("destination.labels", "likewise", "app=reviews version=v3"),
  both("destination.owner", "likewise", "kubernetes://apis/apps/v1/namespaces/bookinfo/deployments/reviews-v3"),
  both("destination.workload.name", "likewise", "reviews-v3"),
  both("destination.workload.namespace", "likewise", "bookinfo"),
  both("destination.workload.uid", "likewise", "istio://bookinfo/workloads/reviews-v3"),
  both("destination.service.host", "`upstream_cluster`", "reviews.bookinfo.svc.cluster.local"),
  both("destination.service.name", "likewise", "reviews"),
  both("destination.service.namespace", "likewise", "bookinfo"),

  http("request.method", "`request_method`", "POST"),
  http("request.scheme", "`scheme`", "https"),
  http("request.host", "`authority`", "reviews:9080"),
  http("request.path", "`original_path`, else `path`", "/reviews/0?full=yes"),
  http("request.useragent", "`user_agent`", "curl/8.5.0"),
  http("request.referer", "`referer`", "https://shop.example/"),
  http("request.id", "`request_id`", "f9d1c6d0-0d1d-4d7c-b2a9-8a3c0b7d9d21"),
  http("request.protocol", "`protocol_version`", "HTTP/2"),
  http("request.time", "`start_time`", "2027-01-15T08:00:00.900Z"),
  http("request.size", "`request_body_bytes`", "1200"),
  http("request.total_size", "`request_headers_bytes` and `request_body_bytes`", "1500"),
  http(
    "request.headers",
    "`request_headers`; `user-agent`, `referer`, `x-forwarded-for` and `x-request-id` from their fields",
    "user-agent=curl/8.5.0 referer=https://shop.example/ x-forwarded-for=203.0.113.9 x-request-id=f9d1c6d0-0d1d-4d7c-b2a9-8a3c0b7d9d21 content-type=application/grpc+proto x-tenant=t1",
  ),
  http("response.code", "`response_code`", "503"),
  http("response.code_details", "`response_code_details`", "via_upstream"),
  http("response.size", "`response_body_bytes`", "5000000000"),
  http("response.total_size", "`response_headers_bytes` and `response_body_bytes`", "5000000100"),
  http("response.headers", "`response_headers`", "x-cache=miss"),
  http("response.trailers", "`response_trailers`", "grpc-status=14 grpc-message=no healthy upstream"),
  http("response.grpc_status", "`grpc-status` of the trailers, else of the headers", "14"),
  http("response.grpc_message", "`grpc-message` likewise", "no healthy upstream"),
  http(
    "response.time",
    "`start_time` and `time_to_first_downstream_tx_byte`, else `time_to_first_upstream_rx_byte`",
    "2027-01-15T08:00:01.101Z",
  ),
  http(
    "response.duration",
    "`duration`, else `time_to_last_downstream_tx_byte`, else `time_to_last_upstream_rx_byte`",
    "1.250s",
  ),

  tcp("connection.id", "`stream_id`", "4b7f1c1e-9c1f-4e6e-8c59-1f2d8f6c0a11"),
  tcp("connection.event", "`access_log_type`: `open`, `continue` or `close`", "close"),
  tcp("connection.received.bytes", "`received_bytes`, what is new since the last entry", "480"),
  tcp("connection.received.bytes_total", "`received_bytes`", "480"),
  tcp("connection.sent.bytes", "`sent_bytes`, what is new since the last entry", "5000000000"),
  tcp("connection.sent.bytes_total", "`sent_bytes`", "5000000000"),
  tcp("connection.duration", "as `response.duration`", "1.250s"),
  tcp("context.time", "`start_time` and `connection.duration`", "2027-01-15T08:00:02.150Z"),
  tcp("context.timestamp", "likewise", "2027-01-15T08:00:02.150Z"),
  both("connection.mtls", "whether the caller has shown a certificate", "true"),
  both(
    "connection.requested_server_name",
    "`tls_sni_hostname`",
    "outbound_.9080_._.reviews.bookinfo.svc.cluster.local",
  ),
  both("connection.tls_version", "`tls_version`", "TLSv1.3"),
  both("connection.termination_details", "`connection_termination_details`", "idle_timeout"),

  both("upstream.cluster", "`upstream_cluster`", "inbound|9080|http|reviews.bookinfo.svc.cluster.local"),
  both("upstream.ip", "`upstream_remote_address`", "2001:db8::7"),
  both("upstream.port", "likewise", "9081"),
  both("upstream.attempts", "`upstream_request_attempt_count`", "2"),
  both("upstream.duration", "`time_to_first_upstream_tx_byte` to `time_to_last_upstream_rx_byte`", "1.200s"),
  both("upstream.failure_reason", "`upstream_transport_failure_reason`", "TLS_error:|268435581:SSL routines"),
  both("route.name", "`route_name`", "default"),

  {
    attribute: "context.protocol",
    from: "`tcp` for a TCP entry; `grpc` where a `content-type` or a `grpc-status` says so, else `http`",
    http: "grpc",
    tcp: "tcp",
  },
  both("context.proxy_error_code", "`response_flags`, as Envoy writes them: `UF,URX`; `-` for none", "UF,URX"),
  both("context.reporter.kind", "see below", "inbound"),
  both("context.reporter.local", "whether `context.reporter.kind` is `inbound`", "true"),
  both(
    "context.reporter.uid",
    "`node.id`; of an Istio proxy `kubernetes://POD.NAMESPACE`",
    "kubernetes://reviews-v3-54c6.bookinfo",
  ),
  both("context.proxy_version", "`ISTIO_VERSION` of the node's metadata, else the version of Envoy", "1.24.1"),
  both("context.log_name", "`log_name`", "mesh"),
  both("context.tags", "`custom_tags`", "zone=b origin.user=ann"),
  both(
    "context.metadata",
    "`metadata`: `FILTER/KEY`, deeper values by a JSON pointer",
    [
      "envoy.filters.http.ext_authz/decision_id=0123456789abcdef0123456789abcdef",
      "envoy.filters.http.ext_authz/policy_version=7fec6fca2b31",
      "envoy.filters.http.ext_authz/code=permission_denied",
      "envoy.filters.http.ext_authz/rule=acl/key",
      'envoy.filters.http.ext_authz/rules=["acl/key","acl/only-web"]',
      "envoy.filters.http.ratelimit/decision_id=fedcba9876543210fedcba9876543210",
      "envoy.filters.http.jwt_authn/payload/iss=https://login.example",
      "envoy.filters.http.jwt_authn/payload/sub=ann",
      'envoy.filters.http.jwt_authn/payload/aud=["shop","api"]',
      "envoy.filters.http.jwt_authn/payload/azp=web",
      "envoy.filters.http.jwt_authn/payload/level=3",
    ].join(" "),
  ),
  both(
    "request.auth.principal",
    "the verified token, in the metadata of `envoy.filters.http.jwt_authn`",
    "https://login.example/ann",
  ),
  both("request.auth.audiences", "likewise", "shop,api"),
  both("request.auth.presenter", "likewise", "web"),
  both("request.auth.claims", "likewise", 'iss=https://login.example sub=ann aud=["shop","api"] azp=web level=3'),
  both(
    "request.auth.raw_claims",
    "likewise",
    '{"iss":"https://login.example","sub":"ann","aud":["shop","api"],"azp":"web","level":3}',
  ),
  both(
    "check.decision_id",
    "what a check of this hub decided, in the metadata of `envoy.filters.http.ext_authz`",
    "0123456789abcdef0123456789abcdef",
  ),
  both("check.policy_version", "likewise", "7fec6fca2b31"),
  both("check.rules", "likewise", "acl/key,acl/only-web"),
  both(
    "ratelimit.decision_id",
    "likewise, of the metadata of `envoy.filters.http.ratelimit`",
    "fedcba9876543210fedcba9876543210",
  ),
  both("check.error_code", "likewise, of a check that refused", "7"),
];
