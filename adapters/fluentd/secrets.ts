import { readSecret } from "weir/sdk/zod";
import type { FluentdConfig } from "./config.ts";
import type { Credentials } from "./handshake.ts";

/** What proves who the hub is; `undefined` where there is no shared key. Rejects when a file cannot be read, or is empty. */
export async function readCredentials(config: FluentdConfig, folder: string): Promise<Credentials | undefined> {
  const { hostname, sharedKey, user, password } = config;
  if (sharedKey === undefined) return undefined;
  return {
    hostname,
    sharedKey: await readSecret(sharedKey, folder),
    ...(user !== undefined &&
      password !== undefined && { user: { name: user, password: await readSecret(password, folder) } }),
  };
}
