/**
 * A server that decides nothing: every call is answered the bytes of the second argument (hexadecimal). `hub` serves
 * them over the hub's own transport, so that what the hub costs beyond it is the hub's work; `grpc-js` over plain
 * @grpc/grpc-js; `raw` over the cheapest HTTP/2 there can be, which shows what the load generator itself can reach.
 *
 *     node dist/test/bench/echo-server.js hub|grpc-js|raw ANSWER
 */
import { type AddressInfo } from "node:net";
import { performance } from "node:perf_hooks";
import { createGrpcServer } from "../../src/wire/grpc/server.ts";
import { extAuthzPath } from "./ext-authz.ts";
import { type ByteMethod, listenOnGrpcJs } from "./grpc-js-server.ts";
import { createRawEcho } from "./raw-echo.ts";
import { silentLog, silentObserver } from "./silent.ts";

const paths = [
  "/istio.mixer.v1.Mixer/Check",
  "/istio.mixer.v1.Mixer/Report",
  extAuthzPath,
  "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit",
];

/** Each kind of server: listens on a free port of loopback and answers its address. */
const servers: Record<string, (answer: Buffer) => Promise<string>> = {
  hub: (answer) => {
    const unary = new Map(paths.map((path) => [path, () => answer]));
    const door = { name: "echo", unary, duplex: new Map() };
    const limits = { messageBytes: 1 << 20, streamsPerConnection: 1024 };
    const options = {
      doors: [door],
      limits,
      observer: silentObserver,
      log: silentLog,
      now: Date.now,
      monotonic: () => performance.now(),
    };
    return createGrpcServer(options).listen("127.0.0.1:0");
  },
  "grpc-js": (answer) =>
    listenOnGrpcJs(new Map(paths.map((path): [string, ByteMethod] => [path, (_, done) => done(null, answer)]))),
  raw: (answer) => {
    const server = createRawEcho(answer);
    return new Promise((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${(server.address() as AddressInfo).port}`));
    });
  },
};

const [kind = "hub", answer = ""] = process.argv.slice(2);
process.stdout.write(JSON.stringify({ grpc: await servers[kind]!(Buffer.from(answer, "hex")) }) + "\n");
