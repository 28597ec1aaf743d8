import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { projectRoot } from "../e2e/hub.ts";

const execute = promisify(execFile);

/** The oldest Docker Compose that takes the contents of `configs` from docker-compose.yml itself. */
const oldestCompose = [2, 23, 1] as const;
/** How long images may take to come and services to start. */
const upSeconds = 900;

/**
 * What docker-compose.yml describes, under a name of its own: whoever has it running under its usual name keeps that, with
 * its volumes, and is told by Docker that its ports are in use.
 */
const project = ["compose", "--project-name", "weir-check"];

/** Runs a command of `docker compose` and answers its standard output; rejects with what it wrote when it fails. */
export async function compose(...args: readonly string[]): Promise<string> {
  const { stdout } = await execute("docker", [...project, ...args], { cwd: projectRoot, maxBuffer: 64 << 20 });
  return stdout;
}

/** Why nothing can be run here: no Docker, no engine that answers, or a Docker Compose that is too old. */
export async function missing(): Promise<string | undefined> {
  const asked = async (...args: string[]): Promise<string> => (await execute("docker", args)).stdout.trim();
  try {
    await asked("version", "--format", "{{.Server.Version}}");
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    return code === "ENOENT" ? "there is no docker on the search path" : `no Docker engine answers: ${stderr?.trim()}`;
  }
  const found = await asked("compose", "version", "--short").catch(() => undefined);
  const wanted = oldestCompose.join(".");
  if (found === undefined) return `docker has no command compose: its plugin is missing, ${wanted} or newer`;
  const version = found.replace(/^v/, "").split(/[.+-]/).slice(0, 3).map(Number);
  const first = oldestCompose.findIndex((part, i) => version[i] !== part);
  if (first >= 0 && !(version[first]! > oldestCompose[first]!))
    return `Docker Compose is ${found}, and has to be ${wanted} or newer`;
  return undefined;
}

/** Builds the hub's image, fetches the others, starts everything and waits for it, showing what Docker says of it. */
export async function up(): Promise<void> {
  const args = [...project, "up", "--build", "--detach", "--wait", "--wait-timeout", String(upSeconds)];
  const child = spawn("docker", args, { cwd: projectRoot, stdio: ["ignore", "inherit", "inherit"] });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`docker compose up ended with status ${code}`);
}

/** Takes everything down, volumes and all; images stay. */
export async function down(): Promise<void> {
  await compose("down", "--volumes", "--remove-orphans", "--timeout", "15");
}

/** The services that ended with another status than 0, or are not well. */
export async function broken(): Promise<readonly string[]> {
  const lines = (await compose("ps", "--all", "--format", "json")).trim().split("\n");
  return lines
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { Service: string; ExitCode: number; Health: string })
    .filter(({ ExitCode, Health }) => ExitCode !== 0 || Health === "unhealthy")
    .map(({ Service }) => Service);
}

/** The last lines that services wrote. */
export function logs(...services: readonly string[]): Promise<string> {
  return compose("logs", "--no-color", "--tail", "200", ...services);
}
