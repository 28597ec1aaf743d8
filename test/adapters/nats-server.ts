import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { until } from "../e2e/clients.ts";
import { freePort } from "../e2e/free-port.ts";
import { leashed } from "../e2e/leash.ts";
import { peers } from "../e2e/peers.ts";
import type { Gap } from "../e2e/programs.ts";

/** A nats-server with JetStream that runs as a process of its own, on loopback. */
export interface NatsServer {
  readonly port: number;
  readonly url: string;
  /** Where its streams lie. */
  readonly folder: string;
  /** Stops it where it is: its connections stay, and nothing is answered. Resolves when all of it stands. */
  pause(): Promise<void>;
  resume(): void;
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
  const child = spawn(...leashed(found.path, ["-c", file]), {
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
    async pause() {
      child.kill("SIGSTOP");
      await until(() => stands(child.pid!));
    },
    resume: () => void child.kill("SIGCONT"),
    kill,
    async dispose() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Whether every thread of a process is stopped: the signal reaches a busy machine's threads one by one (proc(5)). */
function stands(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) =>
    /^[^)]*\) T /.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8")),
  );
}
