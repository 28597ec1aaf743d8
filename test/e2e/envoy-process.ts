import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { until } from "./clients.ts";
import { runWeir } from "./hub.ts";
import { leashed } from "./leash.ts";
import { envoyVersions, peers, type EnvoyVersion } from "./peers.ts";
import type { Gap, Program } from "./programs.ts";

/** Finds an Envoy of a version. */
export function envoyProgram(version: EnvoyVersion): Promise<Program | Gap> {
  return version === envoyVersions[0] ? peers.envoy() : peers.olderEnvoy();
}

/** An Envoy that runs as a process. */
export interface Envoy {
  /** Where callers connect. */
  readonly port: number;
  readonly admin: string;
  /** What it wrote to standard output: its access log. */
  stdout(): string;
  stderr(): string;
  dispose(): void;
}

export interface EnvoyOptions {
  /** Changes what was printed. Left out: it is used as it stands, comments and all. */
  readonly edit?: (config: any) => void;
  /** Words before the command: what runs it. */
  readonly under?: readonly string[];
}

/**
 * Starts Envoy on free ports with what `weir envoy` prints for these arguments, and waits until it is ready. Rejects with
 * what it wrote when it ends before.
 */
export async function startEnvoy(
  { path, env }: Program,
  args: readonly string[],
  { edit, under = [] }: EnvoyOptions = {},
): Promise<Envoy> {
  const printed = await runWeir(["envoy", ...args, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
  if (printed.code !== 0) throw new Error(printed.stderr);
  const folder = mkdtempSync(join(tmpdir(), "weir-envoy-"));
  const file = join(folder, "envoy.yaml");
  const adminFile = join(folder, "admin");
  const config = edit === undefined ? printed.stdout : edited(printed.stdout, edit);
  await writeFile(file, config);
  const quick = ["--concurrency", "1", "--disable-hot-restart", "--file-flush-interval-msec", "20", "-l", "warn"];
  const [command, ...words] = [...under, path, "-c", file, "--admin-address-path", adminFile, ...quick];
  const child = spawn(...leashed(command!, words), {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const written = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (written.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (written.stderr += chunk.toString()));
  let ended = false;
  void once(child, "close").then(() => (ended = true));
  const dispose = () => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    let admin = "";
    await until(async () => {
      if (ended) throw new Error(`envoy ended:\n${written.stderr}`);
      if (admin === "") admin = await readFile(adminFile, "utf8").catch(() => "");
      return admin !== "" && (await fetch(`http://${admin}/ready`).catch(() => undefined))?.status === 200;
    });
    const listeners = (await (await fetch(`http://${admin}/listeners?format=json`)).json()) as any;
    return {
      port: listeners.listener_statuses[0].local_address.socket_address.port_value,
      admin,
      stdout: () => written.stdout,
      stderr: () => written.stderr,
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Lets Envoy look at a configuration without serving it; what it said when it does not take it. */
export async function rejects({ path, env }: Program, config: string): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "weir-envoy-"));
  try {
    const file = join(folder, "envoy.yaml");
    await writeFile(file, config);
    const child = spawn(...leashed(path, ["--mode", "validate", "-c", file, "-l", "warn"]), {
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, "close")) as [number | null];
    return code === 0 ? undefined : stderr;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function edited(text: string, edit: (config: any) => void): string {
  const config: unknown = parse(text);
  edit(config);
  return JSON.stringify(config);
}
