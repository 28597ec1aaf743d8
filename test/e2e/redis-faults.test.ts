import test, { type ExecutionContext } from "ava";
import { startRedis, type RedisServer } from "../adapters/redis-server.ts";
import { metric } from "./clients.ts";
import { startFaultProxy, type Fault, type FaultProxy } from "./fault-proxy.ts";
import { startHub, type Hub } from "./hub.ts";
import { monitorLimit } from "./limit-monitor.ts";
import { notRun } from "./programs.ts";

const amount = 40;

const policies = `
policy: store
check:
  - { name: local, limit: ${amount}/d, via: redis, algorithm: fixed-window, onError: local, when: 'request.path == "/local"' }
  - { name: deny, limit: 1000000/d, via: redis, onError: deny, when: 'request.path == "/deny"' }
  - { name: allow, limit: 1000000/d, via: redis, onError: allow, when: 'request.path == "/allow"' }
`;

interface Answered {
  readonly allowed: boolean;
  readonly code: string;
  readonly degraded: boolean;
}

async function ask(hub: Hub, path: string): Promise<Answered> {
  const response = await fetch(`http://${hub.http}/v1/check`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ attributes: { "request.path": path } }),
  });
  const { allowed, code, limits } = (await response.json()) as {
    allowed: boolean;
    code: string;
    limits: { degraded: boolean }[];
  };
  return { allowed, code: String(code), degraded: limits.some((limit) => limit.degraded) };
}

interface Broken {
  readonly title: string;
  fail(redis: RedisServer, proxy: FaultProxy): Promise<unknown>;
  mend(redis: RedisServer, proxy: FaultProxy): Promise<unknown>;
  /** Why the store gave no answer, as metrics say it, before it is left alone. */
  readonly reason: "timeout" | "fault";
}

const network = (title: string, fault: Fault, reason: Broken["reason"]): Broken => ({
  title,
  fail: (_, proxy) => proxy.become(fault),
  mend: (_, proxy) => proxy.become("none"),
  reason,
});

/** A script that does not end, of a connection of its own. */
let endless: Promise<unknown> | undefined;

const cases: readonly Broken[] = [
  network("slow", { delays: 3000 }, "timeout"),
  network("silent", "is silent", "timeout"),
  network("gone", "refuses", "fault"),
  network("resetting connections", "resets", "fault"),
  network("cut off in the middle of an answer", "cuts", "fault"),
  network("losing answers with their connections", { losesAnswersTo: "store/" }, "fault"),
  {
    title: "a replica",
    fail: ({ client }) => client.call("REPLICAOF", "127.0.0.1", "1"),
    mend: ({ client }) => client.call("REPLICAOF", "NO", "ONE"),
    reason: "fault",
  },
  {
    title: "out of memory",
    fail: ({ client }) => client.config("SET", "maxmemory", "1"),
    mend: ({ client }) => client.config("SET", "maxmemory", "0"),
    reason: "fault",
  },
  {
    title: "busy with a script that does not end",
    async fail({ client }) {
      await client.config("SET", "busy-reply-threshold", "1");
      const other = client.duplicate();
      endless = other.eval("while true do end", 0).then(
        () => other.disconnect(),
        () => other.disconnect(),
      );
      // It is busy when it says so.
      while (
        await client.ping().then(
          () => true,
          () => false,
        )
      );
    },
    async mend({ client }) {
      await client.script("KILL");
      await endless;
    },
    reason: "fault",
  },
];

const found = await startRedis();

if ("gap" in found) test("limits while their Redis fails", (t) => notRun(t, found));
else {
  await found.kill();

  const started = async (
    t: ExecutionContext,
    timeout = "500ms",
  ): Promise<{ redis: RedisServer; proxy: FaultProxy; hub: Hub }> => {
    const redis = (await startRedis()) as RedisServer;
    t.teardown(() => redis.kill());
    const proxy = await startFaultProxy(redis.port);
    t.teardown(() => proxy.close());
    const hub = await startHub({
      "weir.yaml": `policies: ./policies\nadapters: { redis: { url: "redis://127.0.0.1:${proxy.port}", timeout: ${timeout} } }\n`,
      "policies/store.yaml": policies,
    });
    t.teardown(() => hub.dispose());
    return { redis, proxy, hub };
  };

  for (const { title, fail, mend, reason } of cases) {
    test(`a Redis that is ${title}: onError answers, and what passes meanwhile is charged when it is back`, async (t) => {
      t.timeout(120_000);
      const { redis, proxy, hub } = await started(t);
      const told = await monitorLimit(redis, "store/local", t);
      const passed = { here: 0, there: 0 };
      const local = async (): Promise<Answered> => {
        const answered = await ask(hub, "/local");
        if (answered.allowed) passed[answered.degraded ? "here" : "there"]++;
        return answered;
      };
      for (let i = 0; i < 5; i++) t.true((await local()).allowed);

      await fail(redis, proxy);
      // A machine under load may have timed out before; from here on nothing is answered.
      t.deepEqual(await ask(hub, "/deny"), { allowed: false, code: "unavailable", degraded: true });
      t.deepEqual(await ask(hub, "/allow"), { allowed: true, code: "ok", degraded: true });
      for (let i = 0; i < 14; i++) t.deepEqual(await local(), { allowed: true, code: "ok", degraded: true });
      const degraded = (rule: string, why: string) => metric(hub, "weir_limits_degraded_total", { rule, reason: why });
      t.true((await degraded("store/deny", reason)) + (await degraded("store/local", reason)) > 0, reason);
      t.true((await degraded("store/local", "open")) > 0, "the store is left alone after a while");

      await mend(redis, proxy);
      while ((await local()).degraded);
      for (let refused = 0; refused < 3;) if (!(await local()).allowed) refused++;
      t.true(passed.here + passed.there <= amount);

      // What was let through without it was charged, each unit once. What a request took of it whose answer was lost is
      // counted too, unless it could be given back.
      const counts = (): number => told.granted - told.returned + told.paid;
      const agree = async (): Promise<boolean> => told.paid >= passed.here && (await told.standing()) === counts();
      for (let tries = 0; tries < 500 && !(await agree()); tries++) await new Promise((done) => setTimeout(done, 20));
      t.is(told.paid, passed.here);
      const lost = told.granted - passed.there - told.returned;
      t.is(await told.standing(), passed.here + passed.there + lost);
      if (lost === 0) t.is(passed.here + passed.there, amount);
      t.true(lost >= 0 && lost <= 20, `${lost} lost: as many as were under way before the store was left alone`);
    });
  }

  test("a Redis that has forgotten the scripts is asked again at once", async (t) => {
    const { redis, hub } = await started(t, "10s");
    t.like(await ask(hub, "/deny"), { allowed: true });
    await redis.client.script("FLUSH");
    t.like(await ask(hub, "/deny"), { allowed: true, degraded: false });
  });
}
