import { createHash } from "node:crypto";
import calculateSlot from "cluster-key-slot";
import { Cluster, Redis } from "ioredis";
import type { Host } from "weir/sdk";
import { createClient } from "./client.ts";
import type { RedisConfig } from "./config.ts";
import { drawScript } from "./draw-script.ts";
import { grantLeasesScript } from "./lease-grant-script.ts";
import {
  attendScript,
  changeScript,
  grantScript,
  listScript,
  prolongScript,
  refundScript,
  shareScript,
  usageScript,
} from "./scripts.ts";
import { takeScript } from "./take-script.ts";

/** What a script is told beside its keys. */
export type Argument = string | number | Buffer;

/** Redis, as the limits need it. Each call is one round trip. */
export interface Store {
  readonly isCluster: boolean;
  /** The slot of a key; the same for all keys where there is but one node. */
  slotOf(key: string): number;
  take(keys: readonly string[], args: readonly Argument[]): Promise<readonly (number | string)[]>;
  refund(keys: readonly string[], args: readonly (string | number)[]): Promise<void>;
  /** Lists an entry under a key that is kept for so many milliseconds at least. */
  list(key: string, entry: string, forMs: number): Promise<void>;
  /** What is listed under a key. */
  listed(key: string): Promise<readonly string[]>;
  /** Keeps a list for so many milliseconds at least. */
  prolong(key: string, forMs: number): Promise<void>;
  /** Changes what is held; `null` where nothing is. */
  change(keys: readonly string[], args: readonly (string | number)[]): Promise<readonly string[] | null>;
  /** Answers a hub's share of a budget: rate, burst, and 1 where nobody had one. */
  share(
    key: string,
    args: readonly (string | number)[],
  ): Promise<readonly [rate: string, burst: string, isFresh: number]>;
  /** Says that a hub is there, and answers how many were there within the last `withinMs`. */
  attend(key: string, hub: string, withinMs: number): Promise<number>;
  /** Says that a hub is gone. */
  leave(key: string, hub: string): Promise<void>;
  usage(keys: readonly string[], args: readonly (string | number)[]): Promise<readonly number[]>;
  grant(key: string, args: readonly (string | number)[]): Promise<void>;
  /** The same of a count whose units hubs take ahead. */
  grantLeases(key: string, args: readonly (string | number)[]): Promise<void>;
  /**
   * The keys that begin with the first of some texts and hold the others after it, in this order; some at a time, of all
   * nodes, each asked in small steps (SCAN), so that it goes on serving others. A key may come twice.
   */
  keysWith(...parts: readonly string[]): AsyncIterable<readonly string[]>;
  forget(key: string): Promise<void>;
  draw(keys: readonly string[], args: readonly (string | number)[]): Promise<readonly (number | string)[]>;
  /** The fields of a hash and their values, in turn, some at a time (HSCAN). A field may come twice. */
  fields(key: string): AsyncIterable<readonly string[]>;
  /** Why there is no connection; `undefined` while there is one. */
  unready(): string | undefined;
  close(): Promise<void>;
}

/** How long a hub that starts waits for a server that neither is ready nor fails, such as one that reads its data set. */
const firstAttemptMs = 3000;

/**
 * Connects. Resolves when there is a connection, or when the first attempt has failed or takes too long: a store that is
 * away when the hub starts is the same as one that goes away later. While there is no connection a call fails at once, and no command is
 * ever sent twice: it might have charged.
 */
export async function connect(config: RedisConfig, host: Host): Promise<Store> {
  const client = await createClient(config, host);
  const isCluster = client instanceof Cluster;
  let down = false;
  let lastError: Error | undefined;
  client.on("error", (error: Error) => {
    lastError = error;
    if (down) return;
    down = true;
    host.log.warn({ err: error }, "there is no connection to redis");
  });
  client.on("ready", () => {
    if (down) host.log.info({}, "redis is connected again");
    down = false;
    lastError = undefined;
    warnOfEviction(client, host).catch((error: unknown) =>
      host.log.debug({ err: error }, "redis does not tell how it evicts"),
    );
  });

  await new Promise<void>((resolve) => {
    const patience = setTimeout(() => {
      down = true;
      host.log.warn({ waitedMs: firstAttemptMs }, "redis is not ready: limits go without it until it is");
      resolve();
    }, firstAttemptMs);
    for (const event of ["ready", "error", "close"] as const)
      client.once(event, () => {
        clearTimeout(patience);
        resolve();
      });
  });
  if (isCluster) {
    // ioredis connects to a node with the first command for it, and fails those that come meanwhile.
    const reach = async (node: Redis): Promise<void> => {
      if (node.status === "wait") await node.connect().catch(() => undefined);
      // It may have begun to by itself, as it asks one of them for the slots.
      else if (node.status === "connecting" || node.status === "connect")
        await new Promise<void>((resolve) => {
          for (const event of ["ready", "close"] as const) node.once(event, () => resolve());
        });
    };
    client.on("+node", (node: Redis) => void reach(node));
    await Promise.all(client.nodes("master").map(reach));
  }

  const requireReady = (): void => {
    if (client.status !== "ready")
      throw unconnected("ENOTCONN", "Connection to redis is down: it is being made again", lastError);
  };
  const run = async ({ lua, sha }: Script, keys: readonly string[], args: readonly Argument[]) => {
    requireReady();
    if (client instanceof Redis) writeAtOnce(client.stream);
    try {
      return await client.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      if (error.name === "MaxRetriesPerRequestError")
        throw unconnected("ECONNRESET", "Connection to redis broke before its answer came", error);
      // Redis has not seen the script yet, or has been told to forget all scripts: nothing was run.
      if (!error.message.startsWith("NOSCRIPT")) throw error;
      return await client.eval(lua, keys.length, ...keys, ...args);
    }
  };
  return {
    isCluster,
    slotOf: (key) => (isCluster ? calculateSlot(key) : 0),
    take: async (keys, args) => (await run(take, keys, args)) as (number | string)[],
    refund: async (keys, args) => void (await run(refund, keys, args)),
    list: async (key, entry, forMs) => void (await run(list, [key], [entry, forMs])),
    async listed(key) {
      requireReady();
      return await client.lrange(key, 0, -1);
    },
    prolong: async (key, forMs) => void (await run(prolong, [key], [forMs])),
    change: async (keys, args) => (await run(change, keys, args)) as string[] | null,
    share: async (key, args) => (await run(share, [key], args)) as [string, string, number],
    attend: async (key, hub, withinMs) => Number(await run(attend, [key], [hub, withinMs])),
    leave: async (key, hub) => void (await client.zrem(key, hub)),
    usage: async (keys, args) => (await run(usage, keys, args)) as number[],
    grant: async (key, args) => void (await run(grant, [key], args)),
    grantLeases: async (key, args) => void (await run(grantLeases, [key], args)),
    async *keysWith(...parts) {
      requireReady();
      const pattern = parts.map((part) => `${part.replace(/[*?[\]\\^-]/g, "\\$&")}*`).join("");
      for (const node of client instanceof Cluster ? client.nodes("master") : [client]) {
        let cursor = "0";
        do {
          const [next, keys] = await node.scan(cursor, "MATCH", pattern, "COUNT", 1000);
          yield keys;
          cursor = next;
        } while (cursor !== "0");
      }
    },
    async *fields(key) {
      requireReady();
      let cursor = "0";
      do {
        const [next, pairs] = await client.hscan(key, cursor, "COUNT", 1000);
        yield pairs;
        cursor = next;
      } while (cursor !== "0");
    },
    async forget(key) {
      requireReady();
      await client.unlink(key);
    },
    draw: async (keys, args) => (await run(draw, keys, args)) as (number | string)[],
    unready() {
      if (client.status === "ready") return undefined;
      return `there is no connection to redis${lastError === undefined ? "" : `: ${lastError.message}`}`;
    },
    async close() {
      // What is under way has ended by now, so there is nothing to wait for.
      client.disconnect();
    },
  };
}

/** A state of the world outside, which has the system's own code for it. */
function unconnected(code: "ENOTCONN" | "ECONNRESET", message: string, cause: Error | undefined): Error {
  return Object.assign(new Error(message, { cause }), { code });
}

/** Lets what is written in this turn go out in one write: a write of its own for each decision costs more than the rest. */
function writeAtOnce(stream: Redis["stream"]): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

interface Script {
  readonly lua: string;
  readonly sha: string;
}

const take = scriptOf(takeScript);
const refund = scriptOf(refundScript);
const list = scriptOf(listScript);
const prolong = scriptOf(prolongScript);
const change = scriptOf(changeScript);
const attend = scriptOf(attendScript);
const share = scriptOf(shareScript);
const usage = scriptOf(usageScript);
const grant = scriptOf(grantScript);
const grantLeases = scriptOf(grantLeasesScript);
const draw = scriptOf(drawScript);

function scriptOf(lua: string): Script {
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}

/** Warns when Redis may throw counters away for want of memory: a forgotten counter is a limit that starts anew. */
async function warnOfEviction(client: Redis | Cluster, host: Host): Promise<void> {
  const nodes = client instanceof Cluster ? client.nodes("master") : [client];
  for (const node of nodes) {
    const memory = await node.info("memory");
    const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1];
    if (policy === undefined || policy === "noeviction") continue;
    host.count("may_evict");
    host.log.warn(
      { policy, node: `${node.options.host}:${node.options.port}` },
      "redis may evict the counters of limits when memory is short: set maxmemory-policy to noeviction",
    );
    return;
  }
}
