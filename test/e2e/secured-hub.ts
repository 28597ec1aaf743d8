import { once } from "node:events";
import { rename, writeFile } from "node:fs/promises";
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { Client, credentials } from "@grpc/grpc-js";
import type { ExecutionContext } from "ava";
import { createAuthority, type KeyedCertificate } from "./certificates.ts";
import { unary, type Answer } from "./clients.ts";
import { startHub, type Hub } from "./hub.ts";

/** The authority of the mesh, and certificates of it: the hub's, and those of two clients and of somebody else. */
export const authority = createAuthority();
export const server = authority.issue();
export const web = authority.issue({ uris: ["spiffe://mesh.example/ns/shop/sa/web"] });
export const billing = authority.issue({ dns: ["Billing.shop.example"] });
export const stranger = authority.issue({
  uris: ["spiffe://mesh.example/ns/other/sa/web"],
  dns: ["other.example"],
});

export const policies = {
  "policies/open.yaml":
    "policy: open\ncheck:\n  - { name: never, deny: permission_denied, when: source.namespace == 'x' }\n",
};

/** The files of a certificate, as `tls` below names them. */
export function certificateFiles(cert: KeyedCertificate = server): Record<string, string> {
  return { "certs/tls.crt": cert.cert, "certs/tls.key": cert.key, "certs/ca.crt": authority.cert };
}

/** What `tls:` says in weir.yaml. */
export function tls(more = "ca: certs/ca.crt"): string {
  return `{ cert: certs/tls.crt, key: certs/tls.key${more === "" ? "" : `, ${more}`} }`;
}

/** `web` may use the doors mixer and http, `billing` stream and authz; `web` may set what belongs to the request. */
export const clients = {
  grpc: `[
      { name: spiffe://mesh.example/ns/shop/*, doors: [mixer], attributes: [request.*] },
      { name: billing.shop.example, doors: [stream] }]`,
  http: `[
      { name: spiffe://mesh.example/ns/shop/*, doors: [http], attributes: [request.*] },
      { name: billing.shop.example, doors: [authz] }]`,
};

/** weir.yaml whose first two listeners serve TLS. */
export function weirYaml(
  options: { tls?: string; clients?: { grpc: string; http: string }; admin?: string } = {},
): string {
  const listener = (which: "grpc" | "http") =>
    `{ address: "127.0.0.1:0", tls: ${options.tls ?? tls()}${options.clients ? `, clients: ${options.clients[which]}` : ""} }`;
  return `listen:
  grpc: ${listener("grpc")}
  http: ${listener("http")}
  admin: ${options.admin ?? "127.0.0.1:0"}
`;
}

/** A hub with certificates that ends with the test. */
export async function secured(t: ExecutionContext, config: string, more: Record<string, string> = {}): Promise<Hub> {
  const hub = await startHub({ ...policies, ...certificateFiles(), ...more, "weir.yaml": config });
  t.teardown(() => hub.dispose());
  return hub;
}

/** A gRPC client of the hub; without a certificate where none is given. */
export function grpcClient(t: ExecutionContext, hub: Hub, own?: KeyedCertificate, ca = authority.cert): Client {
  const pem = (text: string | undefined) => (text === undefined ? null : Buffer.from(text));
  const channel = credentials.createSsl(Buffer.from(ca), pem(own?.key), pem(own?.cert));
  const client = new Client(hub.grpc, channel, { "grpc.use_local_subchannel_pool": 1 });
  t.teardown(() => client.close());
  return client;
}

/** A check of nothing at the door of Mixer. */
export function mixerCheck(client: Client): Promise<Answer> {
  return unary(client, "/istio.mixer.v1.Mixer/Check", Buffer.alloc(0), 10_000);
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** One HTTPS request on a connection of its own. Rejects when TLS or the connection fails. */
export function https(
  address: string,
  path: string,
  options: ConnectionOptions & { body?: unknown } = {},
): Promise<HttpAnswer> {
  const { body, ...tlsOptions } = options;
  const [host, port] = address.split(":");
  const post = { method: "POST", headers: { "content-type": "application/json" } };
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { host, port, path, ...(body !== undefined && post), ca: authority.cert, agent: false, ...tlsOptions },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, text }));
      },
    );
    request.on("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** What a handshake agrees on, and which certificate it is shown. Rejects when it fails. */
export async function handshake(
  address: string,
  options: ConnectionOptions = {},
): Promise<{ protocol: string; alpn: string | false | null; serial: string }> {
  const [host, port] = address.split(":");
  const socket = connectTls({ host: host!, port: Number(port), ca: authority.cert, ...options });
  try {
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    return { protocol: socket.getProtocol()!, alpn: socket.alpnProtocol, serial: serialNumber };
  } finally {
    socket.destroy();
  }
}

/** What `weir_callers_refused_total` says. */
export async function refusals(hub: Hub, at: string, reason: string): Promise<number> {
  const text = await (await fetch(`http://${hub.admin}/metrics`)).text();
  const series = `weir_callers_refused_total{at="${at}",reason="${reason}"} `;
  const line = text.split("\n").find((each) => each.startsWith(series));
  return line === undefined ? 0 : Number(line.slice(series.length));
}

/** Writes files as careful operators do: beside, then renamed over. */
export async function replaceFiles(hub: Hub, changed: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(changed)) {
    await writeFile(join(hub.folder, `${name}.new`), text);
    await rename(join(hub.folder, `${name}.new`), join(hub.folder, name));
  }
}

/** What the admin listener's `/status` says. */
export async function status(hub: Hub): Promise<Record<string, any>> {
  return (await (await fetch(`http://${hub.admin}/status`)).json()) as Record<string, any>;
}
