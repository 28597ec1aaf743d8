import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";

/** A server that runs as a process of its own. */
export interface ServerProcess {
  readonly pid: number;
  /** What it said when it was ready: its addresses. */
  readonly ready: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** The core that servers run on, and the one that the load runs on. */
export const cores = { server: 0, load: 1 } as const;

/** Whether processes can be kept to a core each: with taskset (util-linux) and two cores at least. */
export const pinned = onPath("taskset") && availableParallelism() > 1;

export function onPath(command: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => existsSync(join(folder, command)));
}

/** What src/main.ts sets for itself and what `npm start` sets: the hub and what it is measured against run alike. */
const inlining = ["--max-inlined-bytecode-size=1000", "--max-inlined-bytecode-size-cumulative=2000"];
export const serverFlags = [
  "--use-largepages=silent",
  "--heap-growing-percent=30",
  "--max-semi-space-size=4",
  ...inlining,
];

/**
 * For servers on plain @grpc/grpc-js. The hub keeps its heap small, which costs a transport that leaves little garbage
 * nothing, and one that leaves much of it a cleaning of the whole heap over and over. The new space has one size from the
 * start: left to itself, Node gives a server more of it the more it keeps, and two servers would not run alike.
 */
export const grpcJsFlags = [
  "--use-largepages=silent",
  "--min-semi-space-size=16",
  "--max-semi-space-size=16",
  ...inlining,
];

/** A command line that keeps Node to one core, where that can be had. */
function nodeOn(core: number | undefined, args: readonly string[]): [string, string[]] {
  return pinned && core !== undefined
    ? ["taskset", ["-c", String(core), process.execPath, ...args]]
    : [process.execPath, [...args]];
}

const readyMs = 60_000;
const stopMs = 15_000;
/** How much of what a process writes to standard error is kept, for people. */
const keptError = 4000;

/**
 * Starts a server on the servers' core, or on `anyCore`, and waits for its first line on standard output: its addresses as
 * JSON.
 */
export async function startServer(
  args: readonly string[],
  where?: "anyCore",
  flags: readonly string[] = serverFlags,
): Promise<ServerProcess> {
  const [command, line] = nodeOn(where === undefined ? cores.server : undefined, [...flags, ...args]);
  const child = spawn(command, line, { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(-keptError)));
  // Lines after the first are read too, so that the server is not held up, and thrown away.
  const lines = createInterface({ input: child.stdout });
  const addresses = await Promise.race([
    once(lines, "line", { signal: AbortSignal.timeout(readyMs) }).then(
      ([line]) => JSON.parse(line as string) as unknown,
    ),
    once(child, "close").then(([code]) => {
      throw new Error(`the server ended with status ${code}`);
    }),
  ]).catch((error: Error) => {
    child.kill("SIGKILL");
    throw new Error(`${error.message}\n${errors}`);
  });
  return {
    pid: child.pid!,
    ready: addresses as Record<string, string>,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, "close");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), stopMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** Runs a program of the bench on the load's core and reads the JSON that it prints. */
export async function runOnLoadCore<T>(args: readonly string[]): Promise<T> {
  const [command, line] = nodeOn(cores.load, args);
  const child = spawn(command, line, { stdio: ["ignore", "pipe", "pipe"] });
  const [out, errors] = [[] as Buffer[], [] as Buffer[]];
  child.stdout.on("data", (part: Buffer) => out.push(part));
  child.stderr.on("data", (part: Buffer) => errors.push(part));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0)
    throw new Error(`the load ended with status ${code}\n${Buffer.concat(errors).toString().slice(-keptError)}`);
  return JSON.parse(Buffer.concat(out).toString()) as T;
}
