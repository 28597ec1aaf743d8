import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import test, { type ExecutionContext } from "ava";
import { UnreadAnswers } from "../../../src/wire/http/unread-answers.ts";

/** More than the systems of both sides keep on the way. */
const large = Buffer.alloc(64 * 1024 * 1024);

/** A server with answers that need not fit, and how often a connection was ended. */
async function serve(t: ExecutionContext, maxBytes: number) {
  const ended: true[] = [];
  const unread = new UnreadAnswers(maxBytes, () => ended.push(true));
  const server = createServer((request, response) => {
    const body = request.url === "/large" ? large : Buffer.from("small");
    response.end(body);
    unread.wrote(response, request.socket, body.length);
    server.emit("answered");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  const ask = async (path: string): Promise<Socket> => {
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    socket.on("error", () => undefined).pause();
    socket.write(`GET ${path} HTTP/1.1\r\nhost: h\r\n\r\n`);
    await once(server, "answered");
    return socket;
  };
  return { ask, ended };
}

test("who does not take answers is ended when all hold too much, the oldest first", async (t) => {
  const { ask, ended } = await serve(t, 1.5 * large.length);
  const first = await ask("/large");
  t.deepEqual(ended, []);
  const second = await ask("/large");
  t.deepEqual(ended, [true]);
  first.resume();
  await once(first, "close");
  let taken = 0;
  second.on("data", (bytes: Buffer) => {
    taken += bytes.length;
    if (taken >= large.length) second.end();
  });
  second.resume();
  await once(second, "close");
  t.true(taken >= large.length);
  await ask("/large");
  t.deepEqual(ended, [true]);
});

test("answers that are taken at once hold nothing", async (t) => {
  const { ask, ended } = await serve(t, 1);
  for (let i = 0; i < 3; i++) (await ask("/small")).resume();
  t.deepEqual(ended, []);
});
