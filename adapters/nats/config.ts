import { duration, secretOrFile, size, tlsFiles } from "weir/sdk/zod";
import { z } from "zod";
import { parseSubject } from "./subject.ts";

/** `nats://HOST[:PORT]`, `tls://` where nothing must go in plain text. */
const server = z.string().refine((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return (
    url !== undefined &&
    (url.protocol === "nats:" || url.protocol === "tls:") &&
    url.hostname !== "" &&
    [url.username, url.password, url.search, url.hash].every((part) => part === "") &&
    (url.pathname === "" || url.pathname === "/")
  );
  // The text is not shown: it may hold a password.
}, "expected nats://HOST[:PORT], or tls:// for TLS; who the hub is has keys of its own");

/** Names of streams and consumers are parts of subjects (ADR-6). */
const streamName = z.string().regex(/^[A-Za-z0-9_-]{1,100}$/, "expected letters, digits, _ and -");

const subject = z.string().superRefine((text, context) => {
  const parsed = parseSubject(text);
  if (typeof parsed === "string") context.addIssue({ code: "custom", message: parsed });
});

const streamLimits = {
  /** The most that it holds, beyond which nothing more is taken. */
  maxSize: size(1024).prefault("1GiB"),
  /** How many servers of a cluster keep it. */
  replicas: z.int().min(1).max(5).default(1),
};

const age = duration(1000, 3650 * 86_400_000);

export const natsConfig = z
  .strictObject({
    /** One server, or some of a cluster: the others are found by them. */
    servers: z.union([server.transform((one) => [one]), z.array(server).min(1).max(100)]),
    user: z.string().min(1).optional(),
    /** Files are read when the adapter is made. */
    password: secretOrFile.optional(),
    token: secretOrFile.optional(),
    /** A file with the seed of an NKey. */
    nkeyFile: z.string().min(1).optional(),
    /** A file of credentials: a JWT and the seed of its NKey. */
    credentialsFile: z.string().min(1).optional(),
    /** `handshakeFirst`: whether TLS begins before the server says anything (`handshake_first` of nats-server). */
    tls: tlsFiles({ handshakeFirst: z.boolean().default(false) }).optional(),
    /** How long the server may take to say that it has a message. */
    timeout: duration(1, 60_000).prefault("5s"),
    /** Where log entries are published. */
    subject: subject.default("weir.logs.{log}"),
    /** Whether a stream must say that it has each entry. */
    jetstream: z.boolean().default(true),
    /** The stream of log entries, made when there is none of that name. */
    stream: z.strictObject({ name: streamName, ...streamLimits, maxAge: age.prefault("7d") }).optional(),
    /** The stream that keeps records where `telemetry.buffer` names this adapter. Hubs that share it share their exporters. */
    journal: z
      .strictObject({ name: streamName.default("WEIR"), ...streamLimits, maxAge: age.prefault("24h") })
      .prefault({}),
    /** Where pushed policies lie: a key-value bucket, and one beside it for what hubs say of them. */
    policies: z
      .strictObject({ bucket: streamName.default("WEIR_POLICIES"), replicas: streamLimits.replicas })
      .prefault({}),
  })
  .superRefine((config, context) => {
    const tell = (message: string, ...path: string[]): void => context.addIssue({ code: "custom", message, path });
    const { user, password, token, nkeyFile, credentialsFile } = config;
    const ways = [user, token, nkeyFile, credentialsFile].filter((way) => way !== undefined).length;
    if (ways > 1) tell("expected one of user, token, nkeyFile and credentialsFile");
    if ((user === undefined) !== (password === undefined)) tell("user and password belong together");
    if (config.stream !== undefined && !config.jetstream) tell("a stream needs jetstream: true", "stream");
  });

export type NatsConfig = z.output<typeof natsConfig>;
