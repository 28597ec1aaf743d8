import test, { type ExecutionContext } from "ava";
import { createClient } from "../../src/client/index.ts";
import { startCluster, startRedis, type RedisServer } from "../adapters/redis-server.ts";
import { hubFor } from "./clients.ts";
import type { Hub } from "./hub.ts";
import { notRun } from "./programs.ts";

const perUser = 40;
const everybody = 150;
const users = ["ann", "bob", "cay", "dan", "eve"];

const policies = `
policy: shared
check:
  - { name: user, limit: ${perUser}/360d, by: request.api_key, via: redis, algorithm: fixed-window, onError: deny }
  - name: everybody
    limit: ${everybody}/360d
    when: request.path == "/both"
    via: redis
    algorithm: sliding-window
    onError: deny
`;

const found = await startRedis();

if ("gap" in found) test("hubs that share a Redis Cluster", (t) => notRun(t, found));
else {
  let nodes: readonly RedisServer[] = [];
  let runs = 0;
  test.before(async () => {
    await found.kill();
    nodes = await startCluster();
  });
  test.after.always(() => Promise.all(nodes.map((node) => node.kill())));

  const start = (t: ExecutionContext, prefix: string): Promise<Hub> => {
    const cluster = nodes.map(({ port }) => `"127.0.0.1:${port}"`).join(", ");
    const redis = `{ cluster: [${cluster}], prefix: "${prefix}", timeout: 10s }`;
    return hubFor(t, {
      "weir.yaml": `policies: ./policies\nadapters: { redis: ${redis} }\ncheck: { adapterTimeout: 20s }\n`,
      "policies/shared.yaml": policies,
    });
  };

  /** Three hubs, and a caller at each of them that asks for one user. */
  const started = async (t: ExecutionContext, path: string) => {
    const prefix = `run${++runs}:`;
    const hubs = await Promise.all([start(t, prefix), start(t, prefix), start(t, prefix)]);
    const clients = hubs.map((hub) => createClient({ address: hub.grpc }));
    t.teardown(() => clients.forEach((client) => client.close()));
    const admitted = new Map(users.map((user) => [user, 0]));
    return {
      admitted,
      sum: () => [...admitted.values()].reduce((all, units) => all + units, 0),
      async ask(hub: number, user: string): Promise<boolean> {
        const { allowed, code } = await clients[hub]!.check({ "request.api_key": user, "request.path": path });
        t.true(allowed || code === 8, `code ${code}`);
        if (allowed) admitted.set(user, admitted.get(user)! + 1);
        return allowed;
      },
    };
  };

  test("hubs that share a Redis Cluster and are hammered at once admit exactly the limit of each key together", async (t) => {
    const { ask, admitted } = await started(t, "/");
    const asked = users.flatMap((user) => [0, 1, 2].flatMap((hub) => Array.from({ length: 30 }, () => ask(hub, user))));
    await Promise.all(asked);
    t.deepEqual(
      [...admitted.values()],
      users.map(() => perUser),
    );
  });

  test("limits on several nodes: hubs that are hammered at once never admit more, and all of it in the end", async (t) => {
    const { ask, admitted, sum } = await started(t, "/both");
    const asked = users.flatMap((user) => [0, 1, 2].flatMap((hub) => Array.from({ length: 30 }, () => ask(hub, user))));
    await Promise.all(asked);
    t.true(sum() <= everybody && [...admitted.values()].every((units) => units <= perUser), String([...admitted]));
    t.log(`${sum()} of ${everybody} at once`);
    // What one limit refuses, the other had taken for a moment: asked again one by one, nothing is missing.
    for (const user of users) while (await ask(users.indexOf(user) % 3, user));
    t.is(sum(), everybody);
    t.true([...admitted.values()].every((units) => units <= perUser));
  });
}
