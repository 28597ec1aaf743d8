import { once } from "node:events";
import { connect as connectTcp, type AddressInfo, type Socket } from "node:net";
import { connect as connectTls, createServer, type Server, type TLSSocket } from "node:tls";
import { X509Certificate } from "node:crypto";
import test, { type ExecutionContext } from "ava";
import { createGate, type GateOptions, type ManagedGate } from "../../src/listen/gate.ts";
import type { ClientSettings, TlsSettings } from "../../src/listen/settings.ts";
import { WeirError } from "../../src/util/weir-error.ts";
import { createAuthority } from "../e2e/certificates.ts";
import { recordingLog, recordingObserver } from "../wire/grpc/harness.ts";

const authority = createAuthority();
const own = authority.issue();
const web = authority.issue({ uris: ["spiffe://a.example/web"] });
const certificates = { ...own, ca: authority.cert, notAfterMs: 0, leaf: new X509Certificate(own.cert) };

interface Served {
  readonly gate: ManagedGate;
  readonly server: Server;
  readonly port: number;
  readonly observer: ReturnType<typeof recordingObserver>;
  readonly log: ReturnType<typeof recordingLog>;
  /** The next connection that came in, as the server has it. */
  readonly accepted: () => Promise<TLSSocket>;
}

async function serve(
  t: ExecutionContext,
  clientAuth: TlsSettings["clientAuth"],
  more: Partial<GateOptions> = {},
): Promise<Served> {
  const observer = recordingObserver();
  const log = recordingLog();
  const tls: TlsSettings = { cert: "", key: "", ca: "", clientAuth, minVersion: "1.2" };
  const gate = createGate({ listener: "grpc", tls, certificates, observer, log, now: () => 0, ...more });
  const server: Server = createServer(gate.tls!);
  gate.guard(server);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  server.on("secureConnection", (socket) => socket.on("error", () => undefined));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    gate,
    server,
    observer,
    log,
    port: (server.address() as AddressInfo).port,
    accepted: async () => ((await once(server, "secureConnection")) as [TLSSocket])[0],
  };
}

function open(t: ExecutionContext, port: number, options: object = {}): TLSSocket {
  const socket = connectTls({ port, host: "127.0.0.1", ca: authority.cert, ...options });
  socket.on("error", () => undefined);
  t.teardown(() => socket.destroy());
  return socket;
}

/** Waits until a socket is closed, by whatever. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/** Waits until the observer was told so. */
async function told(observer: Served["observer"], what: string): Promise<void> {
  while (!observer.drops.includes(what)) await new Promise((resolve) => setImmediate(resolve));
}

test("no more handshakes are under way at once than the gate bears, and who says nothing keeps nobody out", async (t) => {
  const { port, observer, accepted } = await serve(t, "none", { maxHandshakes: 3 });
  const idle: Socket[] = [];
  for (let i = 0; i < 3; i++) {
    const socket = connectTcp(port, "127.0.0.1").resume();
    socket.on("error", () => {});
    t.teardown(() => socket.destroy());
    await once(socket, "connect");
    idle.push(socket);
  }
  const givenUp = closed(idle[0]!);
  const came = accepted();
  const honest = open(t, port);
  await Promise.all([came, givenUp]);
  await told(observer, "caller grpc handshakes");
  t.deepEqual(
    [...idle.slice(1), honest].map(({ destroyed }) => destroyed),
    [false, false, false],
  );
});

test("a server that stops does not wait for handshakes that are under way", async (t) => {
  const { gate, server, port } = await serve(t, "none");
  const socket = connectTcp(port, "127.0.0.1");
  t.teardown(() => socket.destroy());
  await Promise.all([once(server, "connection"), once(socket, "connect")]);
  const stopped = new Promise((resolve) => server.close(resolve));
  gate.shut();
  await stopped;
  await closed(socket.resume());
  t.pass();
});

test("a handshake that does not come to an end is given up", async (t) => {
  const { port, observer } = await serve(t, "none", { handshakeMs: 30 });
  const socket = connectTcp(port, "127.0.0.1");
  t.teardown(() => socket.destroy());
  await closed(socket);
  await told(observer, "caller grpc timeout");
  t.pass();
});

test("nobody negotiates anew", async (t) => {
  const { port, accepted } = await serve(t, "none");
  const came = accepted();
  const socket = open(t, port, { maxVersion: "TLSv1.2" });
  await Promise.all([came, once(socket, "secureConnect")]);
  const error = await new Promise<Error | null>((resolve) => {
    socket.on("error", resolve);
    socket.renegotiate({ rejectUnauthorized: false }, resolve);
    socket.resume();
  });
  t.regex(String(error), /renegotiation/i);
});

const listed: readonly ClientSettings[] = [{ name: "spiffe://a.example/web", doors: ["mixer"] }];

function enter(gate: ManagedGate, socket: Socket): (door: string | undefined) => string {
  const guest = gate.guest(socket);
  return (door) => {
    try {
      return guest?.enter(door)?.name ?? "anybody";
    } catch (error) {
      return error instanceof WeirError ? `${error.code} ${error.message}` : "fault";
    }
  };
}

const refusal = "WEIR_NOT_PERMITTED not permitted";

test("what a door refuses a client is logged once in a while, and counted by the door alone", async (t) => {
  const { gate, port, observer, log, accepted } = await serve(t, "required", { clients: listed });
  const came = accepted();
  open(t, port, web);
  const client = gate.guest(await came)!.enter("mixer")!;
  client.refused("mixer", "attribute", "source.ip");
  client.refused("mixer", "attribute", "source.user");
  t.is(log.lines.length, 1);
  t.like(log.lines[0], {
    level: "warn",
    fields: { reason: "attribute", client: "spiffe://a.example/web", door: "mixer", attribute: "source.ip" },
  });
  t.deepEqual(observer.drops, []);
});

test("a guest uses the doors of its client; every refusal is in the same words, counted, and logged once in a while", async (t) => {
  let nowMs = 0;
  const { gate, port, observer, log, accepted } = await serve(t, "required", { clients: listed, now: () => nowMs });
  const came = accepted();
  open(t, port, web);
  const use = enter(gate, await came);
  t.is(use("mixer"), "spiffe://a.example/web");
  t.deepEqual([use("stream"), use(undefined)], [refusal, refusal]);
  t.deepEqual(observer.drops, ["caller grpc door", "caller grpc door"]);
  t.is(log.lines.length, 1);
  t.like(log.lines[0], {
    level: "warn",
    fields: { reason: "door", certificate: "spiffe://a.example/web", door: "stream" },
  });
  nowMs = 10_000;
  use("stream");
  t.like(log.lines[1], { fields: { notLogged: 1 } });

  const strange = accepted();
  open(t, port, own);
  const stranger = enter(gate, await strange);
  t.deepEqual([stranger("mixer"), stranger("health"), stranger(undefined)], [refusal, refusal, refusal]);
  t.is(observer.drops.at(-1), "caller grpc client");
});

test("at a listener that names nobody everybody may use every door", async (t) => {
  const { gate, port, accepted } = await serve(t, "required");
  const came = accepted();
  open(t, port, own);
  const use = enter(gate, await came);
  t.deepEqual([use("mixer"), use(undefined)], ["anybody", "anybody"]);
});

test("a connection is closed when the rights of its client change, and no other", async (t) => {
  const { gate, port, accepted } = await serve(t, "required", {
    clients: [...listed, { name: "localhost", doors: ["stream"] }],
  });
  const first = accepted();
  open(t, port, web);
  const webSocket = await first;
  const useWeb = enter(gate, webSocket);
  const second = accepted();
  open(t, port, own);
  const ownSocket = await second;
  const useOwn = enter(gate, ownSocket);

  gate.setClients([{ name: "localhost", doors: ["stream"] }, ...listed]);
  t.deepEqual([webSocket.destroyed, ownSocket.destroyed], [false, false]);
  gate.setClients([{ name: "localhost", doors: ["stream", "mixer"] }, ...listed]);
  t.deepEqual([webSocket.destroyed, ownSocket.destroyed], [false, true]);
  t.is(useOwn("mixer"), "localhost");
  gate.setClients([]);
  t.true(webSocket.destroyed);
  t.is(useWeb("mixer"), refusal);
});

test("a listener that begins to name clients closes the connections that it had let in", async (t) => {
  const { gate, port, accepted } = await serve(t, "required");
  const came = accepted();
  open(t, port, web);
  const socket = await came;
  const use = enter(gate, socket);
  gate.setClients(listed);
  t.true(socket.destroyed);
  t.is(use("mixer"), "spiffe://a.example/web");
});
