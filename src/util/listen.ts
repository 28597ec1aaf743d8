import type { AddressInfo, Server } from "node:net";
import { WeirError } from "./weir-error.ts";

/**
 * Makes a server listen on `host:port` (`[::1]:9091` for IPv6; port 0 takes a free one) and answers the address that it
 * listens on, in the same form. Throws WEIR_LISTEN for a text that is no address and for one that cannot be had.
 */
export function listen(server: Server, address: string): Promise<string> {
  const { host, port } = parseAddress(address);
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      const reason = reasons[error.code ?? ""] ?? error.message;
      reject(new WeirError("WEIR_LISTEN", `cannot listen on ${address}: ${reason}`, { cause: error }));
    };
    server.once("error", failed);
    server.listen({ host, port }, () => {
      server.off("error", failed);
      resolve(address.replace(/:\d+$/, `:${(server.address() as AddressInfo).port}`));
    });
  });
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "something listens there already",
  EADDRNOTAVAIL: "it is no address of this machine",
  EACCES: "the process may not listen there",
  ENOTFOUND: "no host has this name",
};

function parseAddress(address: string): { host: string; port: number } {
  const m = /^(?:\[([0-9A-Za-z:.%]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(address);
  const port = Number(m?.[3]);
  if (m === null || port > 65535) {
    throw new WeirError("WEIR_LISTEN", `expected an address such as 127.0.0.1:9091 or [::1]:9091, and got ${address}`);
  }
  return { host: (m[1] ?? m[2])!, port };
}
