import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import test, { type ExecutionContext } from "ava";
import { ReadMemory } from "../../src/wire/read-memory.ts";
import { createAuthority } from "../e2e/certificates.ts";

/** What a server's sockets bring, by how they are served. */
interface Taken {
  readonly socket: Socket;
  readonly parts: Buffer[];
  readonly memories: Set<ArrayBufferLike>;
}

async function listen(t: ExecutionContext, server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

function serve(memory: ReadMemory, socket: Socket, taken: Taken[]): void {
  const here: Taken = { socket, parts: [], memories: new Set() };
  taken.push(here);
  memory.serve(socket, (bytes) => {
    here.parts.push(Buffer.from(bytes));
    here.memories.add(bytes.buffer);
  });
}

const authority = createAuthority();
const kinds: Record<string, (serve: (socket: Socket) => void) => { server: Server; open: (port: number) => Socket }> = {
  TCP: (serve) => ({ server: createServer(serve), open: (port) => connect(port, "127.0.0.1") }),
  TLS: (serve) => ({
    server: createTlsServer(authority.issue(), serve),
    open: (port) => connectTls({ port, host: "127.0.0.1", ca: authority.cert, checkServerIdentity: () => undefined }),
  }),
};

for (const [kind, make] of Object.entries(kinds)) {
  test(`sockets of ${kind} read into one memory by turns, and each of them brings what its peer sent`, async (t) => {
    const memory = new ReadMemory();
    const taken: Taken[] = [];
    const { server, open } = make((socket) => serve(memory, socket, taken));
    const port = await listen(t, server);
    const sent = [1, 2, 3].map(() => randomBytes(1_000_000));
    await Promise.all(
      sent.map(async (bytes) => {
        const socket = open(port);
        // The first bytes come with the end of a handshake.
        socket.end(bytes);
        socket.resume();
        await once(socket, "close");
      }),
    );
    const came = taken.map(({ parts }) => Buffer.concat(parts).toString("base64"));
    t.deepEqual(came.sort(), sent.map((bytes) => bytes.toString("base64")).sort());
    t.is(new Set(taken.flatMap(({ memories }) => [...memories])).size, 1);
  });

  test(`a socket of ${kind} that is paused brings nothing until it goes on`, async (t) => {
    const memory = new ReadMemory();
    const taken: Taken[] = [];
    const { server, open } = make((socket) => {
      serve(memory, socket, taken);
      socket.pause();
    });
    const port = await listen(t, server);
    const peer = open(port);
    t.teardown(() => peer.destroy());
    // More than what lies between the two holds: it is taken only while the other side reads.
    const bytes = randomBytes(16_000_000);
    const isWritten = new Promise<void>((resolve) => peer.end(bytes, () => resolve()));
    while (taken.length === 0) await once(server, kind === "TLS" ? "secureConnection" : "connection");
    const { socket, parts } = taken[0]!;
    t.is(parts.length, 0);
    socket.resume();
    await Promise.all([isWritten, once(socket, "end")]);
    t.true(Buffer.concat(parts).equals(bytes));
  });
}

test("what is no socket of Node's brings its bytes as it does", async (t) => {
  const stream = new Duplex({ read() {}, write: (_, __, done) => done() });
  const parts: string[] = [];
  new ReadMemory().serve(stream, (bytes) => void parts.push(bytes.toString()));
  stream.push("a");
  stream.push("b");
  await new Promise(setImmediate);
  t.is(parts.join(""), "ab");
});

test("a socket that has read before brings that, too", async (t) => {
  const taken: Taken[] = [];
  const server = createServer((socket) => {
    socket.once("readable", () => serve(new ReadMemory(), socket, taken));
  });
  const port = await listen(t, server);
  const peer = connect(port, "127.0.0.1");
  peer.end("first");
  peer.resume();
  await once(peer, "close");
  t.is(Buffer.concat(taken[0]!.parts).toString(), "first");
});
