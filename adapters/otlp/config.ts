import { duration, httpHeaders, httpUrl, serverName, seriesBounds, tlsFiles } from "weir/sdk/zod";
import { z } from "zod";

const attributeValue = z.union([z.string().max(4096), z.number(), z.boolean()]);

export const otlpConfig = z
  .strictObject({
    /** Where the receiver is. Without a port: that of the scheme, 80 or 443. A path is put before `/v1/metrics` and its like. */
    endpoint: httpUrl,
    protocol: z.enum(["http", "grpc"]).default("http"),
    /** Sent with every request. A value may lie in a file, which is read when the adapter is made. */
    headers: httpHeaders(/^(grpc-.*|.*-bin)$/i),
    tls: tlsFiles({ serverName }).optional(),
    compression: z.enum(["gzip", "none"]).default("gzip"),
    /** How long one request may take. */
    timeout: duration(1, 60_000).prefault("10s"),
    /** How often metrics are sent. */
    interval: duration(100, 3_600_000).prefault("1m"),
    /** Whether counters and histograms tell all since a series began, or what came since they were last sent. */
    temporality: z.enum(["cumulative", "delta"]).default("cumulative"),
    /** Who sends: attributes of the resource. `service.name` is `weir` unless it is here. */
    resource: z.record(z.string().min(1).max(256), attributeValue).default({}),
    ...seriesBounds,
  })
  .superRefine((config, context) => {
    const tell = (message: string, ...path: string[]): void => context.addIssue({ code: "custom", message, path });
    const { endpoint: url, protocol, tls, timeout, interval, expire } = config;
    if (tls !== undefined && url.protocol === "http:") tell("tls needs an endpoint that begins with https://", "tls");
    if (protocol === "grpc" && url.pathname !== "/") tell("an endpoint of gRPC has no path", "endpoint");
    if (timeout > interval) tell("expected no more than interval, in which metrics are sent again", "timeout");
    if (expire !== undefined && expire < 2 * interval)
      tell("expected at least two intervals, or a series may end before it was sent", "expire");
  });

export type OtlpConfig = z.output<typeof otlpConfig>;
