import { Client, credentials } from "@grpc/grpc-js";
import {
  RateLimitRequest,
  RateLimitResponse,
  RateLimitResponse_Code as Code,
} from "../../src/wire/gen/envoy/service/ratelimit/v3/rls.ts";
import { descriptor } from "../wire/envoy/descriptor.ts";
import { unary } from "../e2e/clients.ts";
import type { Files } from "./policies.ts";
import { seeded } from "./random.ts";
import type { ServerProcess } from "./server-process.ts";

export const rateLimitPath = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/** Limits that the load does not reach, and one that a single key reaches at once. */
export const rateLimits: Files = new Map([
  [
    "edge.yaml",
    `policy: edge
match: ratelimit.domain == "edge"
check:
  - { name: per-user, limit: 600/m, burst: 100000, by: 'ratelimit.descriptor["user"]' }
  - { name: per-address-and-path, limit: 600/m, burst: 100000, at: ratelimit, by: { address: source.ip, path: 'ratelimit.descriptor["path"]' } }
  - { name: nobody, limit: 1/d, when: 'ratelimit.descriptor["user"] == "nobody"' }
---
policy: other
match: ratelimit.domain == "other"
check:
  - { name: per-user, limit: 1/d, by: 'ratelimit.descriptor["user"]' }
`,
  ],
]);

export interface RateLimitOptions {
  readonly seed: number;
  readonly count: number;
  readonly users: number;
}

const paths = ["/api/orders", "/api/carts", "/api/products", "/api/users", "/login", "/search"];

/** Different `envoy.service.ratelimit.v3.RateLimitRequest` messages with 2 descriptors; the same for the same options. */
export function rateLimitRequests({ seed, count, users }: RateLimitOptions): Uint8Array[] {
  const random = seeded(seed);
  return Array.from({ length: count }, () => {
    const address = `10.${random.below(256)}.${random.below(256)}.${1 + random.below(254)}`;
    return request([
      { user: `user-${String(random.below(users)).padStart(6, "0")}` },
      { remote_address: address, path: random.pick(paths) },
    ]);
  });
}

function request(descriptors: readonly Readonly<Record<string, string>>[]): Uint8Array {
  const all = descriptors.map((entries) => descriptor(entries));
  return RateLimitRequest.encode({ domain: "edge", hitsAddend: 0, descriptors: all }).finish();
}

/**
 * Asks a hub by an ordinary client, decodes the answers whole, and says the last one's bytes. Throws where a descriptor
 * is not judged by its limit, or a limit that is used up does not refuse.
 */
export async function typicalRateLimitAnswer(server: ServerProcess, options: RateLimitOptions): Promise<Uint8Array> {
  const client = new Client(server.ready["grpc"]!, credentials.createInsecure());
  const ask = async (message: Uint8Array) => (await unary(client, rateLimitPath, message)).bytes;
  const limitsOf = ({ statuses }: RateLimitResponse) => statuses.map(({ currentLimit }) => currentLimit?.name).join();
  try {
    let last: Uint8Array = new Uint8Array();
    for (const message of rateLimitRequests({ ...options, count: 20 })) {
      last = await ask(message);
      const answer = RateLimitResponse.decode(last);
      if (answer.overallCode !== Code.OK || limitsOf(answer) !== "edge/per-user,edge/per-address-and-path")
        throw new Error(`the hub does not judge the load by its limits: ${limitsOf(answer)}`);
    }
    const nobody = request([{ user: "nobody" }, { user: "nobody" }]);
    if (RateLimitResponse.decode(await ask(nobody)).overallCode !== Code.OVER_LIMIT)
      throw new Error("the hub does not refuse what is over its limit");
    return last;
  } finally {
    client.close();
  }
}
