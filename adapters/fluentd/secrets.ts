import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { FluentdConfig } from "./config.ts";
import type { Credentials } from "./handshake.ts";

/** How the server is spoken to over TLS. PEM. */
export interface Tls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** The name that the certificate must have, and that is asked for (SNI). */
  readonly servername?: string;
}

/** Reads the files that `tls` names. Rejects when one cannot be read. */
export async function readTls(tls: FluentdConfig["tls"], folder: string): Promise<Tls> {
  const read = (path: string): Promise<Buffer> => readFile(resolve(folder, path));
  return {
    ...(tls?.ca === undefined ? {} : { ca: await read(tls.ca) }),
    ...(tls?.cert === undefined ? {} : { cert: await read(tls.cert) }),
    ...(tls?.key === undefined ? {} : { key: await read(tls.key) }),
    ...(tls?.serverName === undefined ? {} : { servername: tls.serverName }),
  };
}

/** What proves who the hub is; `undefined` where there is no shared key. Rejects when a file cannot be read, or is empty. */
export async function readCredentials(config: FluentdConfig, folder: string): Promise<Credentials | undefined> {
  const sharedKey = config.sharedKey ?? (await readSecret(config.sharedKeyFile, folder));
  if (sharedKey === undefined) return undefined;
  const password = config.password ?? (await readSecret(config.passwordFile, folder));
  return {
    hostname: config.hostname,
    sharedKey,
    ...(config.user !== undefined && password !== undefined ? { user: { name: config.user, password } } : {}),
  };
}

/** A text without the end of its line. It is shown nowhere. */
async function readSecret(path: string | undefined, folder: string): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const text = (await readFile(resolve(folder, path), "utf8")).replace(/\r?\n$/, "");
  if (text === "") throw new Error(`${path}: expected a secret, the file is empty`);
  return text;
}
