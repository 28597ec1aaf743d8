/**
 * The hub's unary doors on plain @grpc/grpc-js in place of the hub's own transport, with the policies of a folder: beside
 * the echo of the same kind it shows what share of a call the hub takes where the transport is a slow one.
 *
 *     node dist/test/bench/grpc-js-hub.js FOLDER
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { ServerUnaryCall } from "@grpc/grpc-js";
import type { Call, Unary } from "../../src/wire/call.ts";
import { createExtAuthzDoor } from "../../src/wire/envoy/ext-authz/ext-authz-door.ts";
import { createRateLimitDoor } from "../../src/wire/envoy/ratelimit/rate-limit-door.ts";
import { createMixerDoor } from "../../src/wire/mixer/mixer-door.ts";
import { grpcCodeName, toStatus } from "../../src/wire/status.ts";
import { type ByteMethod, listenOnGrpcJs } from "./grpc-js-server.ts";
import { hubInProcess } from "./hub-in-process.ts";

/** What a door may ask of a call; made when it asks, as the hub's own transport does. */
class GrpcJsCall implements Call {
  readonly #call: ServerUnaryCall<Buffer, Uint8Array>;
  #abort: AbortController | undefined;

  constructor(call: ServerUnaryCall<Buffer, Uint8Array>) {
    this.#call = call;
  }

  get peer(): string {
    const address = this.#call.getPeer();
    return address.slice(0, address.lastIndexOf(":"));
  }

  get deadlineMs(): number | undefined {
    const deadline = Number(this.#call.getDeadline());
    return deadline === Infinity ? undefined : deadline;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      const abort = (this.#abort = new AbortController());
      this.#call.on("cancelled", () => abort.abort());
      if (this.#call.cancelled) abort.abort();
    }
    return this.#abort.signal;
  }

  header(name: string): string | undefined {
    return this.#call.metadata.get(name)[0]?.toString();
  }
}

const folder = process.argv[2]!;
const files = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));
const { door, observer } = await hubInProcess(files);

/** A door's method; the hub's metrics are told of its calls as the hub's own transport does. */
function serve(doorName: string, path: string, unary: Unary): ByteMethod {
  const method = path.slice(path.lastIndexOf("/") + 1);
  return (call, done) => {
    const start = performance.now();
    const over = (code: number): void => observer.call(doorName, method, grpcCodeName(code), performance.now() - start);
    const succeed = (answer: Uint8Array): void => {
      done(null, answer);
      over(0);
    };
    const fail = (error: unknown): void => {
      const { grpc, message } = toStatus(error);
      done({ code: grpc, details: message });
      over(grpc);
    };
    try {
      const answer = unary(call.request, new GrpcJsCall(call));
      if (answer instanceof Uint8Array) succeed(answer);
      else answer.then(succeed, fail);
    } catch (error) {
      fail(error);
    }
  };
}

const methods = new Map<string, ByteMethod>();
for (const { name, unary } of [createMixerDoor(door), createExtAuthzDoor(door), createRateLimitDoor(door)]) {
  for (const [path, method] of unary) methods.set(path, serve(name, path, method));
}

process.stdout.write(JSON.stringify({ grpc: await listenOnGrpcJs(methods) }) + "\n");
