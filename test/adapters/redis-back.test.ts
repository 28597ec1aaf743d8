import test from "ava";
import { fakeCall, fakeHost, makeInstance } from "weir/sdk/testing";
import redis from "../../adapters/redis/index.ts";
import { AdapterCalls } from "../../src/runtime/adapter-call.ts";
import { Failure } from "../../src/runtime/failure.ts";
import { until } from "../e2e/clients.ts";
import { notRun } from "../e2e/programs.ts";
import { fakeClock, logLines, recorder } from "../runtime/world.ts";
import { startRedis, type RedisServer } from "./redis-server.ts";

const server = await startRedis();

if ("gap" in server) test("a Redis that is back", (t) => notRun(t, server));
else
  test("a Redis that is back after a long time counts with the next request", async (t) => {
    const { port } = server;
    t.teardown(() => server.kill());
    const host = fakeHost();
    const instance = await makeInstance(redis, { url: `redis://127.0.0.1:${port}` }, host);
    t.teardown(async () => {
      host.close();
      await instance.close?.();
    });
    const clock = fakeClock();
    const calls = new AdapterCalls({
      name: "redis",
      instance,
      timeoutMs: () => 1000,
      observer: recorder().observer,
      log: logLines().log,
      now: () => clock.now(),
      monotonic: () => clock.now(),
      timers: clock,
    });
    const limit = { id: "a/b", algorithm: "token-bucket", amount: 5, windowMs: 3_600_000, burst: 5 } as const;
    const take = async (): Promise<string> => {
      const grants = await calls.quota([{ limit, key: "k", amount: 1, bestEffort: false }]);
      return grants instanceof Failure ? grants.kind : grants[0]!.allowed ? "allowed" : "refused";
    };
    t.is(await take(), "allowed");

    await server.kill();
    await until(() => instance.unready?.() !== undefined);
    const charge = { limit, key: "k", amount: 1, bestEffort: false };
    await t.throwsAsync(async () => instance.quota!([charge], fakeCall()), { code: "ENOTCONN" });
    while ((await take()) !== "open");
    // Each trial fails, until it is left alone for 30 s.
    for (const seconds of [1, 2, 4, 8, 16]) {
      await clock.advance(seconds * 1000);
      t.is(await take(), "fault");
    }
    await clock.advance(2000);
    t.is(await take(), "open");

    const back = (await startRedis({ port })) as RedisServer;
    t.teardown(() => back.kill());
    await until(() => instance.unready?.() === undefined);
    t.is(await take(), "allowed");
    t.is(await take(), "allowed");
  });
