import { createConnection, type Socket } from "node:net";
import type { ConnectionOptions, NatsConnection } from "@nats-io/transport-node";
import { NatsConnectionImpl, setTransportFactory } from "@nats-io/transport-node/lib/nats-base-client.js";
import { NodeTransport, nodeResolveHost } from "@nats-io/transport-node/lib/node_transport.js";

/** Connects as the client's own `connect` does, and leaves nothing open of an attempt that ran out of time. */
export function connectNats(options: ConnectionOptions): Promise<NatsConnection> {
  setTransportFactory({ factory: () => new EndingTransport(), dnsResolveFn: nodeResolveHost });
  return NatsConnectionImpl.connect(options);
}

/**
 * The client's transport keeps the socket of an attempt that a server took and did not answer in time, as one that hangs
 * does: one more with each attempt, and a command that is done would not end.
 */
class EndingTransport extends NodeTransport {
  #dialed: Socket | undefined;

  override dial({ hostname, port }: { hostname: string; port: number }): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(port, hostname);
      this.#dialed = socket;
      let fault: Error | undefined;
      socket.once("connect", () => {
        // Whoever asked listens from here on.
        socket.removeAllListeners();
        resolve(socket);
      });
      socket.once("error", (error) => (fault = error));
      socket.once("close", () => reject(fault ?? new Error("the connection was closed")));
      socket.setNoDelay(true);
    });
  }

  override async close(error?: Error): Promise<void> {
    const isMade = this.connected;
    await super.close(error);
    if (isMade) return;
    this.done = true;
    this.socket?.destroy();
    this.#dialed?.destroy();
  }
}
