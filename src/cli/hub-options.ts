import { resolve } from "node:path";
import type { Command } from "commander";
import type { ClientTls } from "../client/index.ts";
import { readTextFile } from "../util/text-file.ts";
import { WeirError } from "../util/weir-error.ts";
import { readAddress } from "./hub-address.ts";

/** How a hub is called. */
export interface TlsOptions {
  readonly tls?: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
}

/** What a command that calls a hub is told of it. */
export interface HubOptions extends TlsOptions {
  readonly address: string;
}

/** Adds the options that say where a hub is and how it is called. */
export function addHubOptions(command: Command): Command {
  return addTlsOptions(
    command.option("--address <host:port>", "gRPC listener of the hub", readAddress, "127.0.0.1:9091"),
    "--address",
  );
}

/** Adds the options of TLS. `address` is the option that says where the hub is. */
export function addTlsOptions(command: Command, address: string): Command {
  return command
    .option("--tls", "call over TLS; --ca, --cert and --server-name ask for it too")
    .option("--ca <file>", "PEM file of the authorities of the hub's certificate (default: the system's)")
    .option("--cert <file>", "PEM file of a certificate to show, with --key")
    .option("--key <file>", "PEM file of its key")
    .option("--server-name <name>", `name that the hub's certificate has (default: the host of ${address})`);
}

const maxFileBytes = 4 * 1024 * 1024;

/** Reads the files that the options name. Throws WEIR_USAGE. */
export async function readTls(options: TlsOptions, cwd: string): Promise<{ readonly tls?: ClientTls }> {
  const { ca, cert, key, serverName } = options;
  if ((cert === undefined) !== (key === undefined)) throw new WeirError("WEIR_USAGE", "--cert and --key go together");
  if (options.tls !== true && ca === undefined && cert === undefined && serverName === undefined) return {};
  const files = await Promise.all(
    Object.entries({ ca, cert, key }).map(async ([name, path]) => {
      if (path === undefined) return [];
      const text = await readTextFile(resolve(cwd, path), maxFileBytes);
      if (typeof text === "string") return [[name, text] as const];
      throw new WeirError("WEIR_USAGE", `--${name}: ${path} could not be read: ${text.message}`);
    }),
  );
  return { tls: { ...Object.fromEntries(files.flat()), ...(serverName !== undefined && { serverName }) } };
}
