import test, { type ExecutionContext } from "ava";
import { createClient } from "../../src/client/index.ts";
import { startRedis, type RedisServer } from "../adapters/redis-server.ts";
import { startHub, type Hub } from "./hub.ts";
import { notRun } from "./programs.ts";

const policies = (amount: number) => `
policy: shared
check:
  - { name: by-user, limit: ${amount}/d, by: request.api_key, via: redis, algorithm: fixed-window, onError: deny }
  - { name: soft, limit: 2/d, by: request.api_key, via: redis, onError: local, when: 'request.path == "/soft"' }
`;

const server = await startRedis();

if ("gap" in server) test("hubs that share a Redis", (t) => notRun(t, server));
else {
  test.after.always(() => server.kill());

  const start = (amount: number, redis: RedisServer = server): Promise<Hub> =>
    startHub({
      "weir.yaml": `policies: ./policies\nadapters: { redis: { url: "redis://127.0.0.1:${redis.port}", timeout: 2s } }\n`,
      "policies/shared.yaml": policies(amount),
    });
  const asking = (t: ExecutionContext, hub: Hub, key: string, path = "/") => {
    const client = createClient({ address: hub.grpc });
    t.teardown(() => client.close());
    return () => client.check({ "request.api_key": key, "request.path": path });
  };

  test("hubs that share a Redis admit exactly the limit together, and a restart forgets nothing", async (t) => {
    const hubs = await Promise.all([start(100), start(100), start(100)]);
    t.teardown(() => hubs.forEach((hub) => hub.dispose()));
    const callers = hubs.map((hub) => asking(t, hub, "together"));
    const decisions = await Promise.all(Array.from({ length: 60 }, () => callers.map((check) => check())).flat());
    t.is(decisions.filter(({ allowed }) => allowed).length, 100);

    const again = await start(101);
    t.teardown(() => again.dispose());
    const check = asking(t, again, "together");
    t.true((await check()).allowed, "the amount was raised by one");
    t.false((await check()).allowed);
  });

  test("a Redis that is gone is answered by each rule's onError, and one that is back counts again", async (t) => {
    const redis = (await startRedis()) as RedisServer;
    const hub = await start(1000, redis);
    t.teardown(() => hub.dispose());
    const [strict, soft] = [asking(t, hub, "a"), asking(t, hub, "b", "/soft")];
    t.true((await strict()).allowed);
    await redis.kill();
    const refused = await strict();
    t.deepEqual([refused.allowed, refused.code], [false, 14]);
    const back = (await startRedis({ port: redis.port })) as RedisServer;
    t.teardown(() => back.kill());
    while (!(await strict()).allowed);
    t.true((await soft()).allowed);
  });
}
