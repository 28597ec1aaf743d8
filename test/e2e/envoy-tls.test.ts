import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { createAuthority, hourAgo, type KeyedCertificate } from "./certificates.ts";
import { metric, until } from "./clients.ts";
import { envoyProgram, startEnvoy } from "./envoy-process.ts";
import { envoyVersions } from "./peers.ts";
import { startHub, writeFolder, type Hub } from "./hub.ts";
import { notRun } from "./programs.ts";
import { ask, startService, type Service } from "./proxied-service.ts";

const weirYaml = `
policies: ./policies
listen:
  grpc:
    address: 127.0.0.1:0
    tls: { cert: hub.pem, key: hub.key, ca: ca.pem, clientAuth: required }
    clients:
      - name: spiffe://mesh.example/ns/edge/sa/envoy
        doors: [ext_authz, ratelimit, accesslog, health]
        domains: [weir]
        attributes: ["*"]
`;
const policies = `
policy: ledger
match: destination.service.name == "ledger"
check:
  - name: only-web
    deny: permission_denied
    unless: source.namespace == "shop" && source.serviceAccount == "web"
  - name: per-caller
    limit: 2/h
    at: ratelimit
    by: source.principal
    when: request.method == "PUT" && source.principal == "mesh.example/ns/shop/sa/web"
  - name: per-key
    limit: 10/h
    at: ratelimit
    by: request.headers["x-key"]
report:
  - metric: ledger_requests_total
    type: counter
    labels: { caller: source.principal, mtls: connection.mtls, code: response.code }
  - metric: ledger_connections_total
    type: counter
    when: connection.event == "close"
    labels: { service: destination.service.name, protocol: context.protocol }
  - metric: ledger_received_bytes_total
    type: counter
    value: connection.received.bytes
    labels: { service: destination.service.name }
`;

const pem = (name: string, { cert, key }: KeyedCertificate) => ({ [`${name}.pem`]: cert, [`${name}.key`]: key });

const authority = createAuthority();
const stranger = createAuthority();
const envoyName = { uris: ["spiffe://mesh.example/ns/edge/sa/envoy"] };

interface Given {
  readonly hub: Hub;
  readonly service: Service;
  file(name: string): string;
  /** What every Envoy of these tests is told. */
  readonly args: readonly string[];
}

/** A hub that takes the calls of one Envoy, and the certificate that Envoy shows it, as `envoy.pem`. */
async function start(t: ExecutionContext, shown: KeyedCertificate): Promise<Given> {
  const folder = await writeFolder({
    "weir.yaml": weirYaml,
    "policies/ledger.yaml": policies,
    "ca.pem": authority.cert,
    ...pem("hub", authority.issue()),
    ...pem("envoy", shown),
    ...pem("listener", authority.issue({ dns: ["shop.example"] })),
  });
  const file = (name: string) => join(folder, name);
  const hub = await startHub({ "weir.yaml": weirYaml }, { folder });
  t.teardown(() => hub.dispose());
  const service = await startService();
  t.teardown(service.close);
  const args = [
    ...["--config", file("weir.yaml"), "--hub", hub.grpc, "--upstream", `127.0.0.1:${service.port}`],
    ...["--timeout", "10s", "--tls-ca", file("ca.pem")],
  ];
  return { hub, service, file, args };
}

test.serial("callers are told apart by certificates, and Envoy and the hub by theirs", async (t) => {
  const found = await envoyProgram(envoyVersions[0]);
  if ("gap" in found) return notRun(t, found);
  const callers = {
    web: authority.issue({ uris: ["spiffe://mesh.example/ns/shop/sa/web"] }),
    batch: authority.issue({ uris: ["spiffe://mesh.example/ns/shop/sa/batch"] }),
    stranger: stranger.issue({ uris: ["spiffe://mesh.example/ns/shop/sa/web"] }),
  };
  const { hub, args, file } = await start(t, authority.issue(envoyName));
  const shown = ["--tls-cert", file("envoy.pem"), "--tls-key", file("envoy.key")];
  const served = [
    "--listen-cert",
    file("listener.pem"),
    "--listen-key",
    file("listener.key"),
    "--listen-ca",
    file("ca.pem"),
  ];
  const envoy = await startEnvoy(found, [...args, ...shown, ...served]);
  t.teardown(envoy.dispose);
  const by = (caller: KeyedCertificate, method = "GET") =>
    ask(envoy.port, "/", { method, tls: { ca: authority.cert, ...caller } });

  t.is((await by(callers.web)).status, 200);
  t.is((await by(callers.batch)).status, 403);
  await t.throwsAsync(by(callers.stranger));
  t.deepEqual(
    [
      (await by(callers.web, "PUT")).status,
      (await by(callers.web, "PUT")).status,
      (await by(callers.web, "PUT")).status,
    ],
    [200, 200, 429],
  );

  const labels = { caller: "mesh.example/ns/shop/sa/batch", mtls: "true", code: "403" };
  await until(async () => (await metric(hub, "ledger_requests_total", labels)) === 1);

  const tcp = await startEnvoy(found, [...args, ...shown, "--fragment", "tcp-bootstrap"]);
  t.teardown(tcp.dispose);
  const request = "GET /tcp HTTP/1.1\r\nhost: ledger\r\nconnection: close\r\n\r\n";
  const socket = connectTcp(tcp.port, "127.0.0.1");
  let answer = "";
  socket.setEncoding("latin1").on("data", (text: string) => (answer += text));
  socket.end(request);
  await once(socket, "close");
  t.true(answer.startsWith("HTTP/1.1 200"));
  const connection = { service: "ledger", protocol: "tcp" };
  await until(async () => (await metric(hub, "ledger_connections_total", connection)) === 1);
  t.is(await metric(hub, "ledger_received_bytes_total", { service: "ledger" }), request.length);
});

test.serial("hits that routes of a named Envoy say: many at once, none to look, and some given back", async (t) => {
  const found = await envoyProgram(envoyVersions[0]);
  if ("gap" in found) return notRun(t, found);
  const { args, file } = await start(t, authority.issue(envoyName));
  const hits: Record<string, object> = {
    five: { number: 5 },
    none: { number: 0 },
    back: { number: 3, is_negative_hits: true },
  };
  const edit = (config: any): void => {
    const [{ filters }] = config.static_resources.listeners[0].filter_chains;
    const { rate_limits: limits, routes, ...host } = filters[0].typed_config.route_config.virtual_hosts[0];
    const [{ route }] = routes;
    const type = "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute";
    filters[0].typed_config.route_config.virtual_hosts[0] = {
      ...host,
      routes: Object.entries(hits).map(([name, addend]) => ({
        match: { path: `/${name}` },
        route,
        typed_per_filter_config: {
          "envoy.filters.http.ratelimit": { "@type": type, rate_limits: [{ ...limits[0], hits_addend: addend }] },
        },
      })),
    };
    // ext_authz, which would ask who calls.
    filters[0].typed_config.http_filters.shift();
  };
  const own = ["--tls-cert", file("envoy.pem"), "--tls-key", file("envoy.key")];
  const envoy = await startEnvoy(found, [...args, ...own], { edit });
  t.teardown(envoy.dispose);
  const statuses: [path: string, status: number][] = [];
  for (const path of ["none", "five", "five", "none", "five", "back", "none", "five", "none"])
    statuses.push([path, (await ask(envoy.port, `/${path}`, { headers: { "x-key": "k" } })).status]);
  t.deepEqual(statuses, [
    ["none", 200],
    ["five", 200],
    ["five", 200],
    ["none", 429],
    ["five", 429],
    ["back", 200],
    ["none", 200],
    ["five", 429],
    ["none", 200],
  ]);
});

/** Envoys that the hub does not serve, or that do not take it for the hub; and what the hub counts. */
const unserved: readonly {
  readonly title: string;
  readonly shown?: KeyedCertificate;
  readonly args?: readonly string[];
  readonly reason: string;
}[] = [
  { title: "no certificate", reason: "no_certificate" },
  { title: "a certificate of another authority", shown: stranger.issue(envoyName), reason: "untrusted" },
  {
    title: "a certificate that has expired",
    shown: authority.issue({ ...envoyName, notBefore: new Date(Date.now() - 9e6), notAfter: hourAgo() }),
    reason: "expired",
  },
  {
    title: "a certificate with a name that nobody has written down",
    shown: authority.issue({ uris: ["spiffe://mesh.example/ns/shop/sa/web"] }),
    reason: "client",
  },
  {
    title: "its certificate, asking for a hub of another name",
    shown: authority.issue(envoyName),
    args: ["--tls-name", "other.example"],
    reason: "peer_distrusts",
  },
];

for (const { title, shown, args: more = [], reason } of unserved) {
  test.serial(`an Envoy with ${title} is not answered, and lets nothing pass`, async (t) => {
    const found = await envoyProgram(envoyVersions[0]);
    if ("gap" in found) return notRun(t, found);
    const { hub, service, args, file } = await start(t, shown ?? authority.issue());
    const own = shown === undefined ? [] : ["--tls-cert", file("envoy.pem"), "--tls-key", file("envoy.key")];
    const envoy = await startEnvoy(found, [...args, ...own, ...more]);
    t.teardown(envoy.dispose);
    const before = service.count();
    t.is((await ask(envoy.port, "/")).status, 503);
    t.is(service.count(), before);
    await until(async () => (await metric(hub, "weir_callers_refused_total", { at: "grpc", reason })) > 0);
  });
}
