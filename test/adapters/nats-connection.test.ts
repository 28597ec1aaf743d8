import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import test from "ava";
import { natsConfig } from "../../adapters/nats/config.ts";
import { openConnection } from "../../adapters/nats/connection.ts";

test("nothing stays open of an attempt at a server that takes connections and says nothing", async (t) => {
  const taken: Promise<unknown>[] = [];
  const server = createServer((socket: Socket) => {
    socket.on("error", () => undefined).resume();
    taken.push(once(socket, "close"));
  }).listen(0, "127.0.0.1");
  t.teardown(() => server.close());
  await once(server, "listening");
  const servers = `nats://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const config = natsConfig.parse({ servers, timeout: "100ms" });
  const connection = await openConnection(config, { name: "nats", folder: ".", log }, () => undefined);
  t.is(connection.current(), undefined);
  t.is(connection.reason(), "timeout");
  t.is(taken.length, 1);
  await taken[0];
  await connection.close();
});
