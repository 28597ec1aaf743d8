import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import test, { type ExecutionContext } from "ava";
import { boundPipelines } from "../../src/listen/http-server.ts";

/** A server that answers only when told; which requests it took, and how often a connection was ended. */
async function serve(t: ExecutionContext) {
  const taken: ServerResponse[] = [];
  const refused: true[] = [];
  const mayServe = boundPipelines(() => refused.push(true));
  let told = 0;
  const server = createServer((request, response) => {
    told++;
    if (mayServe(request, response)) taken.push(response);
    server.emit("told");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  /** Sends so many requests at once, and waits until the server was told of all of them. */
  async function ask(socket: Socket, requests: number): Promise<void> {
    const all = told + requests;
    socket.write("GET / HTTP/1.1\r\nhost: h\r\n\r\n".repeat(requests));
    while (told < all && !socket.closed) await Promise.race([once(server, "told"), once(socket, "close")]);
  }
  const open = (): Socket => {
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    return socket.on("error", () => undefined).resume();
  };
  return { taken, refused, ask, open };
}

test("behind the request that is being answered 64 may wait, and one more ends the connection, once", async (t) => {
  const { taken, refused, ask, open } = await serve(t);
  const socket = open();
  await ask(socket, 65);
  t.is(taken.length, 65);
  t.deepEqual(refused, []);
  const closed = once(socket, "close");
  socket.write("GET / HTTP/1.1\r\nhost: h\r\n\r\n".repeat(10));
  await closed;
  t.is(taken.length, 65);
  t.deepEqual(refused, [true]);
});

test("what was answered waits no longer, and each connection counts for itself", async (t) => {
  const { taken, refused, ask, open } = await serve(t);
  const [one, other] = [open(), open()];
  for (let round = 0; round < 3; round++) {
    await ask(one, 60);
    const sent = taken.splice(0).map((response) => {
      const closed = once(response, "close");
      response.end();
      return closed;
    });
    await Promise.all(sent);
  }
  await ask(one, 60);
  await ask(other, 60);
  t.is(taken.length, 120);
  t.deepEqual(refused, []);
});
