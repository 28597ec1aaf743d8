import { readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { FluentServer, type EventTime, type FluentServerOptions } from "@fluent-org/logger";
import { encode } from "@msgpack/msgpack";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Instance, JsonValue, LogEntry } from "weir/sdk";
import { fakeCall, fakeHost, makeInstance, testAdapter } from "weir/sdk/testing";
import { readHelo, textOf } from "../../adapters/fluentd/handshake.ts";
import fluentd from "../../adapters/fluentd/index.ts";
import { createAuthority } from "../e2e/certificates.ts";
import { startFaultProxy } from "../e2e/fault-proxy.ts";
import { projectRoot, writeFolder } from "../e2e/hub.ts";

interface Event {
  readonly tag: string;
  readonly time: EventTime;
  readonly record: Readonly<Record<string, JsonValue>>;
}

interface Server {
  readonly port: number;
  readonly events: Event[];
  close(): Promise<void>;
}

async function startServer(options: FluentServerOptions = {}): Promise<Server> {
  const server = new FluentServer({ listenOptions: { port: 0, host: "127.0.0.1" }, ...options });
  const events: Event[] = [];
  server.on("entry", (tag: string, time: EventTime, record: Event["record"]) => events.push({ tag, time, record }));
  await server.listen();
  return { port: server.port!, events, close: () => server.close() };
}

const shared = await startServer();
test.after.always(() => shared.close());
let seen = 0;
const to = "tcp://127.0.0.1";
testAdapter(test.serial, fluentd, {
  config: { endpoint: `${to}:${shared.port}` },
  refusedConfigs: [
    {},
    { endpoint: "127.0.0.1:24224" },
    { endpoint: "http://127.0.0.1:24224" },
    { endpoint: "tcp://user:secret@127.0.0.1" },
    { endpoint: "tcp://127.0.0.1/path" },
    { endpoint: to, tag: "a b" },
    { endpoint: to, tag: "{field}" },
    { endpoint: to, tag: "" },
    { endpoint: to, sharedKey: { file: "" } },
    { endpoint: to, user: "ann", password: "secret" },
    { endpoint: to, sharedKey: "a", user: "ann" },
    { endpoint: to, tls: {} },
    { endpoint: "tls://127.0.0.1", tls: { cert: "cert.pem" } },
    { endpoint: to, compression: "zstd" },
    { endpoint: to, timeout: "2m" },
  ],
  logs: {
    delivered() {
      const events = shared.events.slice(seen);
      seen = shared.events.length;
      return events.map(({ tag, record }) => {
        const { severity: _severity, ...fields } = record;
        return { name: tag.replace(/^weir\./, ""), fields };
      });
    },
  },
});

const entry = (n: number, more: Partial<LogEntry> = {}): LogEntry => ({
  name: "access",
  timeMs: 1_700_000_000_123.5,
  severity: "info",
  fields: { n },
  ...more,
});
const numbers = ({ events }: Server): JsonValue[] => events.map(({ record }) => record["n"]!);
const numbered = (from: number, count: number): LogEntry[] => Array.from({ length: count }, (_, i) => entry(from + i));

async function connectTo(
  t: ExecutionContext,
  port: number,
  config: object = {},
  folder = ".",
): Promise<Instance<"logs">> {
  const instance = await makeInstance(fluentd, { endpoint: `${to}:${port}`, ...config }, fakeHost({ folder }));
  t.teardown(() => instance.close!());
  return instance;
}

for (const compression of ["gzip", "none"]) {
  test(`an event has its tag, its time to the nanosecond and its fields (compression ${compression})`, async (t) => {
    const server = await startServer();
    t.teardown(() => server.close());
    const instance = await connectTo(t, server.port, { compression, tag: "hub.{log}.v1" });
    const text = "ü".repeat(3000);
    t.is(
      await instance.logs(
        [
          entry(1, { fields: { text, nested: { list: [1, -2.5, null, true] }, big: 2 ** 40 }, id: "a1" }),
          entry(2, { name: "audit", severity: "warning" }),
          entry(3, { fields: { severity: "mine" } }),
        ],
        fakeCall(),
      ),
      undefined,
    );
    t.deepEqual(
      server.events.map(({ tag, record }) => [tag, record]),
      [
        ["hub.access.v1", { severity: "info", id: "a1", text, nested: { list: [1, -2.5, null, true] }, big: 2 ** 40 }],
        ["hub.audit.v1", { severity: "warning", n: 2 }],
        ["hub.access.v1", { severity: "mine" }],
      ],
    );
    t.like(server.events[0]!.time, { epoch: 1_700_000_000, nano: 123_500_000 });
  });
}

test("a batch of many megabytes and of many logs arrives whole and in order", async (t) => {
  const server = await startServer();
  t.teardown(() => server.close());
  const instance = await connectTo(t, server.port);
  const pad = "x".repeat(20_000);
  const entries = Array.from({ length: 300 }, (_, n) => entry(n, { name: `log${n % 3}`, fields: { n, pad } }));
  t.is(await instance.logs(entries, fakeCall()), undefined);
  t.deepEqual(
    numbers(server),
    entries.map((_, n) => n),
  );
});

const security = { serverHostname: "server", sharedKey: "s3cret", authorize: false, userDict: {} };
const withUsers = { ...security, authorize: true, userDict: { ann: "her password" } };

const handshakes: readonly {
  readonly title: string;
  readonly security?: typeof security;
  readonly config: object;
  readonly reason?: RegExp;
}[] = [
  { title: "the shared key", security, config: { sharedKey: "s3cret" } },
  {
    title: "another shared key",
    security,
    config: { sharedKey: "other" },
    reason: /refuses the hub: shared key mismatch/,
  },
  { title: "no shared key", security, config: {}, reason: /the server asks for a shared key/ },
  {
    title: "the name of the server",
    security,
    config: { sharedKey: "s3cret", hostname: "server" },
    reason: /refuses the hub: Same hostname/,
  },
  {
    title: "a shared key that nobody asks for",
    config: { sharedKey: "s3cret", timeout: "300ms" },
    reason: /no acknowledgement within 300 ms/,
  },
  {
    title: "a user",
    security: withUsers,
    config: { sharedKey: "s3cret", user: "ann", password: "her password" },
  },
  {
    title: "a user with another password",
    security: withUsers,
    config: { sharedKey: "s3cret", user: "ann", password: "guessed" },
    reason: /refuses the hub: username\/password mismatch/,
  },
  {
    title: "no user where one is asked for",
    security: withUsers,
    config: { sharedKey: "s3cret" },
    reason: /asks for a user and a password/,
  },
];

for (const { title, security: asked, config, reason } of handshakes) {
  test(`with ${title} a server is ${reason === undefined ? "served" : "told to have refused"}`, async (t) => {
    const server = await startServer(asked === undefined ? {} : { security: asked });
    t.teardown(() => server.close());
    const instance = await connectTo(t, server.port, config);
    const exported = await instance.logs(numbered(0, 3), fakeCall());
    if (reason === undefined) {
      t.is(exported, undefined);
      t.deepEqual(numbers(server), [0, 1, 2]);
      return;
    }
    t.like(exported, { delivered: 0, retry: true });
    t.regex(exported!.reason, reason);
    t.deepEqual(server.events, []);
  });
}

test("over TLS the server's certificate is checked, the hub shows its own, and secrets may lie in files", async (t) => {
  const authority = createAuthority();
  const served = authority.issue();
  const own = authority.issue({ name: "hub" });
  const server = await startServer({
    tlsOptions: { ...served, ca: authority.cert, requestCert: true, rejectUnauthorized: true },
    security,
  });
  t.teardown(() => server.close());
  const folder = await writeFolder({
    "ca.pem": authority.cert,
    "cert.pem": own.cert,
    "key.pem": own.key,
    "key.txt": "s3cret\n",
  });
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const config = { endpoint: `tls://127.0.0.1:${server.port}`, sharedKey: { file: "key.txt" } };
  const tls = { ca: "ca.pem", cert: "cert.pem", key: "key.pem" };
  const instance = await connectTo(t, server.port, { ...config, tls }, folder);
  t.is(await instance.logs(numbered(0, 2), fakeCall()), undefined);
  t.deepEqual(numbers(server), [0, 1]);

  const stranger = await connectTo(t, server.port, { ...config, tls: { cert: "cert.pem", key: "key.pem" } }, folder);
  const untrusted = await stranger.logs(numbered(2, 1), fakeCall());
  t.regex(untrusted!.reason, /certificate/);
  const elsewhere = await connectTo(t, server.port, { ...config, tls: { ...tls, serverName: "logs.example" } }, folder);
  t.regex((await elsewhere.logs(numbered(2, 1), fakeCall()))!.reason, /does not match certificate/);
  const anonymous = await connectTo(t, server.port, { ...config, tls: { ca: "ca.pem" } }, folder);
  t.like(await anonymous.logs(numbered(2, 1), fakeCall()), { delivered: 0, retry: true });
  t.deepEqual(numbers(server), [0, 1]);
});

test("a server that refuses, resets, is silent or breaks off asks for a retry, and gets the entries when it is back", async (t) => {
  const server = await startServer();
  const proxy = await startFaultProxy(server.port);
  t.teardown(async () => {
    await proxy.close();
    await server.close();
  });
  const instance = await connectTo(t, proxy.port, { timeout: "3s" });
  let n = 0;
  for (const fault of ["refuses", "resets", "is silent", "cuts"] as const) {
    t.is(await instance.logs([entry(n++)], fakeCall()), undefined, `before a server that ${fault}`);
    await proxy.become(fault);
    const exported = await instance.logs([entry(n)], fakeCall());
    t.like(exported, { delivered: 0, retry: true }, fault);
    t.not(exported!.reason, "");
    await proxy.become("none");
    t.is(await instance.logs([entry(n++)], fakeCall()), undefined, `after a server that ${fault}`);
  }
  // What was not acknowledged may have arrived.
  t.deepEqual(
    [...new Set(numbers(server))],
    Array.from({ length: n }, (_, i) => i),
  );
});

test("a call that is given up ends at once, and leaves nothing open", async (t) => {
  const server = await startServer();
  const proxy = await startFaultProxy(server.port);
  t.teardown(async () => {
    await proxy.close();
    await server.close();
  });
  const instance = await connectTo(t, proxy.port, { timeout: "1m" });
  await proxy.become("is silent");
  const controller = new AbortController();
  const sent = instance.logs([entry(0)], fakeCall(controller));
  controller.abort();
  t.like(await sent, { delivered: 0, retry: true, reason: "the call was given up" });
  t.like(await instance.logs([entry(0)], fakeCall(controller)), { delivered: 0, retry: true });
});

/** A server of bytes: what it says to whom connects, and to each piece that it reads. */
async function rawServer(
  t: ExecutionContext,
  behave: (socket: Socket, connection: number) => void,
): Promise<{ readonly port: number; connections(): number }> {
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    behave(socket, ++connections);
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

/** The id of a chunk, as it stands in the message after the name of its option. */
const chunkIds = (bytes: Buffer): string[] =>
  [...bytes.toString("latin1").matchAll(/\xa5chunk\xb8(.{24})/gs)].map(([, id]) => id!);

test("a server that takes one chunk a connection gets them all, and none is told to have failed", async (t) => {
  const { port, connections } = await rawServer(t, (socket) => {
    socket.once("data", (bytes: Buffer) => socket.end(encode({ ack: chunkIds(bytes)[0] })));
  });
  const instance = await connectTo(t, port);
  t.is(await instance.logs([entry(0), entry(1, { name: "audit" }), entry(2)], fakeCall()), undefined);
  t.is(connections(), 3);
  t.is(await instance.logs([entry(3)], fakeCall()), undefined);
});

test("chunks that were acknowledged before a failure are not sent again", async (t) => {
  const { port } = await rawServer(t, (socket, connection) => {
    socket.once("data", (bytes: Buffer) => {
      if (connection === 1) socket.end(encode({ ack: chunkIds(bytes)[0] }));
      else socket.destroy();
    });
  });
  const instance = await connectTo(t, port);
  const exported = await instance.logs([entry(0), entry(1), entry(2, { name: "audit" }), entry(3)], fakeCall());
  t.like(exported, { delivered: 2, retry: true, reason: "the server closed the connection" });
});

const hostile: readonly (readonly [string, Uint8Array])[] = [
  ["no MessagePack", Buffer.from([0xc1])],
  ["HTTP", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ["a text of 4 GB", Buffer.from([0xdb, 0xff, 0xff, 0xff, 0xff, 0x61])],
  ["a list of lists without end", Buffer.alloc(1_000_000, 0x91)],
  ["acknowledgements of what nobody sent", Buffer.concat(Array.from({ length: 50 }, () => encode({ ack: "other" })))],
  ["nil", Buffer.from([0xc0])],
];

for (const [title, bytes] of hostile) {
  test(`a server that says ${title} is a failure in bounded time and memory`, async (t) => {
    const { port } = await rawServer(t, (socket) => void socket.write(bytes));
    for (const config of [{}, { sharedKey: "key" }]) {
      const instance = await connectTo(t, port, { ...config, timeout: "1s" });
      const exported = await instance.logs([entry(0)], fakeCall());
      t.like(exported, { delivered: 0, retry: true });
      t.true(exported!.reason.length > 0 && exported!.reason.length < 500);
    }
  });
}

test("whatever a server says is read without an exception, or is none of its messages", (t) => {
  fc.assert(
    fc.property(fc.anything({ withTypedArray: true }), (value) => {
      readHelo(value);
      readHelo([Buffer.from("HELO"), value]);
      t.true(textOf(value).length <= 300);
    }),
  );
});

test("the README has every key of the configuration", (t) => {
  const readme = readFileSync(join(projectRoot, "adapters/fluentd/README.md"), "utf8");
  const documented = [...readme.matchAll(/^\| `(\w+)` *\|/gm)].map(([, key]) => key);
  t.deepEqual(documented, Object.keys(fluentd.config.shape));
});
