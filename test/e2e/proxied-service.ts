import { spawn, type ChildProcess } from "node:child_process";
import { request as requestTls } from "node:https";
import { createServer, request, type IncomingHttpHeaders } from "node:http";
import { connect, createServer as createNetServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import type { Program } from "./programs.ts";

/** What the service behind a proxy got. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A service that tells in its answer what it got. */
export interface Service {
  readonly port: number;
  /** How many requests reached it. */
  count(): number;
  close(): void;
}

/** Starts the service. `/status/404` answers that status; everything else 200 with {@link Seen} as JSON. */
export async function startService(): Promise<Service> {
  let count = 0;
  const server = createServer({ maxHeaderSize: 128 * 1024 }, (asked, response) => {
    count++;
    const chunks: Buffer[] = [];
    asked.on("data", (chunk: Buffer) => chunks.push(chunk));
    asked.on("end", () => {
      const { method = "", url = "", headers } = asked;
      const status = Number(/^\/status\/(\d+)/.exec(url)?.[1] ?? 200);
      response.writeHead(status, { "content-type": "application/json", "x-secret": "s", "x-mode": "service" });
      const seen: Seen = { method, url, headers, body: Buffer.concat(chunks).toString() };
      response.end(JSON.stringify(seen));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    count: () => count,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A port that nothing listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createNetServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** A proxy that runs. */
export interface Proxy {
  readonly port: number;
  stderr(): string;
  dispose(): void;
}

/** Starts a proxy in the foreground, and waits until it takes connections. Rejects with what it wrote when it ends before. */
export async function startProxy(program: Program, args: readonly string[], port: number): Promise<Proxy> {
  const child: ChildProcess = spawn(program.path, args, {
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
  return { port, stderr: () => stderr, dispose: () => void child.kill("SIGTERM") };
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
