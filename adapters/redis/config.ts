import { duration, secretOrFile, serverName, tlsFiles } from "weir/sdk/zod";
import { z } from "zod";

const address = z.string().transform((text, context) => {
  const m = /^(\[[0-9a-fA-F:.]+\]|[^:\s[\]@/]+):(\d{1,5})$/.exec(text);
  if (m !== null && Number(m[2]) <= 65_535) return { host: m[1]!.replace(/^\[|\]$/g, ""), port: Number(m[2]) };
  const message = `expected HOST:PORT, such as 10.0.0.5:6379, got ${JSON.stringify(text)}`;
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

/** `redis://[user[:password]@]host[:port][/database]`, `rediss://` for TLS. */
const url = z.string().transform((text, context) => {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  const database = parsed?.pathname.replace(/^\//, "") ?? "";
  if (
    parsed !== undefined &&
    (parsed.protocol === "redis:" || parsed.protocol === "rediss:") &&
    parsed.hostname !== "" &&
    parsed.search === "" &&
    /^\d{0,4}$/.test(database)
  ) {
    return {
      host: parsed.hostname.replace(/^\[|\]$/g, ""),
      port: parsed.port === "" ? 6379 : Number(parsed.port),
      database: Number(database),
      tls: parsed.protocol === "rediss:",
      username: decodeURIComponent(parsed.username),
      password: decodeURIComponent(parsed.password),
    };
  }
  // The text is not shown: it may hold a password.
  const message = "expected redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or rediss:// for TLS";
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

export const redisConfig = z
  .strictObject({
    /** One server. */
    url: url.optional(),
    /** Some nodes of a Redis Cluster; the others are found by them. */
    cluster: z.array(address).min(1).max(100).optional(),
    /** The Sentinels that know which server is the master. */
    sentinels: z.array(address).min(1).max(100).optional(),
    /** The name by which the Sentinels know it. */
    master: z.string().min(1).optional(),
    /** Of the user that the hub is; with `cluster` and `sentinels`, where there is no url to say it. */
    username: z.string().min(1).optional(),
    /** Its password. A file is read when the adapter is made. */
    password: secretOrFile.optional(),
    tls: tlsFiles({ serverName }).optional(),
    /** Put before every key. Hubs that share limits share it. */
    prefix: z.string().max(100).default("weir:"),
    /** The key of a hash with the limits of single keys: its fields are the keys, its values `1000/s` or `1000/s 2000`. */
    table: z.string().min(1).max(1000).optional(),
    /** How often the hash is read. */
    tableRefresh: duration(100, 86_400_000).prefault("10s"),
    /** The most fields that it may have. */
    tableRows: z.int().positive().max(1_000_000).default(100_000),
    /** How long an answer may take before the rule's `onError` answers. */
    timeout: duration(1, 60_000).prefault("50ms"),
    /** How long a deduplication id is remembered. */
    dedup: duration(1, 86_400_000).prefault("10s"),
    /** For `consistency: bounded`: for how long of its demand a hub takes units ahead. */
    ahead: duration(50, 60_000).prefault("500ms"),
    /** For `consistency: best-effort`: how long a hub counts by itself before it reconciles with Redis. */
    reconcile: duration(10, 60_000).prefault("100ms"),
    /** The most counts of limits that are not exact of which this hub keeps anything. */
    maxKeys: z.int().positive().max(10_000_000).default(100_000),
  })
  .superRefine((config, context) => {
    const tell = (message: string): void => context.addIssue({ code: "custom", message });
    const ways = [config.url, config.cluster, config.sentinels].filter((way) => way !== undefined).length;
    if (ways !== 1) tell("expected one of url, cluster and sentinels");
    if ((config.sentinels === undefined) !== (config.master === undefined))
      tell("sentinels and master belong together: master is the name by which the Sentinels know the server");
    if (config.url !== undefined && (config.username ?? config.password) !== undefined)
      tell("the url says who the hub is: redis://USER:PASSWORD@HOST");
  });

export type RedisConfig = z.output<typeof redisConfig>;
