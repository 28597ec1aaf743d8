import { Client, credentials, Metadata, type ClientDuplexStream, type ServiceError } from "@grpc/grpc-js";
import type { ExecutionContext } from "ava";
import { createGrpcServer, type GrpcServer } from "../../../src/wire/grpc/server.ts";
import type { Duplex, GrpcDoor, Unary } from "../../../src/wire/call.ts";
import type { Log } from "../../../src/sdk/index.ts";
import type { Observer } from "../../../src/util/observer.ts";

/** A promise that the test settles. */
export function controlled<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** An observer that remembers calls and drops. */
export function recordingObserver(): Observer & { calls: string[]; drops: string[]; uses: string[] } {
  const calls: string[] = [];
  const drops: string[] = [];
  const uses: string[] = [];
  return {
    calls,
    drops,
    uses,
    call: (door, method, code) => void calls.push(`${door} ${method} ${code}`),
    decision() {},
    refusal() {},
    ruleFault() {},
    limitDegraded() {},
    adapterCall() {},
    quotaUse: (rule, allowed, denied) => void uses.push(`${rule} ${allowed} ${denied}`),
    adapterEvent() {},
    dropped: (what, reason, by) => void drops.push(`${what} ${reason} ${by}`),
    callerRefused: (at, reason) => void drops.push(`caller ${at} ${reason}`),
    reload() {},
  };
}

/** A log that remembers its lines. */
export function recordingLog(): Log & { lines: { level: string; fields: object; message: string }[] } {
  const lines: { level: string; fields: object; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

export interface Served {
  readonly server: GrpcServer;
  readonly address: string;
  readonly client: Client;
  readonly observer: ReturnType<typeof recordingObserver>;
  readonly log: ReturnType<typeof recordingLog>;
}

/** Serves doors on a free port, with a client; both end with the test. */
export async function serve(
  t: ExecutionContext,
  doors: readonly GrpcDoor[],
  limits: Partial<{ messageBytes: number; streamsPerConnection: number }> = {},
): Promise<Served> {
  const observer = recordingObserver();
  const log = recordingLog();
  const server = createGrpcServer({
    doors,
    limits: { messageBytes: 1024 * 1024, streamsPerConnection: 1024, ...limits },
    observer,
    log,
    now: Date.now,
    monotonic: () => performance.now(),
  });
  const address = await server.listen("127.0.0.1:0");
  const client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  t.teardown(async () => {
    client.close();
    await server.drain(AbortSignal.abort());
  });
  return { server, address, client, observer, log };
}

/** A door of the given handlers. */
export function door(handlers: { unary?: Record<string, Unary>; duplex?: Record<string, Duplex> }): GrpcDoor {
  return {
    name: "test",
    unary: new Map(Object.entries(handlers.unary ?? {})),
    duplex: new Map(Object.entries(handlers.duplex ?? {})),
  };
}

const bytes = (message: Uint8Array): Buffer => Buffer.from(message);

export interface CallOptions {
  metadata?: Record<string, string>;
  deadline?: number;
}

/** Calls a unary method with bytes; rejects with grpc-js's ServiceError. */
export function call(client: Client, path: string, message: Uint8Array, options: CallOptions = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.set(name, value);
    client.makeUnaryRequest(
      path,
      bytes,
      bytes,
      message,
      metadata,
      options.deadline === undefined ? {} : { deadline: options.deadline },
      (error: ServiceError | null, answer?: Buffer) => (error === null ? resolve(answer!) : reject(error)),
    );
  });
}

/** Opens a stream of bytes. */
export function stream(client: Client, path: string): ClientDuplexStream<Uint8Array, Buffer> {
  return client.makeBidiStreamRequest(path, bytes, bytes, {});
}

/** Everything a stream sends until it ends, and how it ended. */
export async function collect(
  duplex: ClientDuplexStream<Uint8Array, Buffer>,
): Promise<{ messages: Buffer[]; code: number; details: string }> {
  const messages: Buffer[] = [];
  return new Promise((resolve) => {
    duplex.on("data", (message: Buffer) => messages.push(message));
    duplex.on("error", () => {});
    duplex.on("status", ({ code, details }) => resolve({ messages, code, details }));
  });
}
