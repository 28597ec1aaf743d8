import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import test from "ava";
import { createAuthority, type KeyedCertificate } from "./certificates.ts";
import { metric, until } from "./clients.ts";
import { envoyProgram, startEnvoy } from "./envoy-process.ts";
import { envoyVersions } from "./peers.ts";
import { startHub, writeFolder } from "./hub.ts";
import { notRun } from "./programs.ts";
import { ask, startService } from "./proxied-service.ts";

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

test("callers are told apart by certificates, and Envoy and the hub by theirs", async (t) => {
  const found = await envoyProgram(envoyVersions[0]);
  if ("gap" in found) return notRun(t, found);
  const authority = createAuthority();
  const stranger = createAuthority();
  const callers = {
    web: authority.issue({ uris: ["spiffe://mesh.example/ns/shop/sa/web"] }),
    batch: authority.issue({ uris: ["spiffe://mesh.example/ns/shop/sa/batch"] }),
    stranger: stranger.issue({ uris: ["spiffe://mesh.example/ns/shop/sa/web"] }),
  };
  const folder = await writeFolder({
    "weir.yaml": weirYaml,
    "policies/ledger.yaml": policies,
    "ca.pem": authority.cert,
    ...pem("hub", authority.issue()),
    ...pem("envoy", authority.issue({ uris: ["spiffe://mesh.example/ns/edge/sa/envoy"] })),
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

  // A client that shows no certificate is not served: the same Envoy without one.
  const plain = await startEnvoy(found, [...args, ...served]);
  t.teardown(plain.dispose);
  t.is((await ask(plain.port, "/", { tls: { ca: authority.cert, ...callers.web } })).status, 503);
});
