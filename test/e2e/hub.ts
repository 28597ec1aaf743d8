import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { leashed } from "./leash.ts";

/** The built program, as `npm start` runs it. */
export const mainFile = fileURLToPath(new URL("../../src/main.js", import.meta.url));
/** The root of the project. */
export const projectRoot = fileURLToPath(new URL("../../..", import.meta.url));

/** A folder of its own for one test, with the given files in it. */
export async function writeFolder(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "weir-e2e-"));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

/** A hub that runs as a process. */
export interface Hub {
  readonly process: ChildProcess;
  readonly grpc: string;
  readonly http: string;
  readonly admin: string;
  readonly folder: string;
  /** Everything it wrote to standard output after the ready line. */
  stdout(): string;
  stderr(): string;
  /** Resolves when `stderr` or `stdout` holds the text; rejects when the process ends before. */
  saw(text: string): Promise<void>;
  /** Resolves with what the process ended with. */
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Ends it hard and removes its folder. */
  dispose(): void;
}

/**
 * Starts `weir serve` on free ports with a folder that holds `weir.yaml` and, unless they are `pushed`, `policies/`. Rejects with the program's
 * standard error when it ends before it serves.
 */
export async function startHub(
  files: Readonly<Record<string, string>>,
  options: { args?: readonly string[]; folder?: string; policies?: "folder" | "pushed" } = {},
): Promise<Hub> {
  const folder = options.folder ?? (await writeFolder(files));
  const config = files["weir.yaml"] === undefined ? [] : ["--config", join(folder, "weir.yaml")];
  const args = [
    mainFile,
    "serve",
    ...config,
    ...(options.policies === "pushed" ? [] : ["--policies", join(folder, "policies")]),
    ...["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--json-ready"],
    ...(options.args ?? []),
  ];
  // What npm tells the programs that it runs is meant for the tests, not for their hubs.
  const env = { ...process.env, npm_lifecycle_event: undefined };
  const child = spawn(...leashed(process.execPath, args), { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  const watchers = new Set<() => void>();
  const grew = () => watchers.forEach((check) => check());
  const exit = once(child, "close").then(([code, signal]) => {
    grew();
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
    grew();
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done === true) {
    await exit;
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    throw new Error(stderr);
  }
  const ready = JSON.parse(first.value) as { grpc: string; http: string; admin: string };
  void (async () => {
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
      stdout += `${line.value}\n`;
      grew();
    }
  })();
  let ended = false;
  void exit.then(() => (ended = true));
  return {
    process: child,
    ...ready,
    folder,
    stdout: () => stdout,
    stderr: () => stderr,
    exit,
    saw: (text) =>
      new Promise((resolve, reject) => {
        const check = () => {
          if (stdout.includes(text) || stderr.includes(text)) {
            watchers.delete(check);
            resolve();
          } else if (ended) {
            watchers.delete(check);
            reject(new Error(`the hub ended before it wrote "${text}":\n${stderr}`));
          }
        };
        watchers.add(check);
        void exit.then(check);
        check();
      }),
    dispose: () => {
      child.kill("SIGKILL");
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs a command of `weir` to its end. */
export async function runWeir(
  args: readonly string[],
  options: { cwd?: string; input?: string; env?: Record<string, string> } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(...leashed(process.execPath, [mainFile, ...args]), {
    cwd: options.cwd ?? projectRoot,
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}
