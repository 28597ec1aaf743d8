import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { headerText, type OtlpConfig } from "./config.ts";

/** How the receiver is spoken to over TLS. PEM. */
export interface Tls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly serverName?: string;
}

/** Reads the files that `tls` names. Rejects when one cannot be read. */
export async function readTls(tls: OtlpConfig["tls"], folder: string): Promise<Tls> {
  const read = (path: string): Promise<Buffer> => readFile(resolve(folder, path));
  return {
    ...(tls?.ca === undefined ? {} : { ca: await read(tls.ca) }),
    ...(tls?.cert === undefined ? {} : { cert: await read(tls.cert) }),
    ...(tls?.key === undefined ? {} : { key: await read(tls.key) }),
    ...(tls?.serverName === undefined ? {} : { serverName: tls.serverName }),
  };
}

/** The header fields with the values that lie in files. Rejects when one cannot be read, or holds what no header may. */
export async function readHeaders(headers: OtlpConfig["headers"], folder: string): Promise<Record<string, string>> {
  const read: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === "string") {
      read[name] = value;
      continue;
    }
    const text = (await readFile(resolve(folder, value.file), "utf8")).replace(/\r?\n$/, "");
    // The text is not shown: it is a secret.
    if (!headerText.test(text))
      throw new Error(`${value.file}: expected one line of printable ASCII for header ${name}`);
    read[name] = text;
  }
  return read;
}
