import { once } from "node:events";
import { join } from "node:path";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import test, { type ExecutionContext } from "ava";
import { hubFor, metric, until } from "./clients.ts";
import { envoyProgram, startEnvoy } from "./envoy-process.ts";
import { envoyVersions } from "./peers.ts";
import { notRun } from "./programs.ts";

const policies = `
policy: connections
check:
  - { name: at-once, limit: 1, algorithm: concurrency, ttl: 10m }
`;

/** A service that sends back what it gets. */
async function startEcho(t: ExecutionContext): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

for (const version of envoyVersions) {
  test.serial(
    `Envoy ${version}: a connection holds its lease until it closes; entries before that end nothing`,
    async (t) => {
      const found = await envoyProgram(version);
      if ("gap" in found) return notRun(t, found);
      const hub = await hubFor(t, { "policies/connections.yaml": policies });
      const port = await startEcho(t);
      const envoy = await startEnvoy(
        found,
        [
          ...["--policies", join(hub.folder, "policies"), "--hub", hub.grpc, "--fragment", "tcp-bootstrap"],
          ...["--upstream", `127.0.0.1:${port}`, "--service", "echo.mall", "--ongoing", "200ms"],
        ],
        {
          edit(config) {
            config.static_resources.listeners[0].filter_chains[0].filters.unshift({
              name: "envoy.filters.network.ext_authz",
              typed_config: {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.ext_authz.v3.ExtAuthz",
                stat_prefix: "authz",
                transport_api_version: "V3",
                grpc_service: { envoy_grpc: { cluster_name: "weir" }, timeout: "10s" },
              },
            });
          },
        },
      );
      t.teardown(envoy.dispose);
      /** Says something; what came back, or `undefined` where the connection was refused. */
      const say = async (socket: Socket, text: string): Promise<string | undefined> => {
        socket.on("error", () => undefined);
        socket.write(text);
        const came: unknown = await Promise.race([
          once(socket, "data").then(([chunk]) => chunk as Buffer),
          new Promise((resolve) => socket.once("close", resolve)),
        ]);
        return Buffer.isBuffer(came) ? came.toString() : undefined;
      };
      const open = (): Socket => {
        const socket = connect(envoy.port, "127.0.0.1");
        t.teardown(() => socket.destroy());
        return socket;
      };
      const received = () => metric(hub, "istio_tcp_received_bytes_total", { destination_service_name: "echo" });
      const first = open();
      t.is(await say(first, "hello"), "hello");
      await until(async () => (await received()) === 5);
      t.is(await say(open(), "second"), undefined);
      t.is(await say(first, "again"), "again");
      await until(async () => (await received()) === 10);
      t.is(await say(open(), "third"), undefined, "records of a connection that lasts end nothing");
      first.end();
      await until(async () => (await say(open(), "fourth")) === "fourth");
    },
  );
}
