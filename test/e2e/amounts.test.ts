import type { Client } from "@grpc/grpc-js";
import test from "ava";
import { startRedis } from "../adapters/redis-server.ts";
import { descriptor } from "../wire/envoy/descriptor.ts";
import {
  RateLimitQuotaResponse,
  RateLimitQuotaUsageReports,
} from "../../src/wire/gen/envoy/service/rate_limit_quota/v3/rlqs.ts";
import { RateLimitRequest, RateLimitResponse } from "../../src/wire/gen/envoy/service/ratelimit/v3/rls.ts";
import { CheckRequest, CheckResponse } from "../../src/wire/gen/weir/v1/weir.ts";
import { connect, post, stream, unary, type Stream } from "./clients.ts";
import { startHub, type Hub } from "./hub.ts";
import { check } from "./mixer-wire.ts";
import { notRun } from "./programs.ts";

/** What each limit holds, and what can be taken of it at once as long as nothing is spent. */
const whole = 10;

function policies(via: string): string {
  const rule = `limit: ${whole}/360d, via: ${via}, onError: deny`;
  return `
policy: p
check:
  - { name: quota, ${rule}, by: request.path }
  - { name: hits, ${rule}, by: 'ratelimit.descriptor["k"]', when: 'ratelimit.domain == "hits"' }
  - { name: cost, ${rule}, when: request.path == "/cost", cost: 'int(request.headers["x-cost"])' }
  - { name: shared, limit: 320/s, at: ratelimit, when: 'ratelimit.domain == "buckets"' }
`;
}

interface At {
  readonly hub: Hub;
  readonly client: Client;
  readonly checks: Stream<CheckResponse>;
}

/** Asks for units, and says what came: how many were granted, or why none: `wrong` input, or `refused`. */
type Ask = (at: At, amount: string) => Promise<number | "wrong" | "refused">;

const outcomeOf = (code: number, granted: number): number | "wrong" | "refused" =>
  code === 3 ? "wrong" : code === 8 ? "refused" : granted;

let index = 0n;
const doors: Readonly<Record<string, Ask>> = {
  async HTTP({ hub }, amount) {
    const body = `{"attributes": {"request.path": "/http"}, "quotas": {"quota": ${amount}}}`;
    const { status, json } = await post(hub, "/v1/check", body);
    if (status === 400) return "wrong";
    const { granted, code } = json.quotas.quota;
    return code === "resource_exhausted" ? "refused" : granted;
  },
  async Mixer({ client }, amount) {
    const wire = { words: ["/mixer"], strings: { 17: -1 } };
    const { quotas } = await check(client, wire, { quotas: { quota: { amount: BigInt(amount) } } });
    const { status, grantedAmount } = quotas.get("quota")!;
    return outcomeOf(status?.code ?? 0, Number(grantedAmount));
  },
  async stream({ checks }, amount) {
    const quotas = new Map([["quota", { amount: BigInt(amount), bestEffort: false }]]);
    checks.send(CheckRequest.encode(CheckRequest.fromPartial({ index: ++index, quotas })).finish());
    const { error, decision } = await checks.next();
    if (error !== undefined) return error.code === "WEIR_REQUEST_QUOTA" ? "wrong" : NaN;
    const [quota] = decision!.quotas.values();
    return outcomeOf(quota!.code, Number(quota!.granted));
  },
  ShouldRateLimit: ({ client }, amount) => hits(client, { hitsAddend: Number(amount) }, "common"),
  "ShouldRateLimit, of a descriptor": ({ client }, amount) => hits(client, { own: BigInt(amount) }, "own"),
  async cost({ hub }, amount) {
    const attributes = { "request.path": "/cost", "request.headers": { "x-cost": amount } };
    const { json } = await post(hub, "/v1/check", { attributes });
    return json.allowed ? Number(amount) : json.message.includes("cost cannot be computed") ? "wrong" : "refused";
  },
};

async function hits(
  client: Client,
  { hitsAddend = 0, own }: { readonly hitsAddend?: number; readonly own?: bigint },
  k: string,
): Promise<number | "wrong" | "refused"> {
  const message = RateLimitRequest.encode({
    domain: "hits",
    hitsAddend,
    descriptors: [descriptor({ k }, own === undefined ? {} : { hitsAddend: own })],
  });
  const path = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
  const { code, bytes } = await unary(client, path, message.finish());
  if (code !== 0) return "wrong";
  return RateLimitResponse.decode(bytes).statuses[0]!.code === 2 ? "refused" : Number(own ?? hitsAddend);
}

const largest = "9007199254740991";
const outcomes: Readonly<Record<string, Readonly<Record<string, "wrong" | "refused">>>> = {
  HTTP: {
    ...{ "-1": "wrong", "-9223372036854775808": "wrong", "1.5": "wrong", NaN: "wrong", '"1"': "wrong", null: "wrong" },
    ...{ "1e309": "wrong", "-1e309": "wrong", "9223372036854775807": "wrong", "9007199254740993": "wrong" },
    ...{ [largest]: "refused", "11": "refused" },
  },
  Mixer: {
    ...{ "-1": "wrong", "-9223372036854775808": "wrong", "9223372036854775807": "wrong", "9007199254740993": "wrong" },
    ...{ [largest]: "refused", "11": "refused" },
  },
  stream: {
    ...{ "-1": "wrong", "-9223372036854775808": "wrong", "9223372036854775807": "wrong", "9007199254740993": "wrong" },
    ...{ [largest]: "refused", "11": "refused" },
  },
  ShouldRateLimit: { "4294967295": "refused", "11": "refused" },
  "ShouldRateLimit, of a descriptor": {
    ...{ "18446744073709551615": "refused", "9223372036854775807": "refused", "9007199254740993": "refused" },
    ...{ [largest]: "refused", "11": "refused" },
  },
  cost: {
    ...{ "-1": "wrong", "-9223372036854775808": "wrong", "1.5": "wrong", NaN: "wrong", "": "wrong", "1e3": "wrong" },
    ...{ "9223372036854775808": "wrong", "9223372036854775807": "refused", "9007199254740993": "refused" },
    ...{ [largest]: "refused", "11": "refused" },
  },
};

function behaves(title: string, adapters: string): void {
  const via = title === "memory" ? "memory" : "redis";
  let at: At;
  test.before(async () => {
    const config = `policies: ./policies\ndoors: { ratelimitQuota: { afterStart: assign } }\n${adapters}`;
    const hub = await startHub({ "weir.yaml": config, "policies/p.yaml": policies(via) });
    const client = connect(hub.grpc);
    at = { hub, client, checks: stream(client, "/weir.v1.Weir/Check", CheckResponse) };
  });
  test.after.always(() => {
    at?.client.close();
    at?.hub.dispose();
  });

  for (const [door, expected] of Object.entries(outcomes))
    test(`${title}, ${door}: amounts that are huge, negative or none are told so and spend nothing`, async (t) => {
      const ask = doors[door]!;
      for (const [amount, outcome] of Object.entries(expected)) t.is(await ask(at, amount), outcome, amount);
      t.is(await ask(at, String(whole)), whole, "nothing was spent");
      t.is(await ask(at, "1"), "refused");
    });
}

const server = await startRedis();

behaves("memory", "");
if ("gap" in server) test("amounts of limits in Redis", (t) => notRun(t, server));
else {
  test.after.always(() => server.kill());
  const redis = `{ url: "redis://127.0.0.1:${server.port}", timeout: 5s }`;
  behaves("Redis", `adapters: { redis: ${redis} }\ncheck: { adapterTimeout: 10s }\n`);
}

test("reports of buckets that claim any use are not believed: what is assigned stays a part of the limit", async (t) => {
  const config = "doors: { ratelimitQuota: { afterStart: assign } }\n";
  const hub = await startHub({ "weir.yaml": config, "policies/p.yaml": policies("memory") });
  t.teardown(() => hub.dispose());
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const path = "/envoy.service.rate_limit_quota.v3.RateLimitQuotaService/StreamRateLimitQuotas";
  const quotas = stream(client, path, RateLimitQuotaResponse);
  const most = 2n ** 64n - 1n;
  const claims = [
    { numRequestsAllowed: most, numRequestsDenied: most, timeElapsed: undefined },
    { numRequestsAllowed: most, numRequestsDenied: 0n, timeElapsed: { seconds: 0n, nanos: 0 } },
    { numRequestsAllowed: 1n, numRequestsDenied: most, timeElapsed: { seconds: -(2n ** 63n), nanos: -(2 ** 31) } },
    { numRequestsAllowed: 2n ** 53n + 1n, numRequestsDenied: 1n, timeElapsed: { seconds: 2n ** 63n - 1n, nanos: 1 } },
  ];
  for (const [i, claim] of claims.entries()) {
    const usage = { bucketId: { bucket: new Map([["service", `web${i}`]]) }, ...claim };
    quotas.send(RateLimitQuotaUsageReports.encode({ domain: "buckets", bucketQuotaUsages: [usage] }).finish());
  }
  // Who claims so much may be refused everything for a while, of the limit's burst at most; then each has its part.
  for (let assigned = 0; assigned < claims.length;) {
    for (const { quotaAssignmentAction } of (await quotas.next()).bucketAction) {
      const bucket = quotaAssignmentAction!.rateLimitStrategy!.tokenBucket;
      if (bucket === undefined) continue;
      const { tokensPerFill, maxTokens, fillInterval } = bucket;
      const perSecond = tokensPerFill! / (Number(fillInterval!.seconds) + fillInterval!.nanos / 1e9);
      t.true(perSecond > 0 && perSecond <= 320, String(perSecond));
      t.true(maxTokens > 0 && maxTokens <= 320, String(maxTokens));
      assigned++;
    }
  }
});
