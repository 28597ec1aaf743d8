import { readFileSync } from "node:fs";
import test from "ava";
import { Fault } from "../../../src/attributes/fault.ts";
import { Ip } from "../../../src/attributes/ip.ts";
import { Timestamp } from "../../../src/attributes/timestamp.ts";
import { dialects } from "../../../src/wire/authz/dialect.ts";
import { allowed, contents } from "../grpc/fake-session.ts";
import { serveAuthz, type Asked } from "./ask.ts";

const reads = [
  "source.ip",
  "source.principal",
  "source.namespace",
  "source.serviceAccount",
  "connection.mtls",
  "destination.service.name",
  "destination.port",
  "destination.labels[app]",
  "request.method",
  "request.path",
  "request.host",
  "request.scheme",
  "request.id",
  "request.time",
  "request.useragent",
  "request.referer",
  "request.api_key",
  "request.headers[*]",
  "context.protocol",
  "context.time",
  "context.timestamp",
];

/** What each proxy sends of one request, by the name of its dialect. */
const requests: Readonly<Record<string, Asked>> = {
  nginx: {
    path: "/v1/authz/nginx?destination.service.name=shop",
    headers: [
      ["Host", "weir"],
      ["X-Original-Method", "POST"],
      ["X-Original-URI", "/cart//a%2fb?q=1&q=2"],
      ["X-Original-Host", "shop.example:8443"],
      ["X-Original-Scheme", "https"],
      ["X-Original-Id", "r1"],
      ["X-Forwarded-For", "6.6.6.6, 203.0.113.7"],
    ],
  },
  forward: {
    path: "/v1/authz?destination.service.name=shop",
    headers: [
      ["Host", "weir:9092"],
      ["X-Forwarded-Method", "POST"],
      ["X-Forwarded-Uri", "/cart//a%2fb?q=1&q=2"],
      ["X-Forwarded-Host", "shop.example:8443"],
      ["X-Forwarded-Proto", "https"],
      ["X-Forwarded-Port", "8443"],
      ["X-Forwarded-Server", "traefik"],
      ["X-Real-Ip", "203.0.113.7"],
      ["X-Forwarded-For", "6.6.6.6, 203.0.113.7"],
    ],
  },
  envoy: {
    method: "POST",
    path: "/v1/authz/envoy;destination.service.name=shop/cart//a%2fb?q=1&q=2",
    headers: [
      ["Host", "shop.example:8443"],
      ["Content-Length", "0"],
      ["X-Forwarded-Proto", "https"],
      ["X-Request-Id", "r1"],
      ["X-Envoy-Internal", "true"],
      ["X-Envoy-Expected-Rq-Timeout-Ms", "200"],
      ["X-Forwarded-For", "6.6.6.6, 203.0.113.7, 10.0.0.5"],
      ["X-Weir-Client-Address", "203.0.113.7"],
    ],
  },
};

const callers: readonly (readonly [string, string])[] = [
  ["User-Agent", "curl/8"],
  ["Referer", "https://shop.example/"],
  ["X-Api-Key", "k1"],
  ["X-User", "ann"],
  ["x-user", "eve"],
  ["Cookie", "a=1"],
  ["cookie", "b=2"],
  ["X-Name", Buffer.from("Zoë").toString("latin1")],
];

for (const { name } of dialects) {
  test(`${name}: what the proxy says of a request becomes its attributes`, async (t) => {
    let bag: Record<string, unknown> = {};
    const served = await serveAuthz(t, {
      reads,
      check(given) {
        bag = contents(given);
        return allowed();
      },
    });
    served.at(1_700_000_000_000);
    const asked = requests[name]!;
    const { status } = await served.ask({ ...asked, headers: [...asked.headers!, ...callers] });
    t.is(status, 200);
    const { "request.headers": headers, ...rest } = bag;
    t.deepEqual(rest, {
      "source.ip": Ip.parse("203.0.113.7"),
      "destination.service.name": "shop",
      "request.method": "POST",
      "request.path": "/cart//a%2fb?q=1&q=2",
      "request.host": "shop.example:8443",
      "request.scheme": "https",
      ...(name !== "forward" && { "request.id": "r1" }),
      "request.time": Timestamp.fromMs(1_700_000_000_000),
      "request.useragent": "curl/8",
      "request.referer": "https://shop.example/",
      "request.api_key": "k1",
      "context.protocol": "http",
      "context.time": Timestamp.fromMs(1_700_000_000_000),
      "context.timestamp": Timestamp.fromMs(1_700_000_000_000),
    });
    t.deepEqual(
      headers,
      new Map([
        ["user-agent", "curl/8"],
        ["referer", "https://shop.example/"],
        ["x-api-key", "k1"],
        ["x-user", "ann,eve"],
        ["cookie", "a=1; b=2"],
        ["x-name", "Zoë"],
        ["host", "shop.example:8443"],
      ]),
    );
  });
}

test("docs/doors/authz.md names the headers of each proxy", (t) => {
  const page = readFileSync(new URL("../../../../docs/doors/authz.md", import.meta.url), "utf8");
  const rows = page
    .split("\n")
    .filter((line) => /^\| (method|path and query|host|scheme|client's address|identifier) /.test(line))
    .map((line) =>
      line
        .split("|")
        .slice(2, -1)
        .map((cell) => (/`([A-Za-z-]+)`/.exec(cell)?.[1] ?? "").toLowerCase()),
    );
  const parts = ["method", "uri", "host", "scheme", "address", "id"] as const;
  t.deepEqual(
    rows,
    parts.map((part) => dialects.map(({ headers }) => headers[part] ?? "")),
  );
});

const clientPem = readFileSync("test/cases/certificates/client.pem", "utf8");
const pem = `-----BEGIN CERTIFICATE-----
CERT
-----END CERTIFICATE-----
`;

const more: readonly { title: string; asked: Partial<Asked>; of?: string; bag: Record<string, unknown> }[] = [
  {
    title: "a gRPC request",
    asked: { headers: [["content-type", "application/grpc+proto"]] },
    bag: { "context.protocol": "grpc" },
  },
  {
    title: "a content type that only begins like gRPC's",
    asked: { headers: [["content-type", "application/grpcurl"]] },
    bag: { "context.protocol": "http" },
  },
  {
    title: "attributes with types, percent-encoded",
    asked: { path: "/v1/authz/nginx?destination.port=8080&destination.labels=%7B%22app%22%3A%22a%26b%22%7D" },
    bag: { "destination.port": 8080, "destination.labels[app]": "a&b" },
  },
  {
    title: "a parameter of the proxy's configuration has the last word",
    asked: { path: "/v1/authz/nginx?source.namespace=edge&request.host=shop" },
    bag: { "source.namespace": "edge", "request.host": "shop" },
  },
  {
    title: "the caller's certificate, as Envoy forwards it",
    asked: {
      path: "/v1/authz/nginx?certificate=x-forwarded-client-cert",
      headers: [
        [
          "x-forwarded-client-cert",
          'URI=spiffe://evil,By=spiffe://mesh/a;Hash=ab;Subject="CN=a,b;\\"c";URI=spiffe://mesh/ns/shop/sa/web;DNS=web',
        ],
      ],
    },
    bag: {
      "source.principal": "mesh/ns/shop/sa/web",
      "source.namespace": "shop",
      "source.serviceAccount": "web",
      "connection.mtls": true,
    },
  },
  {
    title: "a certificate that no parameter speaks of proves nothing",
    asked: { headers: [["x-forwarded-client-cert", "URI=spiffe://mesh/ns/shop/sa/web"]] },
    bag: { "source.principal": undefined, "connection.mtls": undefined },
  },
  {
    title: "a caller without a certificate, where the proxy would pass one on",
    asked: { path: "/v1/authz/nginx?certificate=x-cert" },
    bag: { "source.principal": undefined, "connection.mtls": false },
  },
  {
    title: "a certificate without a URI or a DNS name is its subject",
    asked: {
      path: "/v1/authz/nginx?certificate=x-forwarded-client-cert",
      headers: [["x-forwarded-client-cert", 'Hash=ab;Subject="CN=web;\\"x\\",O=acme"']],
    },
    bag: { "source.principal": 'CN=web;"x",O=acme', "source.namespace": undefined },
  },
  ...[
    ["Cert", encodeURIComponent(clientPem)],
    ["Chain", encodeURIComponent(`${clientPem}${pem}`)],
  ].map(([key, value]) => ({
    title: `a certificate that Envoy forwards as ${key} says itself whose it is`,
    asked: {
      path: "/v1/authz/nginx?certificate=x-forwarded-client-cert",
      headers: [["x-forwarded-client-cert", `By=spiffe://mesh/a;Hash=ab;${key}="${value}"`] as const],
    },
    bag: {
      "source.principal": "cluster.local/ns/shop/sa/web",
      "source.namespace": "shop",
      "source.certificate.subject": "CN=ann,O=Acme\\, Inc.",
      "connection.mtls": true,
    },
  })),
  {
    title: "the certificate of a chain is read also where Envoy says beside it whose it is",
    asked: {
      path: "/v1/authz/nginx?certificate=x-forwarded-client-cert",
      headers: [
        ["x-forwarded-client-cert", `Chain="${encodeURIComponent(`${clientPem}${pem}`)}";URI=spiffe://mesh/ns/a/sa/b`],
      ],
    },
    bag: { "source.principal": "mesh/ns/a/sa/b", "source.certificate.subject": "CN=ann,O=Acme\\, Inc." },
  },
  ...[encodeURIComponent(`${clientPem}${pem}`), `${clientPem.replace(/-----.*-----|\s/g, "")},AAAA`].map((value) => ({
    title: `of a chain the first certificate is the caller's: ${value.slice(0, 10)}`,
    asked: { path: "/v1/authz/nginx?certificate=x-cert", headers: [["x-cert", value] as const] },
    bag: { "source.principal": "cluster.local/ns/shop/sa/web" },
  })),
  ...[encodeURIComponent(pem), "garbage%", "Hash=ab", 'URI="open', ""].map((value) => ({
    title: `a certificate that cannot be read is a fault: ${JSON.stringify(value.slice(0, 20))}`,
    asked: {
      path: "/v1/authz/nginx?certificate=x-cert",
      headers: [["x-cert", value] as const],
    },
    bag: { "source.principal": Fault, "connection.mtls": Fault },
  })),
  {
    title: "a WebSocket begins as HTTP",
    of: "forward",
    asked: { headers: [["x-forwarded-proto", "wss"]] },
    bag: { "request.scheme": "https" },
  },
  {
    title: "a query of Envoy's caller",
    of: "envoy",
    asked: { path: "/v1/authz/envoy/x?" },
    bag: { "request.path": "/x" },
  },
  ...[
    "/v1/authz/envoy/;destination.service.name=evil/x",
    "/v1/authz/envoy/x?destination.service.name=evil",
    "/v1/authz/envoy/../;destination.service.name=evil",
  ].map((path) => ({
    title: `what Envoy's caller writes is no parameter: ${path}`,
    of: "envoy",
    asked: { path },
    bag: { "destination.service.name": undefined, "request.path": path.slice("/v1/authz/envoy".length) },
  })),
];

for (const { title, asked, of = "nginx", bag: expected } of more) {
  test(`attributes: ${title}`, async (t) => {
    let bag: Record<string, unknown> = {};
    const { ask } = await serveAuthz(t, {
      reads: [...reads, "source.certificate.subject"],
      check(given) {
        bag = contents(given);
        return allowed();
      },
    });
    const base = requests[of]!;
    const given = asked.headers ?? [];
    const names = new Set(given.map(([name]) => name));
    const kept = base.headers!.filter(([name]) => !names.has(name.toLowerCase()));
    const { status } = await ask({ ...base, ...asked, headers: [...kept, ...given] });
    t.is(status, 200);
    for (const [name, value] of Object.entries(expected)) {
      if (value === Fault) t.true(bag[name] instanceof Fault, name);
      else t.deepEqual(bag[name], value, name);
    }
  });
}
