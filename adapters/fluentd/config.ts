import { duration, secretOrFile, serverName, tlsFiles } from "weir/sdk/zod";
import { z } from "zod";

const defaultPort = 24224;

/** Where a server listens. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

const endpoint = z.string().transform((text, context): Endpoint => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain =
    url !== undefined &&
    (url.protocol === "tcp:" || url.protocol === "tls:") &&
    url.hostname !== "" &&
    [url.username, url.password, url.search, url.hash].every((part) => part === "") &&
    (url.pathname === "" || url.pathname === "/");
  if (plain) {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    return { host, port: Number(url.port || defaultPort), tls: url.protocol === "tls:" };
  }
  // The text is not shown: it may hold a password.
  const message = "expected tcp://HOST[:PORT], or tls:// for TLS; who the hub is has keys of its own";
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

const tag = z
  .string()
  .max(200)
  .refine(
    (text) => /^[\w.-]+$/.test(text.replaceAll("{log}", "log")),
    "expected letters, digits and . _ -, and {log} for the name of the log",
  );

export const fluentdConfig = z
  .strictObject({
    /** Where the server is. The port is 24224 when there is none. */
    endpoint,
    /** The tag of an entry. */
    tag: tag.default("weir.{log}"),
    /** Proves who the hub is, and who the server is. With it the server must ask for it. Files are read when the adapter is made. */
    sharedKey: secretOrFile.optional(),
    /** For servers that ask for a user beside the key. */
    user: z.string().min(1).optional(),
    password: secretOrFile.optional(),
    /** What the hub calls itself when keys are compared. A server refuses who has its own name. */
    hostname: z.string().min(1).max(255).default("weir"),
    tls: tlsFiles({ serverName }).optional(),
    compression: z.enum(["gzip", "none"]).default("gzip"),
    /** How long the server may take to acknowledge what it was sent; that includes connecting. */
    timeout: duration(1, 60_000).prefault("10s"),
  })
  .superRefine((config, context) => {
    const tell = (message: string, ...path: string[]): void => context.addIssue({ code: "custom", message, path });
    const { endpoint: to, sharedKey, user, password, tls } = config;
    if ((user === undefined) !== (password === undefined)) tell("user and password belong together");
    if (user !== undefined && sharedKey === undefined) tell("a user needs a sharedKey", "user");
    if (tls !== undefined && !to.tls) tell("tls needs an endpoint that begins with tls://", "tls");
  });

export type FluentdConfig = z.output<typeof fluentdConfig>;
