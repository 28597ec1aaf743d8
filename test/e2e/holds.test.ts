import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type ExecutionContext } from "ava";
import { createStreamClient } from "../../src/client/index.ts";
import { startRedis } from "../adapters/redis-server.ts";
import {
  CheckRequest,
  CheckResponse,
  HoldResponse,
  RefundRequest,
  ReleaseRequest,
  RenewRequest,
} from "../../src/wire/gen/weir/v1/weir.ts";
import { connect, hubFor, metric, post, stream, unary, until } from "./clients.ts";
import { envoyProgram, startEnvoy } from "./envoy-process.ts";
import { runWeir, type Hub } from "./hub.ts";
import { authority, grpcClient, secured } from "./secured-hub.ts";
import { envoyVersions } from "./peers.ts";
import { notRun } from "./programs.ts";
import { ask } from "./proxied-service.ts";

const policies = (via: string) => `
policy: shop
check:
  - { name: at-once, limit: 3, algorithm: concurrency, ttl: 5m, via: ${via}, by: 'request.headers["x-slow"]', when: 'has(request.headers["x-slow"])' }
  - { name: bytes, limit: 1000/d, cost: "10", settle: response.size, via: ${via}, by: 'request.headers["x-bytes"]', when: 'has(request.headers["x-bytes"])' }
  - { name: counted, limit: 1, algorithm: concurrency, ttl: 5m, via: ${via}, at: ratelimit, by: 'request.headers["x-counted"]' }
`;

const slow = { attributes: { "request.headers": { "x-slow": "yes" } } };
const bytes = { attributes: { "request.headers": { "x-bytes": "yes" } } };

/** How many units a limit has left, asked by its name, which takes nothing. */
async function left(hub: Hub, attributes: object, limit: string): Promise<number> {
  const { json } = await post(hub, "/v1/check", { ...attributes, quotas: { [limit]: 0 } });
  return json.limits[0].remaining;
}

test("what a decision took is released, renewed and refunded by HTTP and by the client, once", async (t) => {
  const hub = await hubFor(t, { "policies/shop.yaml": policies("memory") });
  const client = createStreamClient({ address: hub.grpc, deadlineMs: 20_000 });
  t.teardown(() => client.close());
  const check = () => client.check(slow.attributes);
  const [one, two, three] = [await check(), await check(), await check()];
  t.true(three.allowed);
  t.like(await check(), { allowed: false, code: 8, message: "shop/at-once: the limit of 3 at once is used up" });

  t.deepEqual(await client.release(one.id!), [{ rule: "shop/at-once", units: 1 }]);
  await t.throwsAsync(client.release(one.id!), { code: "WEIR_NOT_HELD" });
  const [renewed] = await client.renew(two.id!, 10_000);
  t.is(renewed!.units, 1);
  t.true(renewed!.validForMs! >= 10_000 && renewed!.validForMs! < 30_000, `${renewed!.validForMs}`);
  t.like(await post(hub, "/v1/limits/release", { id: two.id }), {
    status: 200,
    json: { id: two.id, limits: [{ rule: "shop/at-once", units: 1 }] },
  });
  t.like(await post(hub, "/v1/limits/release", { id: two.id }), {
    status: 404,
    json: { error: { code: "WEIR_NOT_HELD" } },
  });
  t.is(await left(hub, slow, "at-once"), 2);

  const charged = await client.check(bytes.attributes);
  t.is(await left(hub, bytes, "bytes"), 990);
  const [refunded, ...none] = await client.refund(charged.id!, { limit: "shop/bytes", amount: 100 });
  t.deepEqual(none, []);
  t.true(Math.abs(refunded!.units - 10) < 1);
  await t.throwsAsync(client.refund(charged.id!), { code: "WEIR_NOT_HELD" });
  await t.throwsAsync(client.refund("nonsense"), { code: "WEIR_REQUEST_MALFORMED" });
  await t.throwsAsync(client.renew("0".repeat(32), -1), { code: "WEIR_REQUEST_MALFORMED" });
  await t.throwsAsync(client.refund(charged.id!, { amount: 0.5 }), { code: "WEIR_REQUEST_MALFORMED" });
  const known = await client.check(bytes.attributes);
  t.true(known.allowed, "words that were sent before are still known");
  await client.refund(known.id!);

  // Reports over the stream and over HTTP end a request too.
  t.is((await client.report([{ "check.decision_id": three.id! }])).taken, 1);
  t.is(await left(hub, slow, "at-once"), 3);
  const settled = await client.check(bytes.attributes);
  t.is(await left(hub, bytes, "bytes"), 990);
  const report = { "check.decision_id": settled.id, "response.size": { type: "int64", value: "600" } };
  t.is((await post(hub, "/v1/report", { reports: [report, report] })).json.taken, 2);
  t.is(await left(hub, bytes, "bytes"), 400);
  await post(hub, "/v1/report", {
    reports: [{ "check.decision_id": (await check()).id, "connection.event": "continue" }],
  });
  t.is(await left(hub, slow, "at-once"), 2);
});

test("what decisions took is changed on the stream of their checks, by messages with an index", async (t) => {
  const hub = await hubFor(t, { "policies/shop.yaml": policies("memory") });
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const checks = stream(client, "/weir.v1.Weir/Check", CheckResponse);
  const send = (index: bigint, fields: object) =>
    checks.send(CheckRequest.encode(CheckRequest.fromPartial({ index, ...fields } as object)).finish());
  /** The answers to messages that were sent, by index. */
  const answers = async (count: number): Promise<Map<bigint, CheckResponse>> => {
    const came = new Map<bigint, CheckResponse>();
    while (came.size < count) {
      const answer = await checks.next();
      came.set(answer.index, answer);
    }
    return came;
  };
  // 15 is request.headers.
  const dictionary = { first: 0, words: ["x-slow", "yes", "x-bytes"] };
  const headers = (key: number) => ({
    attributes: { stringMaps: new Map([[15, { entries: new Map([[key, -2]]) }]]) },
  });
  send(1n, { dictionary, ...headers(-1) });
  send(2n, headers(-1));
  send(3n, headers(-3));
  const decided = await answers(3);
  const [slowOne, slowTwo, charged] = [1n, 2n, 3n].map((index) => decided.get(index)!.decision!.id);
  t.is(await left(hub, slow, "at-once"), 1);

  // All at once: a check between changes, the same change twice, and what is none.
  send(4n, { release: { id: slowOne } });
  send(5n, { renew: { id: slowTwo, ttl: { seconds: 2n ** 62n } } });
  send(6n, headers(-1));
  send(7n, { refund: { id: charged, limit: "shop/bytes", amount: 2n ** 62n } });
  send(8n, { release: { id: charged } });
  send(9n, { release: { id: "" } });
  send(10n, { release: { id: "0".repeat(32) } });
  send(11n, { refund: { id: charged, limit: "shop/none", amount: 1n } });
  const changed = await answers(8);
  t.like(changed.get(4n)!.held!.limits, [{ rule: "shop/at-once", units: 1 }]);
  const [renewed] = changed.get(5n)!.held!.limits;
  t.true(renewed!.validFor!.seconds >= 299n && renewed!.validFor!.seconds < 330n, "no longer than the ttl");
  t.is(changed.get(6n)!.decision!.verdict, 1);
  const [refunded] = changed.get(7n)!.held!.limits;
  t.true(Math.abs(refunded!.units - 10) < 1);
  const code = (index: bigint) => changed.get(index)!.error?.code;
  t.deepEqual([8n, 9n, 10n, 11n].map(code), [
    "WEIR_NOT_HELD",
    "WEIR_REQUEST_MALFORMED",
    "WEIR_NOT_HELD",
    "WEIR_NOT_HELD",
  ]);
  t.is(await left(hub, slow, "at-once"), 1);

  // Each works once, also where both are on their way together.
  for (const index of [12n, 13n]) send(index, { release: { id: slowTwo } });
  const twice = [...(await answers(2)).values()];
  t.is(twice.filter(({ held }) => held !== undefined).length, 1);
  t.is(twice.filter(({ error }) => error?.code === "WEIR_NOT_HELD").length, 1);
  checks.halfClose();
  t.is((await checks.status).code, 0);
});

test("what a decision took is changed by unary calls", async (t) => {
  const hub = await hubFor(t, { "policies/shop.yaml": policies("memory") });
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const [{ json: one }, { json: two }] = [await post(hub, "/v1/check", slow), await post(hub, "/v1/check", bytes)];
  const call = async (method: string, message: Uint8Array) => {
    const answer = await unary(client, `/weir.v1.Weir/${method}`, message);
    return { code: answer.code, details: answer.details, limits: HoldResponse.decode(answer.bytes).limits };
  };
  t.like(await call("Renew", RenewRequest.encode({ id: one.id, ttl: undefined }).finish()), { code: 0 });
  const release = ReleaseRequest.encode({ id: one.id }).finish();
  t.like(await call("Release", release), { code: 0, limits: [{ rule: "shop/at-once", units: 1 }] });
  const again = await call("Release", release);
  t.is(again.code, 5);
  t.regex(again.details, /^WEIR_NOT_HELD: /);
  t.is((await call("Refund", RefundRequest.encode({ id: two.id, limit: "", amount: 1n }).finish())).code, 0);
  t.is((await call("Refund", Buffer.from([0xff]))).code, 3);
});

test("a client that may not use the streams changes nothing there", async (t) => {
  const [web, billing] = ["web.example", "billing.example"].map((name) => authority.issue({ dns: [name] }));
  const named = "[{ name: web.example, doors: [mixer] }, { name: billing.example, doors: [stream] }]";
  const tls = `tls: { cert: certs/tls.crt, key: certs/tls.key, ca: certs/ca.crt }`;
  const hub = await secured(
    t,
    `listen: { grpc: { address: "127.0.0.1:0", ${tls}, clients: ${named} }, http: "127.0.0.1:0", admin: "127.0.0.1:0" }`,
    { "policies/shop.yaml": policies("memory") },
  );
  const { json } = await post(hub, "/v1/check", slow);
  const release = CheckRequest.encode(CheckRequest.fromPartial({ index: 1n, release: { id: json.id } })).finish();
  const open = (own: typeof web) => stream(grpcClient(t, hub, own), "/weir.v1.Weir/Check", CheckResponse);
  const refused = open(web);
  refused.send(release);
  t.is((await refused.status).code, 7);
  t.is(await left(hub, slow, "at-once"), 2);
  const allowed = open(billing);
  allowed.send(release);
  t.is((await allowed.next()).held!.limits.length, 1);
  t.is(await left(hub, slow, "at-once"), 3);
});

test("weir held changes what a decision took", async (t) => {
  const hub = await hubFor(t, { "policies/shop.yaml": policies("memory") });
  const held = (...args: string[]) => runWeir(["held", ...args, "--address", hub.grpc]);
  const [{ json: one }, { json: two }] = [await post(hub, "/v1/check", slow), await post(hub, "/v1/check", bytes)];
  const renewed = await held("renew", one.id, "--ttl", "30s");
  t.is(renewed.code, 0, renewed.stderr);
  t.regex(renewed.stdout, /^shop\/at-once {2}1 for \d\d(\.\d+)?s\n$/);
  t.like(await held("release", one.id), { code: 0, stdout: "shop/at-once  1 given back\n" });
  const again = await held("release", one.id);
  t.is(again.code, 1);
  t.is(again.stderr, "error: there is no lease to release under this id: it was done, or its time is over\n");
  const refunded = await held("refund", two.id, "--limit", "shop/bytes", "--json");
  t.like(JSON.parse(refunded.stdout), { id: two.id, limits: [{ rule: "shop/bytes" }] });
  for (const wrong of [
    ["release", two.id, "--ttl", "1s"],
    ["renew", two.id, "--amount", "1"],
    ["renew", two.id, "--ttl", "x"],
    ["end", two.id],
    ["renew", "x"],
  ])
    t.is((await held(...wrong)).code, 1, wrong.join(" "));
});

test("a hub ends what another one on the same Redis began", async (t) => {
  const redis = await startRedis();
  if ("gap" in redis) return notRun(t, redis);
  t.teardown(() => redis.kill());
  const files = {
    "weir.yaml": `adapters: { redis: { url: "redis://127.0.0.1:${redis.port}", timeout: 10s } }\n`,
    "policies/shop.yaml": policies("redis"),
  };
  const [one, other] = [await hubFor(t, files), await hubFor(t, files)];
  const { json } = await post(one, "/v1/check", slow);
  t.is(await left(other, slow, "at-once"), 2);
  t.is((await post(other, "/v1/limits/release", { id: json.id })).status, 200);
  t.is((await post(one, "/v1/limits/release", { id: json.id })).status, 404);
  t.is(await left(one, slow, "at-once"), 3);
  const { json: reported } = await post(one, "/v1/check", slow);
  await post(other, "/v1/report", { reports: [{ "check.decision_id": reported.id }] });
  await until(async () => (await left(one, slow, "at-once")) === 3);

  const client = createStreamClient({ address: one.grpc, deadlineMs: 20_000 });
  t.teardown(() => client.close());
  await redis.kill();
  await t.throwsAsync(client.release(reported.id), { code: "WEIR_ADAPTER_FAILED" });
  t.true((await client.check({})).allowed, "the stream goes on");
  const failed = await post(one, "/v1/limits/release", { id: reported.id });
  t.like(failed, { status: 503, json: { error: { code: "WEIR_ADAPTER_FAILED" } } });
  await post(one, "/v1/report", { reports: [{ "check.decision_id": reported.id }] });
  await until(async () => (await metric(one, "weir_dropped_total", { what: "hold" })) > 0);
});

function pause(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), 20));
}

/** A service that keeps requests waiting at `/slow` until they are let go, and answers 600 bytes elsewhere. */
async function startSlowService(t: ExecutionContext) {
  const waiting: ServerResponse[] = [];
  const server = createServer((request, response) => {
    if (request.url === "/slow") waiting.push(response);
    else response.end("x".repeat(600));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { waiting, port: (server.address() as AddressInfo).port };
}

for (const version of envoyVersions) {
  test(`Envoy ${version}: the access log ends what requests hold, and settles what they took`, async (t) => {
    const program = await envoyProgram(version);
    if ("gap" in program) return notRun(t, program);
    const service = await startSlowService(t);
    const hub = await hubFor(t, { "policies/shop.yaml": policies("memory") });
    const envoy = await startEnvoy(program, [
      ...["--policies", `${hub.folder}/policies`, "--hub", hub.grpc, "--service", "shop.mall"],
      ...["--upstream", `127.0.0.1:${service.port}`, "--timeout", "10s"],
    ]);
    t.teardown(() => envoy.dispose());
    const get = (path: string, headers: Record<string, string>) => ask(envoy.port, path, { headers });
    const slowly = () => get("/slow", { "x-slow": "yes" });

    const running = [slowly(), slowly(), slowly()];
    await until(() => service.waiting.length === 3);
    const refused = await slowly();
    t.is(refused.status, 429);
    t.is(refused.headers["retry-after"], undefined);
    t.is(refused.headers["ratelimit-policy"], '"shop/at-once";q=3;qu="concurrent-requests"');
    for (const response of service.waiting.splice(0)) response.end("done");
    t.deepEqual(
      (await Promise.all(running)).map(({ status }) => status),
      [200, 200, 200],
    );
    await until(async () => (await left(hub, slow, "at-once")) === 3);
    const again = slowly();
    await until(() => service.waiting.length === 1);
    service.waiting[0]!.end("done");
    t.is((await again).status, 200);

    // The rate limit filter's decision is another one, in metadata of its own.
    const counted = () => get("/slow", { "x-counted": "yes" });
    service.waiting.length = 0;
    const first = counted();
    await until(() => service.waiting.length === 1);
    t.is((await counted()).status, 429);
    service.waiting.pop()!.end("done");
    t.is((await first).status, 200);
    let next = counted();
    await until(async () => {
      if (service.waiting.length === 1) return true;
      if ((await Promise.race([next, pause()]))?.status === 429) next = counted();
      return false;
    });
    service.waiting.pop()!.end("done");
    t.is((await next).status, 200);

    const some = () => get("/some", { "x-bytes": "yes" });
    t.is((await some()).status, 200);
    await until(async () => (await left(hub, bytes, "bytes")) <= 401);
    t.is((await some()).status, 200);
    await until(async () => (await left(hub, bytes, "bytes")) === 0);
    t.is((await some()).status, 429);
  });
}
