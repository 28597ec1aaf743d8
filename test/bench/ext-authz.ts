import { Client, credentials } from "@grpc/grpc-js";
import { CheckRequest, CheckResponse } from "../../src/wire/gen/envoy/service/auth/v3/external_auth.ts";
import { unary } from "../e2e/clients.ts";
import { type Random, seeded } from "./random.ts";
import { type CheckOptions, serviceName, teams } from "./requests.ts";
import type { ServerProcess } from "./server-process.ts";

export const extAuthzPath = "/envoy.service.auth.v3.Authorization/Check";

const callers = ["frontend", "gateway", "checkout", "search", "mobile-api", "batch", "reports", "partners"];
const agents = ["okhttp/4.12.0", "Mozilla/5.0 (X11; Linux x86_64)", "grpc-node-js/1.14.7", "curl/8.5.0"];
const resources = ["orders", "carts", "products", "users", "reviews", "invoices", "shipments", "sessions"];

/** 2026-01-01, 12:00 UTC. */
const noon = Date.UTC(2026, 0, 1, 12) / 1000;

const address = (random: Random): string => `10.${random.below(256)}.${random.below(256)}.${1 + random.below(254)}`;

/** A request as Envoy 1.3x asks about it at the server's side of a mesh: 25 headers, about 1,900 bytes. */
function checkRequest(random: Random, options: CheckOptions): CheckRequest {
  const service = random.below(options.services);
  const name = serviceName(service);
  const to = teams[service % teams.length]!;
  const caller = random.pick(callers);
  const from = random.pick(teams);
  const resource = random.pick(resources);
  const path = options.instead?.["request.url_path"] ?? `/api/v1/${resource}/${random.below(1_000_000)}`;
  const target = `${path}?page=${random.below(50)}`;
  const method = random.pick(["GET", "GET", "GET", "POST"]);
  const id = random.hex(32);
  const trace = random.hex(32);
  const headers = new Map([
    [":authority", name],
    [":method", method],
    [":path", target],
    [":scheme", "http"],
    ["accept", "application/json"],
    ["accept-encoding", "gzip, deflate, br"],
    ["accept-language", "en-US,en;q=0.9"],
    ["authorization", `Bearer ${random.hex(200)}`],
    ["cache-control", "no-cache"],
    ["content-length", String(random.below(2000))],
    ["content-type", "application/json"],
    ["cookie", `session=${random.hex(48)}`],
    ["origin", "https://shop.example"],
    ["referer", `https://shop.example/${resource}`],
    ["traceparent", `00-${trace}-${random.hex(16)}-01`],
    ["user-agent", random.pick(agents)],
    ["x-b3-sampled", "1"],
    ["x-b3-spanid", random.hex(16)],
    ["x-b3-traceid", trace],
    ["x-envoy-attempt-count", "1"],
    [
      "x-forwarded-client-cert",
      `By=spiffe://cluster.local/ns/${to}/sa/${name};URI=spiffe://cluster.local/ns/${from}/sa/${caller}`,
    ],
    ["x-forwarded-for", address(random)],
    ["x-forwarded-proto", "http"],
    ["x-request-id", id],
    ["x-tenant", `tenant-${random.below(500)}`],
  ]);
  const user = `user-${String(random.below(options.users)).padStart(6, "0")}`;
  const token = { iss: "https://login.example", sub: user, aud: "shop", azp: "web", iat: noon, exp: noon + 3600 };
  return CheckRequest.fromPartial({
    attributes: {
      source: {
        address: { socketAddress: { address: address(random), portValue: 1024 + random.below(60_000) } },
        principal: `spiffe://cluster.local/ns/${from}/sa/${caller}`,
      },
      destination: {
        address: { socketAddress: { address: address(random), portValue: 9080 } },
        principal: `spiffe://cluster.local/ns/${to}/sa/${name}`,
      },
      request: {
        time: { seconds: BigInt(noon + random.below(3600)), nanos: random.below(1_000_000_000) },
        http: { id, method, headers, path: target, host: name, scheme: "http", size: -1n, protocol: "HTTP/2" },
      },
      contextExtensions: new Map([
        ["destination.service.name", name],
        ["destination.service.namespace", to],
        ["destination.service.host", `${name}.${to}.svc.cluster.local`],
      ]),
      metadataContext: { filterMetadata: new Map([["envoy.filters.http.jwt_authn", { payload: token }]]) },
    },
  });
}

/** Different `envoy.service.auth.v3.CheckRequest` messages, encoded; the same for the same options. */
export function extAuthzRequests(options: CheckOptions): Uint8Array[] {
  const random = seeded(options.seed);
  return Array.from({ length: options.count }, () => CheckRequest.encode(checkRequest(random, options)).finish());
}

/** Asks a hub by an ordinary client, decodes the answers whole, and says the last one's bytes. Throws where one is no pass. */
export async function typicalExtAuthzAnswer(server: ServerProcess, options: CheckOptions): Promise<Uint8Array> {
  const client = new Client(server.ready["grpc"]!, credentials.createInsecure());
  try {
    let last: Uint8Array = new Uint8Array();
    for (const message of extAuthzRequests({ ...options, count: 20 })) {
      last = (await unary(client, extAuthzPath, message)).bytes;
      const { status, okResponse } = CheckResponse.decode(last);
      if (status?.code !== 0 || okResponse === undefined)
        throw new Error(`the hub does not allow the load: ${status?.message}`);
    }
    return last;
  } finally {
    client.close();
  }
}
