import { spawn, type ChildProcess } from "node:child_process";
import { request as requestTls } from "node:https";
import { createServer, request, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server, type Http2ServerRequest } from "node:http2";
import { connect } from "node:net";
import { rmSync } from "node:fs";
import { listenForBoth, type Listening } from "./both-versions.ts";
import { leashed } from "./leash.ts";
import type { Program } from "./programs.ts";

/** What the service behind a proxy got. */
export interface Seen {
  /** Of HTTP: `1.1`, `2.0`. */
  readonly version: string;
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A service that tells in its answer what it got. */
export interface Service extends Listening {
  /** How many requests reached it. */
  count(): number;
}

/**
 * Starts the service, for HTTP/1.1 and for HTTP/2 without TLS on one port. `/status/404` answers that status, a gRPC call
 * the message that came; everything else 200 with {@link Seen} as JSON.
 */
export async function startService(): Promise<Service> {
  let count = 0;
  const answer = async (asked: Asked, response: Answering): Promise<void> => {
    count++;
    const chunks: Buffer[] = [];
    for await (const chunk of asked) chunks.push(chunk as Buffer);
    const { method = "", url = "", headers, httpVersion: version } = asked;
    const body = Buffer.concat(chunks);
    if (headers["content-type"] === "application/grpc") {
      response.writeHead(200, { "content-type": "application/grpc" });
      response.addTrailers({ "grpc-status": "0" });
      response.end(body);
      return;
    }
    const status = Number(/^\/status\/(\d+)/.exec(url)?.[1] ?? 200);
    response.writeHead(status, { "content-type": "application/json", "x-secret": "s", "x-mode": "service" });
    const seen: Seen = { version, method, url, headers, body: body.toString() };
    response.end(JSON.stringify(seen));
  };
  const http = createServer({ maxHeaderSize: 128 * 1024 }, (asked, response) => void answer(asked, response));
  const http2 = createHttp2Server((asked, response) => void answer(asked, response));
  return { ...(await listenForBoth(http, http2)), count: () => count };
}

type Asked = IncomingMessage | Http2ServerRequest;
/** What the answers of both versions of HTTP can do. */
type Answering = Pick<ServerResponse, "addTrailers"> & {
  writeHead(status: number, headers: Record<string, string>): unknown;
  end(body: Buffer | string): unknown;
};

/** A proxy that runs. */
export interface Proxy {
  readonly port: number;
  stderr(): string;
  dispose(): void;
}

/** Starts a proxy in the foreground, whose files are in a folder that ends with it, and waits until it takes connections. Rejects with what it wrote when it ends before. */
export async function startProxy(
  program: Program,
  args: readonly string[],
  { port, folder }: { readonly port: number; readonly folder: string },
): Promise<Proxy> {
  const child: ChildProcess = spawn(...leashed(program.path, args, "TERM"), {
    env: { ...process.env, ...program.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  for (const stream of [child.stdout!, child.stderr!])
    stream.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  let ended = false;
  child.once("close", () => (ended = true));
  while (!(await accepts(port))) {
    if (ended) throw new Error(`${program.path} ended:\n${stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    port,
    stderr: () => stderr,
    dispose: () => {
      child.kill("SIGTERM");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What a caller that speaks TLS believes and shows. */
export interface Tls {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Asks a proxy as a caller does; the path goes out as it is written. */
export function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: Readonly<Record<string, string | string[]>>; body?: string; tls?: Tls } = {},
): Promise<Answered> {
  const { method = "GET", headers = {}, body, tls } = options;
  return new Promise((resolve, reject) => {
    const send = tls === undefined ? request : requestTls;
    const sent = send(
      { ...tls, host: "127.0.0.1", port, path, method, headers: { host: "shop.example", ...headers }, agent: false },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body: text }));
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

/** The same over HTTP/2 without TLS. */
export async function askHttp2(
  port: number,
  path: string,
  { method = "GET", headers = {} }: { method?: string; headers?: Readonly<Record<string, string>> } = {},
): Promise<Answered> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  try {
    return await new Promise((resolve, reject) => {
      session.once("error", reject);
      const stream = session.request({ ":path": path, ":method": method, ":authority": "shop.example", ...headers });
      let answer: IncomingHttpHeaders & { ":status"?: number | undefined } = {};
      let text = "";
      stream.once("response", (got) => (answer = got));
      stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      stream.once("error", reject);
      stream.once("end", () => resolve({ status: answer[":status"]!, headers: answer, body: text }));
      stream.end();
    });
  } finally {
    session.close();
  }
}
