import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { startNats } from "../adapters/nats-server.ts";
import { startRedis } from "../adapters/redis-server.ts";
import { metric, post, until } from "./clients.ts";
import { freePort } from "./free-port.ts";
import { startHub, type Hub } from "./hub.ts";
import { notRun } from "./programs.ts";

interface Readiness {
  readonly status: number;
  readonly reasons: readonly string[];
}

async function readiness(hub: Hub): Promise<Readiness> {
  const response = await fetch(`http://${hub.admin}/readyz`);
  return { status: response.status, reasons: ((await response.json()) as Readiness).reasons };
}

const isReady = async (hub: Hub): Promise<boolean> => (await readiness(hub)).status === 200;

test("a hub is ready only while the adapters that are required have their servers", async (t) => {
  const redis = await startRedis();
  if ("gap" in redis) return notRun(t, redis);
  t.teardown(() => redis.kill());
  const nats = await startNats();
  if ("gap" in nats) return notRun(t, nats);
  t.teardown(() => nats.dispose());
  const config = (required: boolean) => `
policies: ./policies
adapters:
  redis: { url: "redis://127.0.0.1:${redis.port}", required: ${required} }
  nats: { servers: "${nats.url}", required: ${required} }
`;
  const hub = await startHub({ "weir.yaml": config(true), "policies/a.yaml": "policy: a\n" });
  t.teardown(() => hub.dispose());
  await until(() => isReady(hub));
  t.is(await metric(hub, "weir_adapter_ready", { adapter: "redis" }), 1);

  await redis.kill();
  await until(async () => !(await isReady(hub)));
  const without = await readiness(hub);
  t.is(without.status, 503);
  t.is(without.reasons.length, 1);
  t.regex(without.reasons[0]!, /^adapter redis: there is no connection to redis/);
  t.is(await metric(hub, "weir_adapter_ready", { adapter: "redis" }), 0);
  await nats.kill();
  await until(async () => (await readiness(hub)).reasons.length === 2);
  t.regex((await readiness(hub)).reasons[1]!, /^adapter nats: /);
  t.is((await fetch(`http://${hub.admin}/healthz`)).status, 200, "a hub that is not ready lives");

  // Whether an adapter is required changes nothing of it.
  await writeFile(join(hub.folder, "weir.yaml"), config(false));
  await until(() => isReady(hub));
  await writeFile(join(hub.folder, "weir.yaml"), config(true));
  await until(async () => !(await isReady(hub)));

  const again = await startRedis({ port: redis.port });
  if ("gap" in again) return t.fail(again.gap);
  t.teardown(() => again.kill());
  await until(async () => (await readiness(hub)).reasons.length === 1);
});

test("a hub starts without a server that is required, and is ready once it is there", async (t) => {
  const port = await freePort();
  const hub = await startHub({
    "weir.yaml": `{ adapters: { redis: { url: "redis://127.0.0.1:${port}", required: true } } }`,
    "policies/a.yaml": "policy: a\n",
  });
  t.teardown(() => hub.dispose());
  t.is((await readiness(hub)).status, 503);
  const redis = await startRedis({ port });
  if ("gap" in redis) return notRun(t, redis);
  t.teardown(() => redis.kill());
  await until(() => isReady(hub));
  t.deepEqual(await readiness(hub), { status: 200, reasons: [] });
});

test("an exporter that is required keeps a hub from being ready while it does not take what is offered to it", async (t) => {
  const port = await freePort();
  const hub = await startHub({
    "weir.yaml": `
policies: ./policies
adapters:
  logs: { adapter: otlp, endpoint: "http://127.0.0.1:${port}", required: true }
  traces: { adapter: zipkin, endpoint: "http://127.0.0.1:${port}" }
`,
    "policies/a.yaml": `
policy: a
report:
  - { log: access, fields: { path: request.path }, to: logs }
  - { log: more, fields: { path: request.path }, to: stdout }
`,
  });
  t.teardown(() => hub.dispose());
  t.true(await isReady(hub), "nothing was tried yet");
  await post(hub, "/v1/report", { reports: [{ "request.path": "/" }] });
  await until(async () => !(await isReady(hub)));
  const { reasons } = await readiness(hub);
  t.regex(reasons.join(), /^adapter logs: it does not take log entries: .*ECONNREFUSED/);
});
