import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import {
  RateLimitQuotaResponse,
  RateLimitQuotaUsageReports,
} from "../../src/wire/gen/envoy/service/rate_limit_quota/v3/rlqs.ts";
import { connect, hubFor, stream, until } from "./clients.ts";

const path = "/envoy.service.rate_limit_quota.v3.RateLimitQuotaService/StreamRateLimitQuotas";
const policy = (amount: number): string => `
policy: edge
check:
  - { name: all, limit: ${amount}/s, at: ratelimit }
`;
const report = (service: string): Uint8Array =>
  RateLimitQuotaUsageReports.encode({
    domain: "edge",
    bucketQuotaUsages: [
      {
        bucketId: { bucket: new Map([["service", service]]) },
        timeElapsed: undefined,
        numRequestsAllowed: 0n,
        numRequestsDenied: 0n,
      },
    ],
  }).finish();
const rateOf = ({ bucketAction }: RateLimitQuotaResponse): number | undefined =>
  bucketAction[0]!.quotaAssignmentAction!.rateLimitStrategy!.tokenBucket?.tokensPerFill;

test("a stream to a hub: an assignment, another when policies change, and an end when the hub stops", async (t) => {
  const hub = await hubFor(t, { "policies/edge.yaml": policy(320) });
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const quotas = stream(client, path, RateLimitQuotaResponse);
  quotas.send(report("web"));
  t.is(rateOf(await quotas.next()), 310);
  await writeFile(join(hub.folder, "policies/edge.yaml"), policy(1600));
  // Only what needs more gets more: a proxy that comes now has the rest of the larger limit.
  const other = stream(client, path, RateLimitQuotaResponse);
  await until(async () => (await (await fetch(`http://${hub.admin}/status`)).text()).includes("reload"));
  other.send(report("web"));
  t.truthy(await other.next());
  hub.process.kill("SIGTERM");
  t.is((await quotas.status).code, 14);
  t.is((await hub.exit).code, 0);
});

test("a stream with bytes that are no report ends with INVALID_ARGUMENT, and others go on", async (t) => {
  const hub = await hubFor(t, { "policies/edge.yaml": policy(320) });
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const good = stream(client, path, RateLimitQuotaResponse);
  good.send(report("web"));
  t.is(rateOf(await good.next()), 310);
  const bad = stream(client, path, RateLimitQuotaResponse);
  bad.send(Uint8Array.of(0x0a, 0xff));
  t.is((await bad.status).code, 3);
  good.send(report("api"));
  t.truthy(await good.next());
  good.halfClose();
  t.is((await good.status).code, 0);
});
