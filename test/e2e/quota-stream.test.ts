import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import {
  RateLimitQuotaResponse,
  RateLimitQuotaUsageReports,
} from "../../src/wire/gen/envoy/service/rate_limit_quota/v3/rlqs.ts";
import { runWeir } from "./hub.ts";
import { connect, hubFor, metric, stream, until } from "./clients.ts";

const path = "/envoy.service.rate_limit_quota.v3.RateLimitQuotaService/StreamRateLimitQuotas";
const policy = (amount: number): string => `
policy: edge
check:
  - { name: all, limit: ${amount}/s, at: ratelimit }
`;
/** Policies as files of a hub that does not wait for what another one may have assigned. */
const files = (policies: string) => ({
  "weir.yaml": "doors: { ratelimitQuota: { afterStart: assign } }\n",
  "policies/edge.yaml": policies,
});
const report = (service: string, allowed = 0): Uint8Array =>
  RateLimitQuotaUsageReports.encode({
    domain: "edge",
    bucketQuotaUsages: [
      {
        bucketId: { bucket: new Map([["service", service]]) },
        timeElapsed: undefined,
        numRequestsAllowed: BigInt(allowed),
        numRequestsDenied: 0n,
      },
    ],
  }).finish();
const rateOf = ({ bucketAction }: RateLimitQuotaResponse): number | undefined =>
  bucketAction[0]!.quotaAssignmentAction!.rateLimitStrategy!.tokenBucket?.tokensPerFill;

test("a stream to a hub: an assignment, another when policies change, and an end when the hub stops", async (t) => {
  const hub = await hubFor(t, files(policy(320)));
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
  const hub = await hubFor(t, files(policy(320)));
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

test("weir limits shows what is divided among proxies, resets it, and grants nothing beyond it", async (t) => {
  const by = `
policy: edge
check:
  - { name: per-service, limit: 320/s, burst: 100, at: ratelimit, by: 'ratelimit.descriptor["service"]' }
---
policy: trial
mode: observe
check:
  - { name: all, limit: 32/s, at: ratelimit }
`;
  const hub = await hubFor(t, files(by));
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const limits = async (...args: string[]) => runWeir(["limits", ...args, "--admin", hub.admin]);
  const json = async (...args: string[]) => JSON.parse((await limits(...args, "--json")).stdout);
  t.notRegex((await limits()).stdout, /DIVIDED/);

  const [one, two] = [stream(client, path, RateLimitQuotaResponse), stream(client, path, RateLimitQuotaResponse)];
  one.send(report("web", 20));
  await one.next();
  two.send(report("web"));
  await two.next();
  two.send(report("api"));
  await two.next();

  const list = (await json()).limits;
  t.deepEqual(list.find(({ rule }: any) => rule === "edge/per-service").divided, { keys: 2, buckets: 3 });
  t.deepEqual(list.find(({ rule }: any) => rule === "trial/all").divided, { keys: 1, buckets: 3 });
  t.regex((await limits()).stdout, /DIVIDED\nedge\/per-service .* 2 \(3 buckets\)\n/);
  const top = await json("edge/per-service");
  const web = top.divided.find(({ key }: any) => Object.values(key as object)[0] === "web");
  t.like(web, { budget: { rate: 320, burst: 100 }, share: { rate: 320, burst: 100 }, proxies: 2 });
  t.true(web.assigned.rate > 0 && web.assigned.rate <= 320 && web.assigned.burst <= 100);
  t.regex(
    (await limits("edge/per-service")).stdout,
    /divided among proxies.*\n.*BUDGET +THIS HUB +ASSIGNED +NEEDED +PROXIES\n/,
  );
  const key = await json("edge/per-service", "web");
  t.is(key.divided[0].proxies.length, 2);
  t.true(key.divided[0].proxies.every((proxy: any) => proxy.client === "127.0.0.1"));
  t.regex((await limits("edge/per-service", "web")).stdout, /\n\(this hub\) .* of 320\/s, 100 .*\n127\.0\.0\.1 /);

  const granted = await limits("grant", "edge/per-service", "web", "--amount", "5");
  t.is(granted.code, 1);
  t.regex(granted.stderr, /divided among proxies, which keep to their parts by themselves: raise the limit/);
  t.is((await limits("grant", "edge/per-service", "nobody", "--amount", "5")).code, 0);
  const reset = await limits("reset", "edge/per-service", "web");
  t.regex(reset.stdout, /^reset edge\/per-service: .*web\nof 1 divided among proxies the burst is there anew/);
  t.is((await json("reset", "edge/per-service", "--all")).divided, 2);
  await until(async () => (await metric(hub, "weir_quota_requests_total", { rule: "trial/all" })) >= 20);
});

test("one address has a part of the buckets, and what is beyond is counted", async (t) => {
  const hub = await hubFor(t, {
    "weir.yaml": "doors: { ratelimitQuota: { afterStart: assign, buckets: 10, perClient: 2 } }\n",
    "policies/edge.yaml": policy(320),
  });
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const quotas = stream(client, path, RateLimitQuotaResponse);
  for (const service of ["a", "b"]) {
    quotas.send(report(service));
    await quotas.next();
  }
  quotas.send(report("c"));
  await until(async () => (await metric(hub, "weir_dropped_total", { what: "quota_bucket", reason: "client" })) === 1);
  quotas.halfClose();
  t.is((await quotas.status).code, 0);
  const again = stream(client, path, RateLimitQuotaResponse);
  again.send(report("c"));
  t.truthy(await again.next());
});
