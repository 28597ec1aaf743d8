import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { startRedis } from "../adapters/redis-server.ts";
import { metric, until } from "./clients.ts";
import { envoyProgram, rejects, startEnvoy, type Envoy } from "./envoy-process.ts";
import { runWeir, startHub, type Hub } from "./hub.ts";
import { envoyVersions } from "./peers.ts";
import { notRun, type Program } from "./programs.ts";
import { ask, startService, type Service } from "./proxied-service.ts";

const rate = 40;
const burst = 20;

const policy = (via: string): string => `
policy: edge
match: ratelimit.domain == "edge"
check:
  - { name: all, limit: ${rate}/s, burst: ${burst}, at: ratelimit, via: ${via}, onError: deny }
`;

/** What came of requests through one proxy. */
interface Passed {
  ok: number;
  refused: number;
  other: number;
}

/** Asks through a proxy, faster than the limit allows, until it is told to stop. */
function load(envoy: Envoy, passed: Passed): () => Promise<void> {
  let isOver = false;
  const worker = async (): Promise<void> => {
    while (!isOver) {
      const { status } = await ask(envoy.port, "/");
      if (status === 200) passed.ok++;
      else if (status === 429) passed.refused++;
      else passed.other++;
      await new Promise((done) => setTimeout(done, 25));
    }
  };
  const workers = Promise.all([worker(), worker(), worker()]);
  return async () => {
    isOver = true;
    await workers;
  };
}

async function envoyFor(t: ExecutionContext, program: Program, hub: Hub, service: Service): Promise<Envoy> {
  const envoy = await startEnvoy(program, [
    ...["--config", join(hub.folder, "weir.yaml"), "--hub", hub.grpc, "--upstream", `127.0.0.1:${service.port}`],
    ...["--quota", "--fail-closed", "--timeout", "10s"],
  ]);
  t.teardown(envoy.dispose);
  return envoy;
}

/**
 * Load on one, on both, then on the other alone. What both let pass is held against the limit from the first request to the last
 * answer.
 */
async function moveLoad(t: ExecutionContext, one: Envoy, other: Envoy): Promise<void> {
  const passed = [one, other].map((): Passed => ({ ok: 0, refused: 0, other: 0 }));
  const [first, second] = passed as [Passed, Passed];
  const start = performance.now();
  const withinLimit = (): void => {
    const sum = first.ok + second.ok;
    const most = burst + (rate * (performance.now() - start)) / 1000;
    t.true(sum <= most, `${sum} requests passed, of ${most}`);
  };
  const stopFirst = load(one, first);
  await until(() => first.ok >= 3 * rate);
  const stopSecond = load(other, second);
  // What is held back would take minutes for that: a part of the first one's share has come over.
  await until(() => second.ok >= 2 * rate);
  withinLimit();
  await stopFirst();
  const before = second.ok;
  await until(() => second.ok >= before + 4 * rate);
  await stopSecond();
  withinLimit();
  t.true(first.refused > 0 && second.refused > 0);
  t.deepEqual([first.other, second.other], [0, 0]);
  t.log(`${first.ok} and ${second.ok} passed in ${Math.round((performance.now() - start) / 1000)} s of ${rate}/s`);
}

test.serial("two Envoys of one hub keep to a limit together while load moves from one to the other", async (t) => {
  t.timeout(180_000);
  const programs = await Promise.all(envoyVersions.map(envoyProgram));
  const missing = programs.find((program) => "gap" in program);
  if (missing !== undefined && "gap" in missing) return notRun(t, missing);
  const service = await startService();
  t.teardown(service.close);
  const hub = await startHub({
    "weir.yaml": "doors: { ratelimitQuota: { afterStart: assign } }\n",
    "policies/edge.yaml": policy("memory"),
  });
  t.teardown(() => hub.dispose());
  const [one, other] = await Promise.all((programs as Program[]).map((program) => envoyFor(t, program, hub, service)));
  await moveLoad(t, one!, other!);
  await until(async () => (await metric(hub, "weir_quota_requests_total", { outcome: "denied" })) > 0);
  t.true((await metric(hub, "weir_quota_requests_total", { rule: "edge/all", outcome: "allowed" })) > 0);
});

test.serial("Envoys of two hubs keep to a limit that the hubs share in Redis", async (t) => {
  t.timeout(180_000);
  const found = await envoyProgram(envoyVersions[0]);
  if ("gap" in found) return notRun(t, found);
  const redis = await startRedis();
  if ("gap" in redis) return notRun(t, redis);
  t.teardown(() => redis.kill());
  const service = await startService();
  t.teardown(service.close);
  const files = {
    "weir.yaml": `adapters: { redis: { url: "redis://127.0.0.1:${redis.port}", timeout: 5s } }\n`,
    "policies/edge.yaml": policy("redis"),
  };
  const hubs = await Promise.all([startHub(files), startHub(files)]);
  for (const hub of hubs) t.teardown(() => hub.dispose());
  const [one, other] = await Promise.all(hubs.map((hub) => envoyFor(t, found, hub, service)));
  await moveLoad(t, one!, other!);
});

for (const version of envoyVersions) {
  test.serial(`Envoy ${version} takes the buckets that are printed for what limits read`, async (t) => {
    const found = await envoyProgram(version);
    if ("gap" in found) return notRun(t, found);
    const reads = [
      'request.headers["x-api-key"]',
      'request.query_params["q"]',
      'request.auth.claims["plan"]',
      "source.ip",
      "source.principal",
    ];
    const rules = reads.map((by, i) => `  - { name: l${i}, limit: 1/s, at: ratelimit, by: '${by}' }`);
    const hub = await startHub({ "policies/edge.yaml": `policy: edge\ncheck:\n${rules.join("\n")}\n` });
    t.teardown(() => hub.dispose());
    const printed = await runWeir(["envoy", "--policies", join(hub.folder, "policies"), "--quota"]);
    t.is(printed.stderr, "");
    t.is(await rejects(found, printed.stdout), undefined);
  });
}
