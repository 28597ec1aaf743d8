import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { writeFolder } from "./hub.ts";
import { peers } from "./peers.ts";
import type { Gap, Program } from "./programs.ts";
import { startProxy } from "./proxied-service.ts";

/** Rotel, a collector that speaks OTLP, in Rust, by others; or how to get it. */
export function findCollector(): Promise<Program | Gap> {
  return peers.collector();
}

/** Where a collector listens. */
export interface CollectorPorts {
  readonly http: number;
  readonly grpc: number;
}

/** A collector that runs, and prints whatever it takes. */
export interface Collector {
  /** What it printed: one line a field, `-> name: Type(value)` an attribute. */
  printed(): string;
  dispose(): void;
}

export async function collectorPorts(): Promise<CollectorPorts> {
  return { http: await freePort(), grpc: await freePort() };
}

export async function startCollector(found: Program, { http, grpc }: CollectorPorts): Promise<Collector> {
  const folder = await writeFolder({});
  const args = [
    ...["start", "--exporter", "blackhole"],
    ...["--otlp-http-endpoint", `127.0.0.1:${http}`, "--otlp-grpc-endpoint", `127.0.0.1:${grpc}`],
    ...["--debug-log", "metrics", "--debug-log", "logs", "--debug-log", "traces", "--debug-log-verbosity", "detailed"],
    ...["--pid-file", join(folder, "pid"), "--log-file", join(folder, "log")],
  ];
  const running = await startProxy(found, args, { port: http, folder });
  return { printed: running.stderr, dispose: running.dispose };
}
