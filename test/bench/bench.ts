import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client, credentials } from "@grpc/grpc-js";
import { CheckResponse } from "../../src/wire/gen/istio/mixer/v1/mixer.ts";
import type { LoadPlan, LoadResult } from "./load.ts";
import type { Files } from "./policies.ts";
import { type CheckOptions, checkRequests } from "./requests.ts";
import { grpcJsFlags, runOnLoadCore, type ServerProcess, startServer } from "./server-process.ts";

/** How long things are measured. */
export interface Pace {
  readonly warmMs: number;
  readonly sliceMs: number;
  readonly rounds: number;
  readonly aloneMs: number;
}

/** What scenarios are given: servers to start, load to drive at them. */
export interface Bench {
  readonly pace: Pace;
  /** Starts the hub with these policies. */
  hub(files: Files): Promise<ServerProcess>;
  /** Starts the hub's unary doors with these policies on plain @grpc/grpc-js. */
  hubOnGrpcJs(files: Files): Promise<ServerProcess>;
  /** Starts a server that answers each call the same bytes. */
  echo(kind: "hub" | "grpc-js" | "raw", answer: Uint8Array): Promise<ServerProcess>;
  load(plan: LoadPlan): Promise<LoadResult>;
  /** Stops all servers that were started since the last call. */
  stopAll(): Promise<void>;
  close(): Promise<void>;
}

const here = dirname(fileURLToPath(import.meta.url));

export function createBench(pace: Pace): Bench {
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-"));
  let servers: ServerProcess[] = [];
  let count = 0;
  async function start(args: readonly string[], flags?: readonly string[]): Promise<ServerProcess> {
    const server = await startServer(args, undefined, flags);
    servers.push(server);
    return server;
  }
  async function stopAll(): Promise<void> {
    const stopping = servers;
    servers = [];
    await Promise.all(stopping.map((server) => server.stop()));
  }
  /** Writes policies into a new folder of their own. */
  function write(files: Files): { own: string; policies: string } {
    const own = join(folder, String(count++));
    const policies = join(own, "policies");
    mkdirSync(policies, { recursive: true });
    for (const [name, text] of files) writeFileSync(join(policies, name), text);
    return { own, policies };
  }
  return {
    pace,
    hub(files) {
      const { own, policies } = write(files);
      const config = join(own, "weir.yaml");
      writeFileSync(config, "policies: ./policies\n");
      const any = "127.0.0.1:0";
      const listen = ["--grpc", any, "--http", any, "--admin", any, "--json-ready"];
      return start([join(here, "../../src/main.js"), "serve", "--config", config, "--policies", policies, ...listen]);
    },
    hubOnGrpcJs: (files) => start([join(here, "grpc-js-hub.js"), write(files).policies], grpcJsFlags),
    echo: (kind, answer) =>
      start(
        [join(here, "echo-server.js"), kind, Buffer.from(answer).toString("hex")],
        kind === "grpc-js" ? grpcJsFlags : undefined,
      ),
    load: (plan) => runOnLoadCore<LoadResult>([join(here, "load.js"), JSON.stringify(plan)]),
    stopAll,
    async close() {
      await stopAll();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Asks a hub by an ordinary client, decodes the answers whole, and says the last one's bytes. Throws where one is no allow. */
export async function typicalAnswer(server: ServerProcess, options: CheckOptions): Promise<Uint8Array> {
  const client = new Client(server.ready["grpc"]!, credentials.createInsecure());
  const identity = (bytes: Buffer): Buffer => bytes;
  let last: Uint8Array = new Uint8Array();
  try {
    for (const message of checkRequests({ ...options, count: 20 })) {
      last = await new Promise<Uint8Array>((resolve, reject) => {
        client.makeUnaryRequest(
          "/istio.mixer.v1.Mixer/Check",
          identity,
          identity,
          Buffer.from(message),
          (error, bytes) => (error === null ? resolve(bytes!) : reject(error)),
        );
      });
      const { precondition } = CheckResponse.decode(last);
      if (precondition === undefined || (precondition.status?.code ?? 0) !== 0)
        throw new Error(`the hub does not allow the load: ${precondition?.status?.message}`);
    }
  } finally {
    client.close();
  }
  return last;
}
