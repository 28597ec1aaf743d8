import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import type { Seen } from "./upstream.ts";

/** What a caller of a proxy got. */
export interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** What the service saw of it, when it was the service that answered. */
  readonly seen: Seen | undefined;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM; asks over TLS. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
}

/** Sends a request over HTTP/1.1 on a connection of its own; the path goes out as it is written. */
export function ask(
  address: string,
  path: string,
  { method = "GET", headers = {}, body, tls }: Asked = {},
): Promise<Got> {
  const { host, port } = endpointOf(address);
  return new Promise((resolve, reject) => {
    const options = { host, port, path, method, headers, agent: false, ...tls };
    const call = (tls === undefined ? httpRequest : httpsRequest)(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () =>
        resolve(gotOf(response.statusCode!, response.headers, Buffer.concat(chunks).toString())),
      );
    });
    call.once("error", reject);
    call.end(body);
  });
}

/** The same over HTTP/2 without TLS. */
export async function askHttp2(
  address: string,
  path: string,
  { method = "GET", headers = {} }: Asked = {},
): Promise<Got> {
  const session = connectHttp2(`http://${address}`);
  try {
    return await new Promise((resolve, reject) => {
      session.once("error", reject);
      const stream = session.request({ ":path": path, ":method": method, ...headers });
      const chunks: Buffer[] = [];
      let answer: IncomingHttpHeaders & { ":status"?: number | undefined } = {};
      stream.on("response", (got) => (answer = got));
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.once("error", reject);
      stream.once("end", () => resolve(gotOf(answer[":status"]!, answer, Buffer.concat(chunks).toString())));
      stream.end();
    });
  } finally {
    session.close();
  }
}

function gotOf(status: number, headers: IncomingHttpHeaders, body: string): Got {
  const seen = headers["x-upstream"] === "here" ? (JSON.parse(body) as Seen) : undefined;
  return { status, headers, body, seen };
}

function endpointOf(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}
