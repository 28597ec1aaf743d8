import test, { type ExecutionContext } from "ava";
import { createClient } from "../../src/client/index.ts";
import { startRedis } from "../adapters/redis-server.ts";
import { startHub, type Hub } from "./hub.ts";
import { notRun } from "./programs.ts";

const amount = 2000;
const policies = `
policy: shared
check:
  - name: by-user
    limit: ${amount}/d
    by: request.api_key
    via: redis
    algorithm: fixed-window
    consistency: bounded
    onError: deny
`;

const server = await startRedis();

if ("gap" in server) test("hubs that take units of a limit ahead", (t) => notRun(t, server));
else {
  test.after.always(() => server.kill());

  const start = (t: ExecutionContext): Promise<Hub> =>
    startHub({
      "weir.yaml": `policies: ./policies\nadapters: { redis: { url: "redis://127.0.0.1:${server.port}", timeout: 5s } }\ncheck: { adapterTimeout: 10s }\n`,
      "policies/shared.yaml": policies,
    }).then((hub) => {
      t.teardown(() => hub.dispose());
      return hub;
    });

  test("five hubs together never admit more than the limit, and less only by what they hold, also when some are killed and stopped", async (t) => {
    const hubs = await Promise.all([start(t), start(t), start(t), start(t), start(t)]);
    const clients = hubs.map((hub) => createClient({ address: hub.grpc }));
    t.teardown(() => clients.forEach((client) => client.close()));
    let admitted = 0;
    const ask = async (hub: number): Promise<boolean> => {
      const { allowed, code } = await clients[hub]!.check({ "request.api_key": "user" });
      t.true(allowed || code === 8, `code ${code}`);
      if (allowed) admitted++;
      return allowed;
    };
    const hammer = (which: readonly number[], rounds: number): Promise<unknown> =>
      Promise.all(
        which.flatMap((hub) =>
          Array.from({ length: 10 }, async () => {
            for (let i = 0; i < rounds; i++) await ask(hub);
          }),
        ),
      );

    await hammer([0, 1, 2, 3, 4], 20);
    t.is(admitted, 1000, "far from the limit nobody is refused");
    await hammer([0, 1, 2, 3, 4], 15);
    t.true(admitted <= amount);
    // One crashes with what it holds, one is stopped and returns it.
    const held = await heldBy(hubs[0]!);
    hubs[0]!.process.kill("SIGKILL");
    hubs[1]!.process.kill("SIGTERM");
    await Promise.all([hubs[0]!.exit, hubs[1]!.exit]);
    t.log(`admitted ${admitted} of ${amount}, the hub that is killed holds ${held}`);

    const left = [2, 3, 4];
    // Whoever is refused asks again, as told; units that others do not use come back.
    for (let refusedInARow = 0; refusedInARow < 60;) {
      const answers = await Promise.all(left.map(ask));
      t.true(admitted <= amount);
      refusedInARow = answers.includes(true) ? 0 : refusedInARow + 1;
      if (refusedInARow > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const stillHeld = (await Promise.all(left.map((hub) => heldBy(hubs[hub]!)))).reduce((sum, units) => sum + units, 0);
    t.log(`at the end: ${amount - admitted} too few, ${stillHeld} of them held`);
    t.true(amount - admitted <= held + stillHeld, `${amount - admitted} too few`);
    t.true(stillHeld <= 3);
  });
}

/** Units that a hub has taken ahead, by its metrics. */
async function heldBy(hub: Hub): Promise<number> {
  const text = await (await fetch(`http://${hub.admin}/metrics`)).text();
  return Number(/^weir_lease_units\{.*limit="shared\/by-user".*\} (\S+)$/m.exec(text)?.[1] ?? 0);
}
