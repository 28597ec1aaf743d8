import { createSocket, type Socket } from "node:dgram";
import { lookup as systemLookup } from "node:dns/promises";
import { once } from "node:events";
import type { Host } from "weir/sdk";
import type { Target } from "./target.ts";

/** How many datagrams, and how long, without news of a failure until it is told that there is none. */
const goodAfter = 4;
const goodAfterMs = 5000;

/** All addresses of a name. */
export type Lookup = (host: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

export interface UdpTargetOptions {
  readonly host: string;
  readonly port: number;
  /** How often the name is looked up, in milliseconds. */
  readonly resolveMs: number;
  readonly hub: Pick<Host, "log" | "count" | "every" | "monotonic">;
  /** Default: the system's. */
  readonly lookup?: Lookup;
}

/**
 * A server behind UDP. Its name is looked up again and again; an address that is still among the answers stays in use, and
 * so does the last one known while the name has none. The socket is connected, so that the system tells when nobody
 * listens there.
 */
export async function openUdpTarget(options: UdpTargetOptions): Promise<Target> {
  const { host, port, resolveMs, hub } = options;
  const lookup = options.lookup ?? ((name: string) => systemLookup(name, { all: true }));
  let current: { readonly socket: Socket; readonly address: string } | undefined;
  /** What goes wrong, so that a line is written when a trouble begins and when it ends. */
  const troubles = new Set<"resolve" | "send">();
  /** Datagrams that nothing was heard of since one failed, and when that was. */
  let unheard = 0;
  let failedAt = 0;
  let closed = false;

  function trouble(kind: "resolve" | "send", error: unknown, message: string): void {
    if (troubles.has(kind)) return;
    troubles.add(kind);
    hub.log.warn({ host, port, reason: (error as Error).message }, message);
  }

  function lost(error: Error): void {
    unheard = 0;
    failedAt = hub.monotonic();
    hub.count("datagram_failed");
    trouble("send", error, "datagrams do not reach the statsd server");
  }

  async function connect(address: string, family: number): Promise<Socket> {
    const socket = createSocket(family === 6 ? "udp6" : "udp4");
    socket.unref();
    try {
      socket.connect(port, address);
      await once(socket, "connect");
    } catch (error) {
      socket.close();
      throw error;
    }
    // That nobody took a datagram comes here, or with the next one that is sent.
    socket.on("error", lost);
    return socket;
  }

  async function resolve(): Promise<void> {
    try {
      const found = await lookup(host);
      if (found.length === 0) throw new Error(`${host} has no address`);
      if (found.some(({ address }) => address === current?.address)) return;
      const { address, family } = found[0]!;
      const socket = await connect(address, family);
      if (closed) return void socket.close();
      current?.socket.close();
      current = { socket, address };
      if (troubles.delete("resolve")) hub.log.info({ host, address }, "the statsd server has an address again");
    } catch (error) {
      hub.count("resolve_failed");
      trouble("resolve", error, "the statsd server has no address; it is looked up again");
    }
  }

  await resolve();
  hub.every(resolveMs, resolve);

  return {
    isKnown: () => current !== undefined,
    unready: () => (current === undefined ? `${host} has no address` : undefined),
    async send(datagram) {
      let error = await sendBy(current?.socket, datagram);
      if (error?.code === "ECONNREFUSED") {
        // Of the datagram before: this one was not sent (udp(7) of Linux, "Error handling").
        lost(error);
        error = await sendBy(current?.socket, datagram);
      }
      if (error !== undefined) {
        lost(error);
        return "lost";
      }
      // That one was not taken is heard later: no news counts as good after a while only.
      if (++unheard < goodAfter || hub.monotonic() - failedAt < goodAfterMs) return "sent";
      if (troubles.delete("send")) hub.log.info({ host, port }, "datagrams reach the statsd server again, as it seems");
      return "sent";
    },
    async close() {
      closed = true;
      current?.socket.close();
      current = undefined;
    },
  };
}

function sendBy(socket: Socket | undefined, datagram: Uint8Array): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((done) => {
    if (socket === undefined) return done(new Error("the address is not known"));
    try {
      socket.send(datagram, (error) => done(error ?? undefined));
    } catch (error) {
      // It was closed meanwhile: the name has another address.
      done(error as Error);
    }
  });
}
