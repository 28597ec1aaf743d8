import { once } from "node:events";
import { join } from "node:path";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import test, { type ExecutionContext } from "ava";
import { listenForBoth, type Listening } from "./both-versions.ts";
import { connect, metric, stream, until } from "./clients.ts";
import { envoyProgram, startEnvoy, type Envoy } from "./envoy-process.ts";
import { envoyVersions } from "./peers.ts";
import { startHub, type Hub } from "./hub.ts";
import { notRun, type Gap, type Program } from "./programs.ts";

const policies = `
policy: streams
match: destination.service.name == "streams"
report:
  - { metric: sent_total, type: counter, value: response.size, ongoing: true, labels: &path { path: request.path } }
  - { metric: received_total, type: counter, value: request.size, ongoing: true, labels: *path }
  - { metric: streams_total, type: counter, labels: *path }
  - { metric: stream_bytes, type: histogram, value: response.size, buckets: [10], labels: *path }
`;

/** A service whose answers last as long as the test wants. */
interface Streams extends Listening {
  /** The answer to a path, once it was asked for. */
  answer(path: string): Promise<ServerResponse>;
}

/** Starts it, for HTTP/1.1, WebSockets (whose bytes it sends back) and gRPC (whose messages it sends back) on one port. */
async function startStreams(): Promise<Streams> {
  const answers = new Map<string, ServerResponse>();
  const http = createServer((asked: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { "content-type": "text/plain" });
    response.flushHeaders();
    answers.set(asked.url!, response);
  });
  http.on("upgrade", (_: IncomingMessage, socket: Duplex) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    socket.pipe(socket);
    socket.on("error", () => undefined);
  });
  const http2 = createHttp2Server((asked, response) => {
    response.writeHead(200, { "content-type": "application/grpc" });
    response.addTrailers({ "grpc-status": "0" });
    asked.pipe(response);
  });
  return {
    ...(await listenForBoth(http, http2)),
    async answer(path) {
      await until(() => answers.has(path));
      return answers.get(path)!;
    },
  };
}

let hub: Hub;
let service: Streams;
const gaps = new Map<string, Gap>();
const programs = new Map<string, Program>();
const envoys = new Map<string, Envoy>();

/** Starts Envoy with what `weir envoy --ongoing` prints, and WebSockets let through. */
const startFor = (at: Hub, found: Program): Promise<Envoy> =>
  startEnvoy(
    found,
    [
      ...["--policies", join(at.folder, "policies"), "--hub", at.grpc, "--service", "streams.mall"],
      ...["--upstream", `127.0.0.1:${service.port}`, "--upstream-protocol", "same", "--timeout", "10s"],
      ...["--ongoing", "200ms"],
    ],
    {
      edit(config) {
        const manager = config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
        manager.upgrade_configs = [{ upgrade_type: "websocket" }];
      },
    },
  );

test.before(async () => {
  service = await startStreams();
  hub = await startHub({ "policies/streams.yaml": policies });
  for (const version of envoyVersions) {
    const found = await envoyProgram(version);
    if ("gap" in found) gaps.set(version, found);
    else {
      programs.set(version, found);
      envoys.set(version, await startFor(hub, found));
    }
  }
});

test.after.always(() => {
  for (const envoy of envoys.values()) envoy.dispose();
  hub?.dispose();
  service?.close();
});

/** A test for each Envoy, with a path of its own; one that cannot be had is told of once. */
function withEnvoy(title: string, run: (t: ExecutionContext, envoy: Envoy, path: string) => Promise<void>): void {
  for (const version of envoyVersions) {
    test.serial(`Envoy ${version}: ${title}`, async (t) => {
      const envoy = envoys.get(version);
      if (envoy === undefined) notRun(t, gaps.get(version)!);
      else await run(t, envoy, `/${version}/${title.split(" ")[1]!}`);
    });
  }
}

/** Begins to download a path. */
function download(port: number, path: string): void {
  const asked = request({ host: "127.0.0.1", port, path, agent: false }, (came) => void came.resume());
  asked.on("error", () => undefined);
  asked.end();
}

/** What the hub counted of a path. */
async function counted(at: Hub, path: string): Promise<Record<string, number>> {
  const of = (name: string) => metric(at, name, { path });
  return {
    sent: await of("sent_total"),
    received: await of("received_total"),
    requests: await of("streams_total"),
    observed: await of("stream_bytes_count"),
    sum: await of("stream_bytes_sum"),
  };
}

withEnvoy("a download is counted byte by byte while it lasts, and once when it ends", async (t, envoy, path) => {
  download(envoy.port, path);
  const answer = await service.answer(path);
  let sent = 0;
  for (const bytes of [1000, 1, 70_000]) {
    answer.write("x".repeat(bytes));
    sent += bytes;
    await until(async () => (await metric(hub, "sent_total", { path })) === sent);
    t.deepEqual(await counted(hub, path), { sent, received: 0, requests: 0, observed: 0, sum: 0 });
  }
  answer.end("end");
  await until(async () => (await metric(hub, "streams_total", { path })) > 0);
  sent += 3;
  t.deepEqual(await counted(hub, path), { sent, received: 0, requests: 1, observed: 1, sum: sent });
});

withEnvoy("a WebSocket is counted in both directions while it lasts", async (t, envoy, path) => {
  const headers = { connection: "upgrade", upgrade: "websocket" };
  const asked = request({ host: "127.0.0.1", port: envoy.port, path, headers, agent: false });
  asked.end();
  const [, socket] = (await once(asked, "upgrade")) as [IncomingMessage, Socket];
  let came = 0;
  socket.on("data", (chunk: Buffer) => (came += chunk.length));
  for (const total of [500, 800]) {
    socket.write("x".repeat(total === 500 ? 500 : 300));
    await until(async () => (await metric(hub, "sent_total", { path })) === total);
    t.like(await counted(hub, path), { sent: total, received: total, requests: 0 });
  }
  socket.write("four");
  // An end would overtake what is on its way back.
  await until(() => came === 804);
  socket.end();
  await until(async () => (await metric(hub, "streams_total", { path })) > 0);
  t.deepEqual(await counted(hub, path), { sent: 804, received: 804, requests: 1, observed: 1, sum: 804 });
});

withEnvoy("the messages of a gRPC stream are counted while it lasts", async (t, envoy, path) => {
  const client = connect(`127.0.0.1:${envoy.port}`);
  t.teardown(() => client.close());
  const labels = { destination_service_name: "streams", response_flags: "-" };
  const messages = async (grpc_response_status: string): Promise<[asked: number, answered: number]> => [
    await metric(hub, "istio_request_messages_total", { ...labels, grpc_response_status }),
    await metric(hub, "istio_response_messages_total", { ...labels, grpc_response_status }),
  ];
  const [before, ended] = [await messages(""), await messages("0")];
  const grown = async (status: string, from: readonly number[]) =>
    (await messages(status)).map((count, i) => count - from[i]!);
  const call = stream(client, path, { decode: (bytes: Uint8Array) => bytes.length });
  for (let i = 0; i < 3; i++) {
    call.send(Buffer.from("tea"));
    t.is(await call.next(), 3);
  }
  await until(async () => (await grown("", before))[1] === 3);
  t.deepEqual(await grown("", before), [3, 3]);
  t.is(await metric(hub, "streams_total", { path }), 0);
  call.send(Buffer.from("tea"));
  t.is(await call.next(), 3);
  call.halfClose();
  t.is((await call.status).code, 0);
  await until(async () => (await metric(hub, "streams_total", { path })) > 0);
  const [while_, end] = [await grown("", before), await grown("0", ended)];
  t.deepEqual([while_[0]! + end[0]!, while_[1]! + end[1]!], [4, 4]);
});

test.serial("a log that comes to another hub is not counted twice, and what is not known is told", async (t) => {
  const found = programs.get(envoyVersions[0]);
  if (found === undefined) return notRun(t, gaps.get(envoyVersions[0])!);
  const first = await startHub({ "policies/streams.yaml": policies });
  t.teardown(() => first.dispose());
  const envoy = await startFor(first, found);
  t.teardown(() => envoy.dispose());
  const path = "/moves";
  download(envoy.port, path);
  const answer = await service.answer(path);
  answer.write("x".repeat(1000));
  await until(async () => (await metric(first, "sent_total", { path })) === 1000);
  first.process.kill("SIGKILL");
  await first.exit;
  const second = await startHub({}, { folder: first.folder, args: ["--grpc", first.grpc] });
  t.teardown(() => second.dispose());
  const unknown = { what: "metric_sample", reason: "unknown_start" };
  await until(async () => (await metric(second, "weir_dropped_total", unknown)) > 0);
  t.is(await metric(second, "sent_total", { path }), 0);
  answer.write("x".repeat(20));
  await until(async () => (await metric(second, "sent_total", { path })) === 20);
  answer.end("x");
  await until(async () => (await metric(second, "streams_total", { path })) > 0);
  t.deepEqual(await counted(second, path), { sent: 21, received: 0, requests: 1, observed: 1, sum: 1021 });
});
