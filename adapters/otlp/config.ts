import { parseDuration } from "weir/sdk";
import { z } from "zod";

const duration = (least: number, most: number) =>
  z.string().transform((text, context) => {
    const ms = parseDuration(text);
    if (ms !== undefined && ms >= least && ms <= most) return ms;
    const message = `expected a duration of ${least} ms to ${most} ms, such as 10s or 1m, got ${JSON.stringify(text)}`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  });

const endpoint = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url !== undefined && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (plain && (url.protocol === "http:" || url.protocol === "https:")) return url;
  // The text is not shown: it may hold a password.
  const message = "expected http://HOST[:PORT] or https://HOST[:PORT]; what proves who the hub is goes into headers";
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

/** Those that the transport writes by itself (RFC 9110, 7.6.1 and 8; gRPC over HTTP/2). */
const ownHeaders =
  /^(connection|content-.*|host|keep-alive|te|trailer|transfer-encoding|upgrade|expect|grpc-.*|.*-bin)$/i;

const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}$/, "expected the name of a header field")
  .refine((name) => !ownHeaders.test(name), "is a header field that the adapter writes itself");

/** What a header field may hold, of which gRPC's metadata takes ASCII only (RFC 9110, 5.5). */
export const headerText = /^[\x20-\x7e]+$/;

const headerValue = z.union([
  z.string().regex(headerText, "expected printable ASCII"),
  z.strictObject({ file: z.string().min(1) }),
]);

const attributeValue = z.union([z.string().max(4096), z.number(), z.boolean()]);

export const otlpConfig = z
  .strictObject({
    /** Where the receiver is. Without a port: that of the scheme, 80 or 443. A path is put before `/v1/metrics` and its like. */
    endpoint,
    protocol: z.enum(["http", "grpc"]).default("http"),
    /** Sent with every request. A value may lie in a file, which is read when the adapter is made. */
    headers: z.record(headerName, headerValue).default({}),
    tls: z
      .strictObject({
        /** Files in PEM. Without `ca`, the system's authorities are trusted. */
        ca: z.string().min(1).optional(),
        cert: z.string().min(1).optional(),
        key: z.string().min(1).optional(),
        /** The name that the receiver's certificate must have. Default: the host. */
        serverName: z.string().min(1).optional(),
      })
      .optional(),
    compression: z.enum(["gzip", "none"]).default("gzip"),
    /** How long one request may take. */
    timeout: duration(1, 60_000).prefault("10s"),
    /** How often metrics are sent. */
    interval: duration(100, 3_600_000).prefault("1m"),
    /** Whether counters and histograms tell all since a series began, or what came since they were last sent. */
    temporality: z.enum(["cumulative", "delta"]).default("cumulative"),
    /** Who sends: attributes of the resource. `service.name` is `weir` unless it is here. */
    resource: z.record(z.string().min(1).max(256), attributeValue).default({}),
    /** The most series of one metric; samples of label sets beyond go to one series for overflow. */
    maxSeries: z.int().min(1).max(10_000_000).default(10_000),
    /** After how long without a sample a series is dropped; `never` keeps all. */
    expire: z.union([z.literal("never").transform(() => undefined), duration(1000, 30 * 86_400_000)]).prefault("1h"),
    /** The longest label value, in UTF-16 units; what is longer is cut. */
    maxLabelLength: z.int().min(16).max(65_536).default(256),
  })
  .superRefine((config, context) => {
    const tell = (message: string, ...path: string[]): void => context.addIssue({ code: "custom", message, path });
    const { endpoint: url, protocol, tls, timeout, interval, expire } = config;
    if (tls !== undefined && url.protocol === "http:") tell("tls needs an endpoint that begins with https://", "tls");
    if ((tls?.cert === undefined) !== (tls?.key === undefined)) tell("cert and key belong together", "tls");
    if (protocol === "grpc" && url.pathname !== "/") tell("an endpoint of gRPC has no path", "endpoint");
    if (timeout > interval) tell("expected no more than interval, in which metrics are sent again", "timeout");
    if (expire !== undefined && expire < 2 * interval)
      tell("expected at least two intervals, or a series may end before it was sent", "expire");
  });

export type OtlpConfig = z.output<typeof otlpConfig>;
