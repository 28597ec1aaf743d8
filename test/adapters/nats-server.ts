import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { peers } from "../e2e/peers.ts";
import type { Gap } from "../e2e/programs.ts";
import { freePort } from "./redis-server.ts";

/** A nats-server with JetStream that runs as a process of its own, on loopback. */
export interface NatsServer {
  readonly port: number;
  readonly url: string;
  /** Where its streams lie. */
  readonly folder: string;
  readonly process: ChildProcess;
  /** Ends it hard; its streams stay for one that is started with the same folder. */
  kill(): Promise<void>;
  /** Ends it hard and removes its streams. */
  dispose(): Promise<void>;
}

export interface NatsOptions {
  readonly port?: number;
  readonly folder?: string;
  /** Whether it keeps streams. Default true. */
  readonly jetstream?: boolean;
  /** Lines of its configuration. */
  readonly config?: string;
}

/** Starts a server and waits until it takes connections. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer | Gap> {
  const found = await peers.nats();
  if ("gap" in found) return found;
  const port = options.port ?? (await freePort());
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "weir-nats-"));
  const file = join(folder, "nats.conf");
  const jetstream = options.jetstream === false ? "" : `jetstream { store_dir: "${folder}", max_file_store: 1GB }`;
  writeFileSync(file, `host: 127.0.0.1\nport: ${port}\n${jetstream}\n${options.config ?? ""}\n`);
  const child = spawn(found.path, ["-c", file], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...found.env },
  });
  const ended = once(child, "close");
  let said = "";
  for await (const line of createInterface({ input: child.stderr })) {
    said += `${line}\n`;
    if (line.includes("Server is ready")) break;
  }
  child.stderr.resume();
  if (child.exitCode !== null) throw new Error(`nats-server ended:\n${said}`);
  const kill = async (): Promise<void> => {
    // One that was stopped would not end.
    child.kill("SIGCONT");
    child.kill("SIGKILL");
    await ended;
  };
  return {
    port,
    url: `nats://127.0.0.1:${port}`,
    folder,
    process: child,
    kill,
    async dispose() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
