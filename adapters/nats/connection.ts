import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Authenticator, ConnectionOptions, NatsConnection } from "@nats-io/transport-node";
import type { Host } from "weir/sdk";
import { readSecret, readTls } from "weir/sdk/zod";
import type { NatsConfig } from "./config.ts";

/** The pause before the next attempt to connect for the first time. */
const pauseMs = 1000;

/** A connection that is made again whenever it breaks. */
export interface Connection {
  /** The connection while it is up. What is published on one that is down would wait without bound. */
  current(): NatsConnection | undefined;
  /** Why it is not up. */
  reason(): string;
  close(): Promise<void>;
}

/**
 * Connects. Resolves when there is a connection, or when the first attempt has failed: a server that is away when the
 * hub starts is the same as one that goes away later. Rejects when a file cannot be read.
 *
 * @param onUp called each time when the connection is there; it never rejects
 */
export async function openConnection(
  config: NatsConfig,
  host: Pick<Host, "name" | "folder" | "log">,
  onUp: (connection: NatsConnection) => void | Promise<void>,
): Promise<Connection> {
  // Loaded here: a command line that names no such adapter does not wait for it.
  const nats = await import("@nats-io/transport-node");
  const { connectNats } = await import("./transport.ts");
  const options = await optionsOf(config, host, nats);
  const closing = new AbortController();
  let connection: NatsConnection | undefined;
  let up = false;
  let why = "it is not connected yet";

  const down = (reason: string): void => {
    if (closing.signal.aborted) return;
    if (up || why !== reason) host.log.warn({ reason }, "there is no connection to nats");
    up = false;
    why = reason;
  };
  const isUp = (made: NatsConnection): void => {
    host.log.info({ server: made.getServer(), version: made.info?.version }, "nats is connected");
    up = true;
    void onUp(made);
  };

  /** One connection, from its first moment until it is closed for good. */
  const live = async (made: NatsConnection): Promise<void> => {
    connection = made;
    isUp(made);
    let told: string | undefined;
    for await (const status of made.status()) {
      if (status.type === "disconnect") down("the connection broke");
      else if (status.type === "reconnect") isUp(made);
      else if (status.type === "error" && status.error.message !== told) {
        // What the hub may not do it tries again and again.
        told = status.error.message;
        host.log.warn({ err: status.error }, "nats tells of an error");
      }
    }
    const error = await made.closed();
    down(error === undefined ? "the connection was closed" : textOf(error));
    connection = undefined;
  };
  const attempt = async (): Promise<NatsConnection | undefined> => {
    try {
      const made = await connectNats(options);
      if (!closing.signal.aborted) return made;
      await made.close();
    } catch (error) {
      down(textOf(error));
    }
    return undefined;
  };
  let made = await attempt();
  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      if (made !== undefined) await live(made);
      await setTimeout(pauseMs, undefined, { ref: false, signal: closing.signal }).catch(() => undefined);
      if (!closing.signal.aborted) made = await attempt();
    }
  };
  const running = run();
  return {
    current: () => (up ? connection : undefined),
    reason: () => why,
    async close() {
      closing.abort();
      await connection?.close();
      await running;
    },
  };
}

/** What an error says, for the log and for operators. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function optionsOf(
  config: NatsConfig,
  host: Pick<Host, "name" | "folder">,
  nats: typeof import("@nats-io/transport-node"),
): Promise<ConnectionOptions> {
  const { servers, timeout, tls } = config;
  const wantsTls = tls !== undefined || servers.some((server) => server.startsWith("tls:"));
  const authenticator = await authenticatorOf(config, host.folder, nats);
  return {
    servers,
    name: `weir ${host.name}`,
    timeout,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 250,
    // A server that refuses who the hub is may take it again when an operator has mended that.
    ignoreAuthErrorAbort: true,
    pingInterval: 10_000,
    noAsyncTraces: true,
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(wantsTls
      ? {
          tls: {
            ...(await readTls(tls, host.folder)),
            ...(tls?.handshakeFirst === true ? { handshakeFirst: true } : {}),
          },
        }
      : {}),
  };
}

async function authenticatorOf(
  config: NatsConfig,
  folder: string,
  nats: typeof import("@nats-io/transport-node"),
): Promise<Authenticator | undefined> {
  const { user, password, token, nkeyFile, credentialsFile } = config;
  if (user !== undefined)
    return nats.usernamePasswordAuthenticator(
      user,
      password === undefined ? undefined : await readSecret(password, folder),
    );
  if (token !== undefined) return nats.tokenAuthenticator(await readSecret(token, folder));
  if (nkeyFile !== undefined) {
    const seed = await readSecret({ file: nkeyFile }, folder);
    return nats.nkeyAuthenticator(Buffer.from(seed.trim()));
  }
  if (credentialsFile !== undefined) return nats.credsAuthenticator(await readFile(resolve(folder, credentialsFile)));
  return undefined;
}
