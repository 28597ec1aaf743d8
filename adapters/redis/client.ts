import { Cluster, Redis } from "ioredis";
import type { Host } from "weir/sdk";
import { readSecret, readTls } from "weir/sdk/zod";
import type { RedisConfig } from "./config.ts";

/** The longest pause before the next attempt to connect. */
const maxPauseMs = 2000;

/** How long a connection may owe an answer before it is made anew, at least: a host that is gone closes nothing. */
const leastSilenceMs = 1000;

/** Makes a client of the server, the cluster, or the master that Sentinels name. It begins to connect, and never ends to try. */
export async function createClient(config: RedisConfig, host: Host): Promise<Redis | Cluster> {
  const { url, sentinels, master, cluster, timeout } = config;
  const password = config.password === undefined ? url?.password : await readSecret(config.password, host.folder);
  const username = config.username ?? url?.username;
  const tls = config.tls !== undefined || url?.tls === true ? await readTls(config.tls, host.folder) : undefined;
  const pause = (times: number): number => Math.min(maxPauseMs, 50 * 2 ** Math.min(times, 10));
  const common = {
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    ...(tls === undefined ? {} : { tls }),
    db: url?.database ?? 0,
    connectionName: "weir",
    connectTimeout: 5000,
    socketTimeout: Math.max(leastSilenceMs, 4 * timeout),
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // A master that has become a replica: the next connection finds the new one, where Sentinels or DNS tell it.
    reconnectOnError: (error: Error) => error.message.startsWith("READONLY"),
  };
  if (cluster !== undefined) {
    const client = new Cluster([...cluster], {
      redisOptions: common,
      enableOfflineQueue: false,
      clusterRetryStrategy: pause,
      // A call that finds its node gone fails rather than waiting: the rule's onError answers, the next one finds the new node.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      maxRedirections: 4,
      slotsRefreshTimeout: Math.max(1000, timeout),
    });
    client.on("+node", stopTimerOnClose);
    return client;
  }
  const server =
    sentinels === undefined
      ? { host: url!.host, port: url!.port }
      : {
          sentinels: [...sentinels],
          name: master!,
          ...(tls === undefined ? {} : { sentinelTLS: tls, enableTLSForSentinelMode: true }),
          sentinelRetryStrategy: pause,
        };
  const client = new Redis({ ...common, enableOfflineQueue: false, retryStrategy: pause, ...server });
  stopTimerOnClose(client);
  return client;
}

/** ioredis lets the timer of a connection that broke while it owed an answer run on, and ends the next one by it. */
function stopTimerOnClose(client: Redis): void {
  client.on("close", () => {
    clearTimeout(client["socketTimeoutTimer"]);
    client["socketTimeoutTimer"] = undefined;
  });
}
