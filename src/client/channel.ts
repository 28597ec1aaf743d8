import { Client, credentials } from "@grpc/grpc-js";
import { WeirError } from "../util/weir-error.ts";

/** How a hub is called over TLS. PEM. */
export interface ClientTls {
  /** The authorities whose certificates the hub may have. Default: those of the system. */
  readonly ca?: string | Buffer;
  /** The client's own certificate, those that lead to its authority after it, and its key: both or none. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** The name that the hub's certificate must have. Default: the host of the address. */
  readonly serverName?: string;
}

/** A gRPC client with a connection of its own. Throws WEIR_USAGE for certificates that cannot be used. */
export function openChannel(address: string, tls: ClientTls | undefined): Client {
  const ownConnection = { "grpc.use_local_subchannel_pool": 1 };
  if (tls === undefined) return new Client(address, credentials.createInsecure(), ownConnection);
  const { ca, cert, key, serverName } = tls;
  const bytes = (pem: string | Buffer | undefined): Buffer | null => (pem === undefined ? null : Buffer.from(pem));
  let channel;
  try {
    channel = credentials.createSsl(bytes(ca), bytes(key), bytes(cert));
  } catch (error) {
    const message = `TLS cannot be had with these certificates: ${(error as Error).message}`;
    throw new WeirError("WEIR_USAGE", message, { cause: error });
  }
  return new Client(address, channel, {
    ...ownConnection,
    ...(serverName !== undefined && {
      "grpc.ssl_target_name_override": serverName,
      "grpc.default_authority": serverName,
    }),
  });
}
