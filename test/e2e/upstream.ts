import { createServer as createHttp, type IncomingHttpHeaders, type RequestListener } from "node:http";
import { createServer as createHttp2, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { once } from "node:events";

/** What a service behind a proxy got. */
export interface Seen {
  readonly version: string;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A service behind a proxy: HTTP/1.1, HTTP/2 without TLS and gRPC on one port. */
export interface Upstream {
  readonly address: string;
  /** Every request that reached it, in order. */
  readonly seen: readonly Seen[];
  close(): void;
}

/**
 * Starts a service that answers each request with what it saw of it, as JSON; a gRPC call with the message that came.
 */
export async function startUpstream(): Promise<Upstream> {
  const seen: Seen[] = [];
  const answer = async (
    request: AsyncIterable<Buffer> & Pick<Http2ServerRequest, "method" | "url" | "httpVersion" | "headers">,
    response: Http2ServerResponse,
  ): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url: path, httpVersion: version, headers } = request;
    const body = Buffer.concat(chunks);
    const it = { version, method, path, headers, body: body.toString() };
    seen.push(it);
    if (headers["content-type"] === "application/grpc") {
      response.writeHead(200, { "content-type": "application/grpc" });
      response.addTrailers({ "grpc-status": "0" });
      response.end(body);
      return;
    }
    response.writeHead(200, { "content-type": "application/json", "x-upstream": "here" });
    response.end(JSON.stringify(it));
  };
  const http = createHttp(answer as unknown as RequestListener);
  const http2 = createHttp2((request, response) => void answer(request, response));
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
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
