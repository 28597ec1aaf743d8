import test from "ava";
import type { Client } from "@grpc/grpc-js";
import {
  RateLimitRequest,
  RateLimitResponse,
  RateLimitResponse_Code as Code,
  RateLimitResponse_RateLimit_Unit as Unit,
} from "../../src/wire/gen/envoy/service/ratelimit/v3/rls.ts";
import { descriptor } from "../wire/envoy/descriptor.ts";
import type { RateLimitDescriptor } from "../../src/wire/gen/envoy/extensions/common/ratelimit/v3/ratelimit.ts";
import { connect, hubFor, metric, post, unary } from "./clients.ts";
import { startHub, type Hub } from "./hub.ts";

const path = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

const policies = `
policy: edge
match: ratelimit.domain == "edge"
check:
  - { name: per-user, limit: 3/h, by: 'ratelimit.descriptor["user"]' }
  - { name: per-address, limit: 5/10s, at: ratelimit, by: source.ip, message: too many from your address }
  - { name: per-key, limit: 2/m, at: ratelimit, by: 'request.headers["x-api-key"]' }
  - name: told
    limit: 1/d
    by: 'ratelimit.descriptor["told"]'
    http: { body: slow down, headers: { x-reason: limits } }
---
policy: shared
check:
  - { name: at-check, limit: 2/h, by: 'request.headers["x-api-key"]' }
`;

let hub: Hub;
let client: Client;

test.before(async () => {
  hub = await startHub({ "policies/edge.yaml": policies });
  client = connect(hub.grpc);
});

test.after.always(() => {
  client?.close();
  hub?.dispose();
});

/** Asks about descriptors. Shows the answer with the status of the call. */
async function ask(
  descriptors: readonly RateLimitDescriptor[],
  { domain = "edge", hitsAddend = 0, to = client }: { domain?: string; hitsAddend?: number; to?: Client } = {},
): Promise<RateLimitResponse & { code: number; details: string }> {
  const message = RateLimitRequest.encode({ domain, hitsAddend, descriptors: [...descriptors] }).finish();
  const { code, details, bytes } = await unary(to, path, message);
  return { ...RateLimitResponse.decode(bytes), code, details };
}

function statuses({ statuses: all }: RateLimitResponse): string[] {
  return all.map(({ code, currentLimit, limitRemaining }) => {
    const verdict = code === Code.OK ? "ok" : code === Code.OVER_LIMIT ? "over" : "unknown";
    return currentLimit === undefined ? verdict : `${verdict} ${currentLimit.name} ${limitRemaining}`;
  });
}

test("every descriptor has its status in order, with limit, rest and time until reset", async (t) => {
  const answer = await ask([
    descriptor({ user: "ann" }),
    descriptor({ nobody: "counts this" }),
    descriptor({ "source.ip": "10.0.0.1" }),
  ]);
  t.is(answer.code, 0);
  t.is(answer.overallCode, Code.OK);
  t.deepEqual(statuses(answer), ["ok edge/per-user 2", "ok", "ok edge/per-address 4"]);
  const [first, , third] = answer.statuses;
  t.like(first!.currentLimit, { requestsPerUnit: 3, unit: Unit.HOUR, unitMultiplier: undefined });
  t.like(third!.currentLimit, { requestsPerUnit: 5, unit: Unit.SECOND, unitMultiplier: 10 });
  t.true(first!.durationUntilReset!.seconds > 1000n);
  t.is(answer.statuses[1]!.durationUntilReset, undefined);
});

test("a request over a limit takes nothing, is answered OVER_LIMIT, and says why and when to come back", async (t) => {
  for (let i = 0; i < 5; i++) t.is((await ask([descriptor({ "source.ip": "10.0.0.2" })])).overallCode, Code.OK);
  const refused = await ask([descriptor({ user: "bob" }), descriptor({ "source.ip": "10.0.0.2" })]);
  t.is(refused.code, 0);
  t.is(refused.overallCode, Code.OVER_LIMIT);
  t.deepEqual(statuses(refused), ["ok edge/per-user 3", "over edge/per-address 0"]);
  t.is(Buffer.from(refused.rawBody).toString(), "too many from your address");
  const headers = Object.fromEntries(refused.responseHeadersToAdd.map(({ key, value }) => [key, value]));
  t.regex(headers["retry-after"]!, /^[12]$/);
  t.is(headers["ratelimit-policy"], '"edge/per-address";q=5;w=10');
  t.like(refused.dynamicMetadata, { rules: ["edge/per-address"] });
  t.regex(String(refused.dynamicMetadata!["decision_id"]), /^[0-9a-f]{32}$/);
});

test("a direct response's body and headers are carried; its status is the proxy's", async (t) => {
  await ask([descriptor({ told: "x" })]);
  const { rawBody, responseHeadersToAdd } = await ask([descriptor({ told: "x" })]);
  t.is(Buffer.from(rawBody).toString(), "slow down");
  t.true(responseHeadersToAdd.some(({ key, value }) => key === "x-reason" && value === "limits"));
});

test("hits of the request, of a descriptor, and 0 hits that only ask", async (t) => {
  const user = { user: "carl" };
  t.deepEqual(statuses(await ask([descriptor(user, { hitsAddend: 0n })])), ["ok edge/per-user 3"]);
  t.deepEqual(statuses(await ask([descriptor(user)], { hitsAddend: 2 })), ["ok edge/per-user 1"]);
  t.deepEqual(statuses(await ask([descriptor(user, { hitsAddend: 1n })], { hitsAddend: 2 })), ["ok edge/per-user 0"]);
  t.deepEqual(statuses(await ask([descriptor(user, { hitsAddend: 0n })])), ["over edge/per-user 0"]);
});

test("hits below 0 from a caller that nobody names are refused and never charged", async (t) => {
  const user = { user: "dora" };
  await ask([descriptor(user)], { hitsAddend: 2 });
  const refused = await ask([descriptor(user), descriptor(user, { hitsAddend: 1n, isNegativeHits: true })]);
  t.is(refused.code, 7);
  t.is(refused.details, "WEIR_NOT_PERMITTED: only clients that the listener names may give hits back");
  t.deepEqual(statuses(await ask([descriptor(user, { hitsAddend: 0n })])), ["ok edge/per-user 1"]);
  t.true((await metric(hub, "weir_callers_refused_total", { reason: "negative_hits" })) > 0);
});

test("a descriptor's own limit is judged instead of the rule's, with counts of its own", async (t) => {
  const limit = { requestsPerUnit: 1, unit: Unit.DAY, unitMultiplier: undefined };
  const own = descriptor({ user: "emil" }, { limit });
  const first = await ask([own]);
  t.deepEqual(statuses(first), ["ok edge/per-user 0"]);
  t.like(first.statuses[0]!.currentLimit, limit);
  t.deepEqual(statuses(await ask([own])), ["over edge/per-user 0"]);
  t.deepEqual(statuses(await ask([descriptor({ user: "emil" })])), ["ok edge/per-user 2"]);
  const without = await ask([descriptor({ user: "emil" }, { limit: { ...limit, unit: Unit.UNKNOWN } })]);
  t.is(without.code, 3);
});

test("one limit for each door: a request that both of Envoy's filters send is charged once at each", async (t) => {
  const attributes = { "request.headers": { "x-api-key": "k1" } };
  const key = descriptor({ "request.headers.x-api-key": "k1" });
  for (let i = 0; i < 2; i++) {
    const { json } = await post(hub, "/v1/check", { attributes });
    t.true(json.allowed);
    t.deepEqual(json.limits?.map((limit: { rule: string }) => limit.rule) ?? ["shared/at-check"], ["shared/at-check"]);
    t.deepEqual(statuses(await ask([key])), [`ok edge/per-key ${1 - i}`]);
  }
  t.false((await post(hub, "/v1/check", { attributes })).json.allowed);
  t.deepEqual(statuses(await ask([key])), ["over edge/per-key 0"]);
});

test("another domain's descriptors are another's; no domain and no descriptors are errors", async (t) => {
  t.deepEqual(statuses(await ask([descriptor({ user: "ann" })], { domain: "other" })), ["ok"]);
  t.like(await ask([descriptor({ user: "ann" })], { domain: "" }), {
    code: 3,
    details: "WEIR_REQUEST_DESCRIPTORS: rate limit domain must not be empty",
  });
  t.like(await ask([]), { code: 3, details: "WEIR_REQUEST_DESCRIPTORS: rate limit descriptor list must not be empty" });
});

test("with charge: each every limit is charged by itself, as the reference service does", async (t) => {
  const own = await hubFor(t, {
    "policies/edge.yaml": policies,
    "weir.yaml": "doors: { ratelimit: { charge: each, overrides: none } }\n",
  });
  const to = connect(own.grpc);
  t.teardown(() => to.close());
  const both = [descriptor({ user: "ann" }), descriptor({ user: "bob" }, { hitsAddend: 5n })];
  t.deepEqual(statuses(await ask(both, { to })), ["ok edge/per-user 2", "over edge/per-user 0"]);
  const limit = { requestsPerUnit: 100, unit: Unit.DAY, unitMultiplier: undefined };
  t.deepEqual(statuses(await ask([descriptor({ user: "ann" }, { limit })], { to })), ["ok edge/per-user 1"]);
  t.is(await metric(own, "weir_dropped_total", { what: "limit_override", reason: "not_permitted" }), 1);
});
