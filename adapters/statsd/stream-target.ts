import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Host } from "weir/sdk";
import type { Sent, Target } from "./target.ts";

export interface StreamTargetOptions {
  /** Of the Unix socket. */
  readonly path: string;
  /** How datagrams are told apart: each behind its length, or each ended by a line feed. */
  readonly framing: "length" | "lines";
  /** How long the server may let a datagram wait, in milliseconds. */
  readonly timeoutMs: number;
  readonly hub: Pick<Host, "log" | "count" | "every">;
}

/** How often it is tried to connect. */
const retryMs = 1000;

/**
 * A server behind a Unix stream socket. A server that is away is looked for again and again, and one that takes nothing
 * for too long is left and connected to anew. What the system took and the server did not read is lost with a connection,
 * and nobody can tell.
 */
export async function openStreamTarget({ path, framing, timeoutMs, hub }: StreamTargetOptions): Promise<Target> {
  let current: Socket | undefined;
  /** The connection, unless it has ended and does not say so yet. */
  const usable = (): Socket | undefined => (current?.writable === true ? current : undefined);
  /** Whether it was told that there is no connection. */
  let told = false;
  let closed = false;

  function down(reason: string): void {
    if (told || closed) return;
    told = true;
    hub.log.warn({ path, reason }, "there is no connection to the statsd server; it is made again");
  }

  async function connectOnce(): Promise<void> {
    if (current !== undefined || closed) return;
    const socket = connect(path);
    socket.unref();
    try {
      // It is there or not: nobody waits for a Unix socket (connect(2), EAGAIN).
      await once(socket, "connect");
    } catch (error) {
      hub.count("connect_failed");
      return down((error as Error).message);
    }
    if (closed) return void socket.destroy();
    let reason = "the server closed it";
    socket.on("error", (error) => (reason = error.message));
    socket.on("close", () => {
      if (current === socket) current = undefined;
      down(reason);
    });
    // A server says nothing; what one says anyway is not kept.
    socket.resume();
    current = socket;
    if (told) hub.log.info({ path }, "the statsd server is connected again");
    told = false;
  }

  await connectOnce();
  hub.every(retryMs, connectOnce);

  return {
    isKnown: () => usable() !== undefined,
    unready: () => (usable() === undefined ? `nobody takes datagrams at ${path}` : undefined),
    async send(datagram) {
      const socket = usable();
      if (socket === undefined) return "refused";
      const sent = await write(socket, frame(datagram, framing), timeoutMs);
      if (sent === "lost") hub.count("datagram_failed");
      return sent;
    },
    async close() {
      closed = true;
      const socket = current;
      if (socket === undefined) return;
      // All of it was handed on: only the end is to be told.
      socket.end();
      socket.destroySoon();
    },
  };
}

/**
 * A datagram as a stream has it. Agents that speak DogStatsD take it behind its length, 32 bits in little endian
 * (DataDog/datadog-agent, comp/dogstatsd/listeners/uds_common.go); what reads lines, with a line feed at its end (statsd,
 * servers/tcp.js).
 */
function frame(datagram: Uint8Array, framing: StreamTargetOptions["framing"]): Uint8Array {
  if (framing === "lines") return Buffer.concat([datagram, Buffer.from("\n")]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(datagram.length);
  return Buffer.concat([length, datagram]);
}

/** Resolves when the system has taken the bytes, or the connection has ended; ends it when that takes too long. */
function write(socket: Socket, bytes: Uint8Array, timeoutMs: number): Promise<Sent> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(new Error(`the server took nothing for ${timeoutMs} ms`)), timeoutMs);
    socket.write(bytes, (error) => {
      clearTimeout(timer);
      // Of a write that a destroyed socket gave up Node tells no error.
      resolve(error || socket.destroyed ? "lost" : "sent");
    });
  });
}
