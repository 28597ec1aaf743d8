import { once } from "node:events";
import type { Server as HttpServer } from "node:http";
import type { Http2Server } from "node:http2";
import { createServer, type AddressInfo, type Socket } from "node:net";

/** What listens, and where. */
export interface Listening {
  readonly port: number;
  /** Ends it with all its connections. */
  close(): void;
}

/** Listens on one free port for both HTTP/1.1 and HTTP/2 without TLS; the servers given do not listen themselves. */
export async function listenForBoth(http: HttpServer, http2: Http2Server): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    // The first bytes tell the protocol.
    socket.once("readable", () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      socket.unshift(chunk);
      (chunk.toString("latin1", 0, 3) === "PRI" ? http2 : http).emit("connection", socket);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
