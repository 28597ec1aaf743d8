import { createRequire } from "node:module";
import type { Host } from "weir/sdk";
import type { Sent, Target } from "./target.ts";

export interface DatagramTargetOptions {
  /** Of the Unix socket. */
  readonly path: string;
  /** How long a datagram may wait while the server's socket is full, in milliseconds. */
  readonly timeoutMs: number;
  readonly hub: Pick<Host, "log" | "count">;
}

/** What is used of the package `node-unix-socket`. */
interface DgramSocket {
  sendTo(bytes: Buffer, offset: number, length: number, path: string, sent: (error?: Error | null) => void): void;
  close(): void;
}

/**
 * A server behind a Unix datagram socket. Node has none, so that the package `node-unix-socket` is loaded, which is not
 * installed unless somebody asks for it. Each datagram goes to whoever listens at the path then, so that a server that
 * starts again is found without a connection. Rejects when the package is not there.
 */
export async function openDatagramTarget({ path, timeoutMs, hub }: DatagramTargetOptions): Promise<Target> {
  const Sockets = load();
  let socket = new Sockets();
  let told = false;

  function renew(): void {
    socket.close();
    socket = new Sockets();
  }

  function failed(reason: string): void {
    if (told) return;
    told = true;
    hub.log.warn({ path, reason }, "datagrams do not reach the statsd server");
  }

  return {
    isKnown: () => true,
    unready: () => (told ? `nobody takes datagrams at ${path}` : undefined),
    async send(datagram) {
      const problem = await sendBy(socket, datagram, path, timeoutMs);
      if (problem === undefined) {
        if (told) hub.log.info({ path }, "datagrams reach the statsd server again");
        told = false;
        return "sent";
      }
      failed(problem.reason);
      // It may still be sent: with the socket it goes for certain.
      if (problem.waits) renew();
      if (problem.sent === "lost") hub.count("datagram_failed");
      return problem.sent;
    },
    async close() {
      socket.close();
    },
  };
}

/** Beside weir, or in a folder of NODE_PATH. */
function load(): new () => DgramSocket {
  try {
    const { DgramSocket } = createRequire(import.meta.url)("node-unix-socket") as {
      DgramSocket: new () => DgramSocket;
    };
    return DgramSocket;
  } catch (error) {
    throw new Error(
      "unixgram:// needs the package node-unix-socket beside weir or in NODE_PATH (npm install node-unix-socket): Node itself has no Unix datagram sockets",
      { cause: error },
    );
  }
}

interface Problem {
  readonly sent: Exclude<Sent, "sent">;
  readonly reason: string;
  /** Whether the datagram is still waiting for room. */
  readonly waits?: boolean;
}

function sendBy(
  socket: DgramSocket,
  datagram: Uint8Array,
  path: string,
  timeoutMs: number,
): Promise<Problem | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(
      () => resolve({ sent: "lost", reason: `the server took nothing for ${timeoutMs} ms`, waits: true }),
      timeoutMs,
    );
    const ended = (error: Error | undefined | null): void => {
      clearTimeout(timer);
      // One that is too long would be refused for ever (EMSGSIZE); every other error says that nobody took it.
      if (error) resolve({ sent: /too long/i.test(error.message) ? "lost" : "refused", reason: error.message });
      else resolve(undefined);
    };
    try {
      socket.sendTo(Buffer.from(datagram), 0, datagram.length, path, ended);
    } catch (error) {
      ended(error as Error);
    }
  });
}
