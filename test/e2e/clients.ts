import { Client, credentials, Metadata, type ClientDuplexStream, type ServiceError } from "@grpc/grpc-js";
import type { ExecutionContext } from "ava";
import { parseExposition } from "../../adapters/prometheus/exposition-parser.ts";
import { startHub, type Hub } from "./hub.ts";

/** A hub that ends with the test. */
export async function hubFor(
  t: ExecutionContext,
  files: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<Hub> {
  const hub = await startHub(files, { args });
  t.teardown(() => hub.dispose());
  return hub;
}

/** A gRPC client with a connection of its own that knows nothing of messages. */
export function connect(address: string): Client {
  return new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
}

/** What came of a call: its status, and the answer's bytes when it was OK. */
export interface Answer {
  readonly code: number;
  readonly details: string;
  readonly bytes: Buffer;
}

/** Sends bytes as the message of a unary call, with these headers. */
export function unary(
  client: Client,
  path: string,
  message: Uint8Array,
  deadlineMs = 20_000,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return new Promise((resolve) => {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    client.makeUnaryRequest(
      path,
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes: Buffer) => bytes,
      message,
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error: ServiceError | null, bytes?: Buffer) =>
        resolve({ code: error?.code ?? 0, details: error?.details ?? "", bytes: bytes ?? Buffer.alloc(0) }),
    );
  });
}

/** How generated code writes and reads a message. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** One open stream, its answers read one by one. */
export interface Stream<Out> {
  /** The stream itself, for tests that pause or cancel it. */
  readonly call: ClientDuplexStream<Uint8Array, Buffer>;
  /** Sends bytes as one message; `false` when the transport asks to hold back. */
  send(message: Uint8Array): boolean;
  /** The next answer; rejects when the stream ends before. */
  next(): Promise<Out>;
  /** Ends our side. */
  halfClose(): void;
  /** How the stream ended. */
  readonly status: Promise<{ code: number; details: string }>;
}

/** Opens a stream. */
export function stream<Out>(client: Client, path: string, answers: Pick<Codec<Out>, "decode">): Stream<Out> {
  const call = client.makeBidiStreamRequest(
    path,
    (bytes: Uint8Array) => Buffer.from(bytes),
    (bytes: Buffer) => bytes,
  );
  const came: Out[] = [];
  const waiting: { resolve: (out: Out) => void; reject: (error: Error) => void }[] = [];
  let ended: Error | undefined;
  call.on("data", (bytes: Buffer) => {
    const out = answers.decode(bytes);
    const first = waiting.shift();
    if (first === undefined) came.push(out);
    else first.resolve(out);
  });
  call.on("error", () => undefined);
  const status = new Promise<{ code: number; details: string }>((resolve) => {
    call.on("status", ({ code, details }: { code: number; details: string }) => {
      ended = new Error(`the stream ended with ${code} ${details}`);
      for (const { reject } of waiting.splice(0)) reject(ended);
      resolve({ code, details });
    });
  });
  return {
    call,
    send: (message) => call.write(message),
    next: () => {
      const first = came.shift();
      if (first !== undefined) return Promise.resolve(first);
      if (ended !== undefined) return Promise.reject(ended);
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    halfClose: () => call.end(),
    status,
  };
}

/** Posts text or a JSON value to a path of the HTTP doors. */
export async function post(
  hub: Hub,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = { "content-type": "application/json" },
): Promise<{ status: number; json: any; headers: Headers }> {
  const raw = typeof body === "string" || body instanceof Uint8Array;
  const response = await fetch(`http://${hub.http}${path}`, {
    method: "POST",
    headers,
    body: raw ? (body as string) : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, json: text === "" ? undefined : JSON.parse(text), headers: response.headers };
}

/** What the admin listener's metrics say of one series; 0 for one that is not there. Every scrape is read strictly. */
export async function metric(hub: Hub, name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const text = await (await fetch(`http://${hub.admin}/metrics`)).text();
  for (const { samples } of parseExposition(text, "prometheus").values()) {
    for (const [key, value] of samples) {
      const at = key.indexOf("{");
      if (key.slice(0, at) !== name) continue;
      const found = JSON.parse(key.slice(at)) as Record<string, string>;
      if (Object.entries(labels).every(([label, text]) => found[label] === text)) return value;
    }
  }
  return 0;
}

/** Asks again and again until it holds; ava's own time limit ends a wait in vain. */
export async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 20));
}
