import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { z } from "zod";

const path = z.string().min(1);

/** The name that a server's certificate must have, and that it is asked for by (SNI). Default: the host. */
export const serverName = z.string().min(1).optional();

/**
 * How a server is spoken to over TLS: files in PEM. Without `ca` the system's authorities are trusted; `cert` and `key`
 * say who the hub is. What an adapter knows beside these goes into `more`, such as {@link serverName}.
 */
export function tlsFiles<const More extends z.core.$ZodLooseShape>(more: More) {
  return z
    .strictObject({ ca: path.optional(), cert: path.optional(), key: path.optional(), ...more })
    .superRefine((files, context) => {
      const { cert, key } = files as TlsFiles;
      if ((cert === undefined) !== (key === undefined))
        context.addIssue({ code: "custom", message: "cert and key belong together" });
    });
}

interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly serverName?: string | undefined;
}

/** What the files hold, under the names that `node:tls` has for it. */
export interface Tls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}

/** Reads the files that {@link tlsFiles} names. Relative paths are meant from `folder`. Rejects when one cannot be read. */
export async function readTls(files: TlsFiles | undefined, folder: string): Promise<Tls> {
  const read = (file: string): Promise<string> => readFile(resolve(folder, file), "utf8");
  return {
    ...(files?.ca === undefined ? {} : { ca: await read(files.ca) }),
    ...(files?.cert === undefined ? {} : { cert: await read(files.cert) }),
    ...(files?.key === undefined ? {} : { key: await read(files.key) }),
    ...(files?.serverName === undefined ? {} : { servername: files.serverName }),
  };
}
