import { readFileSync } from "node:fs";
import type { CheckRequest } from "../../../../src/wire/gen/envoy/service/auth/v3/external_auth.ts";

type DeepPartial<T> = T extends Uint8Array | bigint | string | number | boolean
  ? T
  : T extends Map<infer K, infer V>
    ? Map<K, V>
    : T extends readonly (infer E)[]
      ? DeepPartial<E>[]
      : { [K in keyof T]?: DeepPartial<T[K]> };

/** What a test says of an AttributeContext. */
export type Context = DeepPartial<NonNullable<CheckRequest["attributes"]>>;

/** A row of the table in docs/doors/ext-authz.md, and a request that shows it. */
export interface Mapping {
  readonly attribute: string;
  readonly from: string;
  readonly given: Context;
  /** What the bag holds then, as JSON has it. */
  readonly value: unknown;
}

const address = (ip: string, portValue: number) => ({ socketAddress: { address: ip, portValue } });
const http = (fields: NonNullable<NonNullable<Context["request"]>["http"]>): Context => ({ request: { http: fields } });
const headers = (...pairs: [string, string][]): Context => http({ headers: new Map(pairs) });
const spiffe = "spiffe://cluster.local/ns/shop/sa/web";
const token = {
  iss: "https://login.example",
  sub: "ann",
  aud: ["shop", "admin"],
  azp: "web",
  level: 3,
  groups: ["staff"],
};
const jwt: Context = {
  metadataContext: { filterMetadata: new Map([["envoy.filters.http.jwt_authn", { verified: token }]]) },
};

const certificate: Context = {
  source: { certificate: encodeURIComponent(readFileSync("test/cases/certificates/client.pem", "utf8")) },
};
const certificateRows: readonly Mapping[] = Object.entries({
  subject: "CN=ann,O=Acme\\, Inc.",
  issuer: "CN=ann,O=Acme\\, Inc.",
  serial: "1234abcd",
  fingerprint: "170c17414e459513e11233f05fef7fcb81cfe7f5c38a0601f8b2715912fbb365",
  uris: "spiffe://cluster.local/ns/shop/sa/web",
  dns_names: "web.shop.svc,web",
  not_before: "2026-11-21T12:03:30Z",
  not_after: "2126-10-28T12:03:30Z",
}).map(([name, value]) => ({
  attribute: `source.certificate.${name}`,
  from: "`source.certificate` (`include_peer_certificate: true`)",
  given: certificate,
  value,
}));

export const mappings: readonly Mapping[] = [
  {
    attribute: "source.ip",
    from: "`source.address`: the client as Envoy sees it, behind trusted hops if Envoy is told to (`xff_num_trusted_hops`)",
    given: { source: { address: address("10.1.2.3", 40000) } },
    value: "10.1.2.3",
  },
  {
    attribute: "source.port",
    from: "`source.address`",
    given: { source: { address: address("10.1.2.3", 40000) } },
    value: 40000,
  },
  {
    attribute: "source.principal",
    from: "`source.principal` without `spiffe://`: the URI of the client's certificate, else its DNS name or subject",
    given: { source: { principal: spiffe } },
    value: "cluster.local/ns/shop/sa/web",
  },
  { attribute: "source.user", from: "as `source.principal`", given: { source: { principal: "a.b" } }, value: "a.b" },
  {
    attribute: "source.namespace",
    from: "`source.principal`, of a SPIFFE id that ends in `/ns/NAMESPACE/sa/ACCOUNT`",
    given: { source: { principal: spiffe } },
    value: "shop",
  },
  { attribute: "source.serviceAccount", from: "the same", given: { source: { principal: spiffe } }, value: "web" },
  {
    attribute: "source.labels",
    from: "`source.labels`",
    given: { source: { labels: new Map([["app", "web"]]) } },
    value: { app: "web" },
  },
  ...certificateRows,
  {
    attribute: "connection.mtls",
    from: "true when `source` has a principal or a certificate, else false",
    given: { source: { principal: "a.b" } },
    value: true,
  },
  {
    attribute: "connection.requested_server_name",
    from: "`tls_session.sni` (`include_tls_session: true`)",
    given: { tlsSession: { sni: "shop.example" } },
    value: "shop.example",
  },
  {
    attribute: "destination.ip",
    from: "`destination.address`",
    given: { destination: { address: address("2001:db8::1", 8080) } },
    value: "2001:db8::1",
  },
  {
    attribute: "destination.port",
    from: "`destination.address`",
    given: { destination: { address: address("2001:db8::1", 8080) } },
    value: 8080,
  },
  {
    attribute: "destination.principal",
    from: "`destination.principal` without `spiffe://`",
    given: { destination: { principal: "spiffe://cluster.local/ns/shop/sa/reviews" } },
    value: "cluster.local/ns/shop/sa/reviews",
  },
  {
    attribute: "destination.namespace",
    from: "`destination.principal`, as with the source",
    given: { destination: { principal: "spiffe://cluster.local/ns/shop/sa/reviews" } },
    value: "shop",
  },
  {
    attribute: "destination.serviceAccount",
    from: "the same",
    given: { destination: { principal: "spiffe://cluster.local/ns/shop/sa/reviews" } },
    value: "reviews",
  },
  {
    attribute: "destination.labels",
    from: "`destination.labels` (`bootstrap_metadata_labels_key`)",
    given: { destination: { labels: new Map([["version", "v2"]]) } },
    value: { version: "v2" },
  },
  {
    attribute: "request.headers",
    from: "`headers`, or `header_map` (`encode_raw_headers: true`); without pseudo-headers such as `:path`; `host` is `host`",
    given: headers(["x-key", "k"], [":path", "/"]),
    value: { "x-key": "k" },
  },
  {
    attribute: "request.id",
    from: "the header `x-request-id`, as in access logs, else `id`, which is a number that Envoy shows nowhere else",
    given: http({ id: "1803", headers: new Map([["x-request-id", "f9d1c6d0"]]) }),
    value: "f9d1c6d0",
  },
  { attribute: "request.method", from: "`method`", given: http({ method: "GET" }), value: "GET" },
  { attribute: "request.path", from: "`path`, as received", given: http({ path: "/a//b?c=d" }), value: "/a//b?c=d" },
  { attribute: "request.host", from: "`host`", given: http({ host: "shop.example" }), value: "shop.example" },
  { attribute: "request.scheme", from: "`scheme`", given: http({ scheme: "https" }), value: "https" },
  { attribute: "request.protocol", from: "`protocol`", given: http({ protocol: "HTTP/2" }), value: "HTTP/2" },
  { attribute: "request.size", from: "`size`; absent for -1", given: http({ size: 17n }), value: 17 },
  {
    attribute: "request.body",
    from: "`body` or `raw_body` as text (`with_request_body`); a fault beyond `doors.body` of weir.yaml, and of a body of which Envoy sent the beginning alone (`x-envoy-auth-partial-body: true`)",
    given: http({ body: "{}", headers: new Map([["x-envoy-auth-partial-body", "false"]]) }),
    value: "{}",
  },
  {
    attribute: "request.raw_body",
    from: "`body` or `raw_body` as bytes",
    given: http({ rawBody: Buffer.from("{}") }),
    value: "7b7d",
  },
  {
    attribute: "request.time",
    from: "`request.time`",
    given: { request: { time: { seconds: 1_700_000_000n, nanos: 500_000_000 } } },
    value: "2023-11-14T22:13:20.500Z",
  },
  {
    attribute: "request.referer",
    from: "the header `referer`",
    given: headers(["referer", "https://a.example/"]),
    value: "https://a.example/",
  },
  {
    attribute: "request.useragent",
    from: "the header `user-agent`",
    given: headers(["user-agent", "curl/8"]),
    value: "curl/8",
  },
  {
    attribute: "request.api_key",
    from: "the header `x-api-key`",
    given: headers(["x-api-key", "k1"]),
    value: "k1",
  },
  {
    attribute: "request.auth.principal",
    from: "claims `iss` and `sub`, joined by `/`, of the token that `envoy.filters.http.jwt_authn` verified (`metadata_context_namespaces`)",
    given: jwt,
    value: "https://login.example/ann",
  },
  { attribute: "request.auth.audiences", from: "claim `aud`, joined by commas", given: jwt, value: "shop,admin" },
  { attribute: "request.auth.presenter", from: "claim `azp`", given: jwt, value: "web" },
  {
    attribute: "request.auth.claims",
    from: "all claims; what is no text as JSON",
    given: jwt,
    value: { ...token, aud: '["shop","admin"]', level: "3", groups: '["staff"]' },
  },
  { attribute: "request.auth.raw_claims", from: "all claims as JSON", given: jwt, value: JSON.stringify(token) },
  {
    attribute: "context.protocol",
    from: "`grpc` by the content type `application/grpc`, else `http`; `tcp` for a connection",
    given: headers(["content-type", "application/grpc+proto"]),
    value: "grpc",
  },
  {
    attribute: "context.time",
    from: "`request.time`",
    given: { request: { time: { seconds: 1_700_000_000n, nanos: 0 } } },
    value: "2023-11-14T22:13:20Z",
  },
  {
    attribute: "context.timestamp",
    from: "`request.time`",
    given: { request: { time: { seconds: 1_700_000_000n, nanos: 0 } } },
    value: "2023-11-14T22:13:20Z",
  },
  {
    attribute: "context.extensions",
    from: "`context_extensions`",
    given: { contextExtensions: new Map([["tier", "gold"]]) },
    value: { tier: "gold" },
  },
  {
    attribute: "context.metadata",
    from: "`metadata_context.filter_metadata` (`metadata_context_namespaces`), by filter and JSON pointer",
    given: { metadataContext: { filterMetadata: new Map([["com.acme", { tenant: { plan: "gold" }, tries: 2 }]]) } },
    value: { "com.acme/tenant/plan": "gold", "com.acme/tries": "2" },
  },
  {
    attribute: "context.route_metadata",
    from: "`route_metadata_context.filter_metadata` (`route_metadata_context_namespaces`), likewise",
    given: { routeMetadataContext: { filterMetadata: new Map([["com.acme", { owner: "team-a" }]]) } },
    value: { "com.acme/owner": "team-a" },
  },
];
