import test from "ava";
import { startRedis, startSentinel, type RedisServer } from "../adapters/redis-server.ts";
import { hubFor, post, until } from "./clients.ts";
import { startFaultProxy } from "./fault-proxy.ts";
import type { Hub } from "./hub.ts";
import { notRun } from "./programs.ts";

const amount = 100;

const policies = `
policy: store
check:
  - { name: local, limit: ${amount}/360d, via: redis, algorithm: fixed-window, onError: local }
`;

const found = await startRedis();

if ("gap" in found) test("limits over a failover of their Redis", (t) => notRun(t, found));
else {
  await found.kill();

  test("a failover: what the replica had not heard of is admitted once more, and nothing else", async (t) => {
    t.timeout(120_000);
    const master = (await startRedis()) as RedisServer;
    // What the master replicates goes through here.
    const proxy = await startFaultProxy(master.port);
    const replica = (await startRedis({ args: ["--replicaof", "127.0.0.1", String(proxy.port)] })) as RedisServer;
    const sentinel = await startSentinel(master.port);
    t.teardown(() => Promise.all([sentinel, replica, master].map((each) => each.kill())));
    t.teardown(() => proxy.close());
    const hub = await hubFor(t, {
      "weir.yaml": `
policies: ./policies
adapters: { redis: { sentinels: ["127.0.0.1:${sentinel.port}"], master: limits, timeout: 2s } }
check: { adapterTimeout: 5s }
`,
      "policies/store.yaml": policies,
    });
    let passed = 0;
    const pass = async (): Promise<{ allowed: boolean; degraded: boolean }> => {
      const answered = await ask(hub);
      if (answered.allowed) passed++;
      return answered;
    };

    for (let i = 0; i < 20; i++) t.deepEqual(await pass(), { allowed: true, degraded: false });
    await until(async () => (await counted(replica)) === 20);
    // The Sentinel has to know the replica before it can promote it.
    await until(async () =>
      String(await sentinel.client.call("SENTINEL", "REPLICAS", "limits")).includes(String(replica.port)),
    );
    await proxy.become("is silent");
    const lost = 10;
    for (let i = 0; i < lost; i++) t.deepEqual(await pass(), { allowed: true, degraded: false });
    t.deepEqual([await counted(master), await counted(replica)], [20 + lost, 20]);

    await master.kill();
    const passedBefore = passed;
    for (let i = 0; i < 15; i++) t.deepEqual(await pass(), { allowed: true, degraded: true });
    await until(async () => (await replica.client.role())[0] === "master");
    while ((await pass()).degraded);
    const here = passed - passedBefore - 1;
    t.true((await counted(replica)) >= 20 + 15, "what passed meanwhile was charged to the new master");
    for (let refused = 0; refused < 3;) if (!(await pass()).allowed) refused++;
    t.log(`${passed} of ${amount} passed, ${here} of them while there was no master; ${lost} had not been replicated`);
    t.is(passed, amount + lost);
    t.is(await counted(replica), amount);
  });
}

async function ask(hub: Hub): Promise<{ allowed: boolean; degraded: boolean }> {
  const { json } = await post(hub, "/v1/check", { attributes: { "request.path": "/" } });
  return { allowed: json.allowed, degraded: json.limits.some((limit: { degraded: boolean }) => limit.degraded) };
}

/** What stands in the only count of a server. */
async function counted({ client }: RedisServer): Promise<number> {
  const [key] = await client.keys("*store/local*}");
  const held = key === undefined ? null : await client.getBuffer(key);
  return held === null ? 0 : held.readDoubleBE(8);
}
