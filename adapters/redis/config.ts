import { parseDuration } from "weir/sdk";
import { z } from "zod";

const duration = (least: number, most: number) =>
  z.string().transform((text, context) => {
    const ms = parseDuration(text);
    if (ms !== undefined && ms >= least && ms <= most) return ms;
    const message = `expected a duration of ${least} ms to ${most} ms, such as 50ms or 10s, got ${JSON.stringify(text)}`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  });

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
    password: z.string().min(1).optional(),
    /** A file that holds the password, in place of `password`. Read when the adapter is made. */
    passwordFile: z.string().min(1).optional(),
    tls: z
      .strictObject({
        /** Files in PEM. Without `ca`, the system's authorities are trusted. */
        ca: z.string().min(1).optional(),
        cert: z.string().min(1).optional(),
        key: z.string().min(1).optional(),
        /** The name that the server's certificate must have. Default: the host. */
        serverName: z.string().min(1).optional(),
      })
      .optional(),
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
    if (config.password !== undefined && config.passwordFile !== undefined)
      tell("expected password or passwordFile, not both");
    if ((config.tls?.cert === undefined) !== (config.tls?.key === undefined)) tell("cert and key belong together");
  });

export type RedisConfig = z.output<typeof redisConfig>;
