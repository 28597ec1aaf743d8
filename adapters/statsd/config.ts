import { duration, seriesBounds } from "weir/sdk/zod";
import { z } from "zod";
import { address } from "./address.ts";

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
    /** Where the server is: `HOST[:PORT]` for UDP (8125), `unixgram:///PATH` or `unixstream:///PATH` for a Unix socket. */
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
    /** The most bytes of one datagram. Default: 1432 for UDP, which a frame of Ethernet has room for; 8192 for a Unix socket, what agents take. */
    datagramSize: z.int().min(128).max(65_507).optional(),
    /** For `unixstream://`: each datagram behind its length, or each line ended. Default: as the dialect has it, `lines` for statsd. */
    framing: z.enum(["length", "lines"]).optional(),
    /** For Unix sockets: how long the server may take nothing. */
    timeout: duration(1, 60_000).prefault("5s"),
    /** How often the host's name is looked up. */
    resolve: duration(1000, 86_400_000).prefault("30s"),
    ...seriesBounds,
  })
  .superRefine((config, context) => {
    const tell = (message: string, ...path: string[]): void => context.addIssue({ code: "custom", message, path });
    const { address: to, dialect, tags, histograms = "timer", framing, interval, expire } = config;
    if (framing !== undefined && to.kind !== "unixstream") tell("framing is for unixstream:// only", "framing");
    if (dialect === "statsd" && Object.keys(tags).length > 0) tell("tags need the dialect dogstatsd", "tags");
    if (dialect === "statsd" && histograms !== "timer") tell("statsd knows timers only", "histograms");
    if (expire !== undefined && expire < 2 * interval)
      tell("expected at least two intervals, or a series may end before it was sent", "expire");
  });

export type StatsdConfig = z.output<typeof statsdConfig>;
