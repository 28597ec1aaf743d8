import { createServer, type AddressInfo } from "node:net";
import type { ExecutionContext } from "ava";
import { HeldBytes } from "../../../src/wire/held-bytes.ts";
import type { ConnectionOptions, Requests } from "../../../src/wire/http2/connection-options.ts";
import { Connection } from "../../../src/wire/http2/connection.ts";
import { headersFrame } from "../../../src/wire/http2/header-encoder.ts";
import { ChunkPool } from "../../../src/wire/http2/outbox.ts";
import type { RequestFields } from "../../../src/wire/http2/request-fields.ts";
import { PiecePool } from "../../../src/wire/piece-pool.ts";
import { ReadMemory } from "../../../src/wire/read-memory.ts";
import { systemTimers } from "../../../src/util/timers.ts";
import { recordingLog, recordingObserver } from "../grpc/harness.ts";

export const okHeaders = headersFrame([[":status", "200"]], false);

/** Answers a request with what it sent, or with its path when it sent nothing, once it has sent all. */
export const echo: Requests<RequestFields> = {
  read: (fields) => fields,
  begin(fields, stream) {
    const parts: Buffer[] = [];
    return {
      data: (bytes, start, end) => void parts.push(Buffer.from(bytes.subarray(start, end))),
      end() {
        stream.sendHeaders(okHeaders);
        stream.sendData(parts.length === 0 ? Buffer.from(`${fields.path} was asked`) : Buffer.concat(parts), true);
      },
      isReady: true,
      drained() {},
      gone() {},
    };
  },
};

export interface ServedHttp2 {
  readonly port: number;
  readonly observer: ReturnType<typeof recordingObserver>;
  readonly log: ReturnType<typeof recordingLog>;
  readonly connections: Connection<unknown>[];
}

/** Serves requests on a free port of loopback, until the test ends. */
export async function serveHttp2<Head>(
  t: ExecutionContext,
  requests: Requests<Head>,
  options: Partial<ConnectionOptions> = {},
): Promise<ServedHttp2> {
  const observer = recordingObserver();
  const log = recordingLog();
  const connections: Connection<unknown>[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = new Connection(socket, requests, {
      maxStreams: 100,
      pool: new ChunkPool(),
      memory: new ReadMemory(),
      pieces: new PiecePool(),
      frames: new HeldBytes(1e6, () => observer.dropped("connection", "frames_unfinished", 1)),
      unread: new HeldBytes(1e7, () => observer.dropped("connection", "answers_unread", 1)),
      observer,
      log,
      monotonic: () => performance.now(),
      timers: systemTimers,
      ...options,
    });
    connections.push(connection);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.close();
    for (const connection of connections) connection.destroy();
  });
  return { port: (server.address() as AddressInfo).port, observer, log, connections };
}
