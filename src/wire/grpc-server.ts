import { createServer as createTcpServer, type Server as TcpServer, type Socket } from "node:net";
import { Server, ServerCredentials, type ServerInterceptor } from "@grpc/grpc-js";
import type { Log } from "../sdk/index.ts";
import type { Observer } from "../util/observer.ts";
import { listen } from "../util/listen.ts";
import type { GrpcDoor } from "./call.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { MethodCall, type CallOwner, type Method, type OpenStream } from "./grpc-call.ts";
import { DuplexCall } from "./grpc-duplex-call.ts";
import { UnaryCall } from "./grpc-unary-call.ts";
import { createHealth } from "./health.ts";
import { HeldBytes } from "./held-bytes.ts";
import { createReflection } from "./reflection.ts";

export interface GrpcServerOptions {
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
const keepaliveMs = 60_000;
const keepaliveTimeoutMs = 20_000;
/** Megabytes that one connection may hold in HTTP/2 buffers before it gets no further streams. */
const sessionMegabytes = 128;
/** How many messages of the largest size may be on their way at once, over all connections. */
const messagesOnTheWay = 64;

/** Makes a gRPC listener on @grpc/grpc-js that hands the doors bytes and takes bytes back. */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const { observer, log, now, monotonic } = options;
  const { messageBytes } = options.limits;
  const services = new Set(options.doors.flatMap(servicesOf));
  const health = createHealth(services);
  const reflection = createReflection([...services, ...servicesOf(health.door)]);

  const methods = new Map<string, Method>();
  for (const door of [...options.doors, health.door, ...reflection]) {
    for (const [path, unary] of door.unary) methods.set(path, { door: door.name, name: nameOf(path), unary });
    for (const [path, duplex] of door.duplex) methods.set(path, { door: door.name, name: nameOf(path), duplex });
  }

  const streams = new Set<OpenStream>();
  const owner: CallOwner = { observer, log, now, monotonic, streams };
  // The interceptor takes each call over from grpc-js's own handlers: they would read ahead and buffer without limit.
  const held = new HeldBytes(messagesOnTheWay * messageBytes, () => observer.dropped("call", "messages_unfinished", 1));
  const takeOver: ServerInterceptor = ({ path }, call) => {
    const method = methods.get(path)!;
    const frames = new FrameDecoder(messageBytes, held);
    // No option of grpc-js bounds what it holds of messages that do not come whole.
    (call as unknown as { decoder: Pick<FrameDecoder, "write"> }).decoder = frames;
    return new MethodCall(call, (next) =>
      method.unary === undefined
        ? new DuplexCall(next, method, owner, frames)
        : new UnaryCall(next, method, owner, frames),
    );
  };
  const server = new Server({
    "grpc.max_receive_message_length": messageBytes,
    "grpc.max_send_message_length": -1,
    "grpc.max_concurrent_streams": options.limits.streamsPerConnection,
    "grpc.keepalive_time_ms": keepaliveMs,
    "grpc.keepalive_timeout_ms": keepaliveTimeoutMs,
    "grpc-node.max_session_memory": sessionMegabytes,
    "grpc.enable_channelz": 0,
    interceptors: [takeOver],
  });
  for (const [path, method] of methods) {
    server.register(path, unreachable, asBuffer, identity, method.unary === undefined ? "bidi" : "unary");
  }

  // The sockets are ours, so that their number is bounded and a forced end is one.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listeners: TcpServer[] = [];
  const sockets = new Set<Socket>();
  const accept = (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    injector.injectConnection(socket);
  };

  return {
    async listen(address) {
      const listener = createTcpServer({ noDelay: true }, accept);
      listener.maxConnections = maxConnections;
      listener.on("drop", () => observer.dropped("connection", "too_many", 1));
      const bound = await listen(listener, address);
      listeners.push(listener);
      return bound;
    },
    async drain(force) {
      health.stop();
      for (const listener of listeners) listener.close();
      const done = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      for (const stream of streams) stream.drain();
      const cut = () => {
        server.forceShutdown();
        for (const socket of sockets) socket.destroy();
      };
      if (force.aborted) cut();
      else force.addEventListener("abort", cut, { once: true });
      await done;
      force.removeEventListener("abort", cut);
    },
  };
}

/** `weir.v1.Weir` for each method `/weir.v1.Weir/Check` of a door. */
function servicesOf(door: GrpcDoor): string[] {
  return [...door.unary.keys(), ...door.duplex.keys()].map((path) => path.slice(1, path.lastIndexOf("/")));
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function unreachable(): never {
  throw new Error("the interceptor takes every call");
}

function asBuffer(message: Uint8Array): Buffer {
  return Buffer.isBuffer(message) ? message : Buffer.from(message.buffer, message.byteOffset, message.byteLength);
}

function identity(message: Buffer): Buffer {
  return message;
}
