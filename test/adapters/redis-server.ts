import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Redis } from "ioredis";
import { until } from "../e2e/clients.ts";
import { freePort } from "../e2e/free-port.ts";
import { leashed } from "../e2e/leash.ts";
import { peers } from "../e2e/peers.ts";
import type { Gap } from "../e2e/programs.ts";

/** A Redis that runs as a process of its own, on loopback, and keeps nothing. */
export interface RedisServer {
  readonly port: number;
  readonly process: ChildProcess;
  /** A connection of the test's own. */
  readonly client: Redis;
  /** Ends it hard. */
  kill(): Promise<void>;
}

/** Starts a server and waits until it takes connections. `port`: one that a server that was killed had. */
export async function startRedis(
  options: {
    readonly args?: readonly string[];
    readonly port?: number;
    readonly password?: string;
    /** Of a Sentinel: the file that it keeps its state in. */
    readonly config?: string;
  } = {},
): Promise<RedisServer | Gap> {
  const found = await peers.redis();
  if ("gap" in found) return found;
  const port = options.port ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), "weir-redis-"));
  const args = [
    ...(options.config === undefined ? [] : [options.config, "--sentinel"]),
    ...["--port", String(port), "--bind", "127.0.0.1", "--dir", folder],
    ...(options.config === undefined ? ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"] : []),
    ...(options.password === undefined ? [] : ["--requirepass", options.password]),
    ...(options.args ?? []),
  ];
  const child = spawn(...leashed(found.path, args), {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...found.env },
  });
  const ended = once(child, "close").then(() => rmSync(folder, { recursive: true, force: true }));
  let said = "";
  for await (const line of createInterface({ input: child.stdout })) {
    said += `${line}\n`;
    if (/Ready to accept connections|\+monitor master/.test(line)) break;
  }
  child.stdout.resume();
  if (child.exitCode !== null) throw new Error(`redis-server ended:\n${said}`);
  const client = new Redis({
    port,
    host: "127.0.0.1",
    ...(options.password === undefined ? {} : { password: options.password }),
  });
  client.on("error", () => undefined);
  return {
    port,
    process: child,
    client,
    async kill() {
      client.disconnect();
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/**
 * Starts a cluster of three masters on loopback and waits until each knows all of it. One that is gone takes only its own
 * slots along.
 */
export async function startCluster(): Promise<readonly RedisServer[]> {
  // A node would learn its address from another one only after it serves, and until then leave itself out of the list
  // that clients ask for. The timeout is longer than a machine under load lets a process wait.
  const args = [
    ...["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"],
    ...["--cluster-node-timeout", "15000", "--cluster-require-full-coverage", "no"],
  ];
  const nodes: RedisServer[] = [];
  for (let i = 0; i < 3; i++) nodes.push((await startRedis({ args })) as RedisServer);
  const [first] = nodes;
  const share = Math.ceil(16_384 / nodes.length);
  for (const [i, { client }] of nodes.entries()) {
    await client.call("CLUSTER", "ADDSLOTSRANGE", i * share, Math.min(16_384, (i + 1) * share) - 1);
    await client.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1);
  }
  for (const { port } of nodes.slice(1)) await first!.client.call("CLUSTER", "MEET", "127.0.0.1", port);
  const complete = ["cluster_state:ok", "cluster_slots_assigned:16384", `cluster_known_nodes:${nodes.length}`];
  for (const { client } of nodes) {
    await until(async () => {
      const told = String(await client.call("CLUSTER", "INFO"));
      return complete.every((line) => told.includes(line));
    });
  }
  return nodes;
}

/** Starts a Sentinel that watches over a master called `limits`. */
export async function startSentinel(masterPort: number): Promise<RedisServer & { failOver(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "weir-sentinel-"));
  const config = join(folder, "sentinel.conf");
  writeFileSync(
    config,
    `sentinel monitor limits 127.0.0.1 ${masterPort} 1
sentinel down-after-milliseconds limits 500
sentinel failover-timeout limits 2000
`,
  );
  const server = (await startRedis({ config })) as RedisServer;
  return {
    ...server,
    async failOver() {
      const started = () =>
        server.client.call("SENTINEL", "FAILOVER", "limits").then(
          () => true,
          (error: Error) => {
            // It has not heard of the replica yet.
            if (error.message.startsWith("NOGOODSLAVE")) return false;
            throw error;
          },
        );
      while (!(await started()));
    },
    async kill() {
      await server.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
