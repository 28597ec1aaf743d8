import { duration, seriesBounds } from "weir/sdk/zod";
import { z } from "zod";

/** Where datagrams go. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const address = z.string().transform((text, context): Address => {
  const [, host, port = "8125"] = /^(\[[0-9a-fA-F:.]+\]|[^:\s/[\]]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host !== undefined && Number(port) >= 1 && Number(port) <= 65_535)
    return { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
  context.addIssue({ code: "custom", message: "expected HOST or HOST:PORT, to which datagrams go over UDP" });
  return z.NEVER;
});

/** What a name may hold beside its placeholders: no character that ends it, or that a server takes out of it. */
const template = z
  .string()
  .min(1)
  .max(1024)
  .regex(
    /^([A-Za-z0-9_.-]|\{[A-Za-z_][A-Za-z0-9_]*\})+$/,
    "expected letters, digits, _, ., - and placeholders such as {metric} or {label}",
  );

export const statsdConfig = z
  .strictObject({
    /** Where the server is. Without a port: 8125. */
    address: address.prefault("127.0.0.1"),
    dialect: z.enum(["statsd", "dogstatsd"]).default("statsd"),
    /** Put before each name, as it is: a dot at its end is yours to write. */
    prefix: z
      .string()
      .max(200)
      .regex(/^[A-Za-z0-9_.-]*$/, "expected letters, digits, _, . and -")
      .default(""),
    /** How single metrics are named, by the name that policies give them. */
    names: z.record(z.string().min(1), template).default({}),
    /** For dogstatsd: tags of every line. */
    tags: z
      .record(
        z.string().regex(/^[A-Za-z][A-Za-z0-9_./-]{0,199}$/, "expected the name of a tag: a letter first"),
        z.string().regex(/^[^,|\s\p{C}]{1,200}$/u, "expected a value without commas, bars and white space"),
      )
      .default({}),
    /** What observations of histograms are sent as. Default: `timer` for statsd, `distribution` for dogstatsd. */
    histograms: z.enum(["timer", "histogram", "distribution"]).optional(),
    /** The part of a histogram's observations that is sent. The server is told, and reckons with it. */
    rate: z.number().min(0.0001).max(1).default(1),
    /** How often metrics are sent. */
    interval: duration(100, 600_000).prefault("1s"),
    /** The most bytes of one datagram. */
    datagramSize: z.int().min(128).max(65_507).default(1432),
    /** How often the host's name is looked up. */
    resolve: duration(1000, 86_400_000).prefault("30s"),
    ...seriesBounds,
  })
  .superRefine((config, context) => {
    const tell = (message: string, ...path: string[]): void => context.addIssue({ code: "custom", message, path });
    const { dialect, tags, histograms = "timer", interval, expire } = config;
    if (dialect === "statsd" && Object.keys(tags).length > 0) tell("tags need the dialect dogstatsd", "tags");
    if (dialect === "statsd" && histograms !== "timer") tell("statsd knows timers only", "histograms");
    if (expire !== undefined && expire < 2 * interval)
      tell("expected at least two intervals, or a series may end before it was sent", "expire");
  });

export type StatsdConfig = z.output<typeof statsdConfig>;
