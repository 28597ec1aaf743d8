import { createServer, type Server as TcpServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { openGate, type Gate } from "../../listen/gate.ts";
import type { Log } from "../../sdk/index.ts";
import { listen } from "../../util/listen.ts";
import type { Observer } from "../../util/observer.ts";
import { systemTimers, type Timers } from "../../util/timers.ts";
import type { GrpcDoor } from "../call.ts";
import { Deadlines } from "../deadlines.ts";
import type { CallOwner, OpenStream } from "./call-owner.ts";
import type { GrpcHead, Method } from "./head.ts";
import { GrpcRequests } from "./requests.ts";
import { createHealth } from "../health.ts";
import { HeldBytes } from "../held-bytes.ts";
import type { ConnectionOptions } from "../http2/connection-options.ts";
import { Connection } from "../http2/connection.ts";
import { ChunkPool } from "../http2/outbox.ts";
import { Inflater } from "../inflater.ts";
import { PiecePool } from "../piece-pool.ts";
import { ReadMemory } from "../read-memory.ts";
import { createReflection } from "../reflection.ts";

export interface GrpcServerOptions {
  /** Who comes in. Default: everybody, in plain text. */
  readonly gate?: Gate;
  readonly doors: readonly GrpcDoor[];
  readonly limits: {
    /** The largest message taken, in bytes. */
    readonly messageBytes: number;
    /** Concurrent calls on one connection. */
    readonly streamsPerConnection: number;
  };
  readonly observer: Observer;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set and tells fractions, such as `performance.now`. */
  readonly monotonic: () => number;
  /** Default: Node's. */
  readonly timers?: Timers;
}

/** The gRPC listener: doors, health and reflection on one port. */
export interface GrpcServer {
  /**
   * Listens on `host:port`; port 0 takes a free one. Answers the address that it listens on. Throws WEIR_LISTEN.
   * May be called for several addresses.
   */
  listen(address: string): Promise<string>;
  /**
   * Stops in order: health says NOT_SERVING, no new connection or call is taken, calls in flight finish, streams answer
   * what they have read and end with UNAVAILABLE. When `force` is aborted, what is left is cut. Never throws.
   */
  drain(force: AbortSignal): Promise<void>;
}

/** Connections on one address; a mesh has one or a few a proxy. */
const maxConnections = 10_000;
/**
 * How many messages of the largest size may be held at once, over all connections: so many, but of large ones no more
 * than the bytes allow, or than are needed to go on.
 */
const messagesHeld = { most: 64, least: 4, bytes: 256 * 1024 * 1024 } as const;
/** Bytes of frames that have not come whole, and of answers that are not taken, over all connections. */
const maxFrameBytes = 16 * 1024 * 1024;
const maxUnreadBytes = 64 * 1024 * 1024;

/** Makes a gRPC listener that hands the doors bytes and takes bytes back, on our own HTTP/2 (`http2/`). */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const { observer, log, now, monotonic, timers = systemTimers, gate = openGate } = options;
  const { messageBytes, streamsPerConnection } = options.limits;
  const services = new Set(options.doors.flatMap(servicesOf));
  const health = createHealth(services);
  const reflection = createReflection([...services, ...servicesOf(health.door)]);

  const methods = new Map<string, Method>();
  for (const door of [...options.doors, health.door, ...reflection]) {
    for (const [path, unary] of door.unary) methods.set(path, { door: door.name, name: nameOf(path), unary });
    for (const [path, duplex] of door.duplex) methods.set(path, { door: door.name, name: nameOf(path), duplex });
  }

  const streams = new Set<OpenStream>();
  const dropped = (what: string, reason: string) => () => observer.dropped(what, reason, 1);
  let isDraining = false;
  const owner: CallOwner = {
    observer,
    log,
    now,
    monotonic,
    maxMessageBytes: messageBytes,
    held: new HeldBytes(maxHeldBytes(messageBytes), dropped("call", "messages_unfinished")),
    messages: new PiecePool(),
    deadlines: new Deadlines(timers, monotonic),
    inflater: new Inflater(messageBytes),
    streams,
    get isDraining() {
      return isDraining;
    },
  };
  const connectionOptions: ConnectionOptions = {
    maxStreams: streamsPerConnection,
    pool: new ChunkPool(),
    memory: new ReadMemory(),
    pieces: new PiecePool(),
    frames: new HeldBytes(maxFrameBytes, dropped("connection", "frames_unfinished")),
    unread: new HeldBytes(maxUnreadBytes, dropped("connection", "answers_unread")),
    observer,
    log,
    monotonic,
    timers,
  };

  const listeners: TcpServer[] = [];
  const connections = new Set<Connection<GrpcHead>>();
  let allGone: (() => void) | undefined;

  const serveConnection = (socket: Socket): void => {
    if (socket.destroyed) return;
    const requests = new GrpcRequests(methods, socket.remoteAddress ?? "", gate.guest(socket), owner);
    const connection = new Connection(socket, requests, connectionOptions);
    connections.add(connection);
    socket.once("close", () => {
      connections.delete(connection);
      if (connections.size === 0) allGone?.();
    });
    if (isDraining) connection.drain();
  };

  return {
    async listen(address) {
      const listener = createListener(gate, serveConnection);
      listener.maxConnections = maxConnections;
      listener.on("drop", dropped("connection", "too_many"));
      const bound = await listen(listener, address);
      listeners.push(listener);
      return bound;
    },
    async drain(force) {
      isDraining = true;
      health.stop();
      for (const listener of listeners) listener.close();
      gate.shut();
      for (const connection of connections) connection.drain();
      for (const stream of streams) stream.drain();
      const done = new Promise<void>((resolve) => (allGone = resolve));
      if (connections.size === 0) return;
      const cut = () => {
        for (const connection of connections) connection.destroy();
      };
      if (force.aborted) cut();
      else force.addEventListener("abort", cut, { once: true });
      await done;
      force.removeEventListener("abort", cut);
    },
  };
}

function maxHeldBytes(messageBytes: number): number {
  const { most, least, bytes } = messagesHeld;
  return Math.max(least * messageBytes, Math.min(most * messageBytes, bytes));
}

function createListener(gate: Gate, serveConnection: (socket: Socket) => void): TcpServer {
  if (gate.tls === undefined) return createServer({ noDelay: true }, serveConnection);
  const server = createTlsServer({ ...gate.tls, ALPNProtocols: ["h2"], noDelay: true }, serveConnection);
  gate.guard(server);
  return server;
}

/** `weir.v1.Weir` for each method `/weir.v1.Weir/Check` of a door. */
function servicesOf(door: GrpcDoor): string[] {
  return [...door.unary.keys(), ...door.duplex.keys()].map((path) => path.slice(1, path.lastIndexOf("/")));
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
