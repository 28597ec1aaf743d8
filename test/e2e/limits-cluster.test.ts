import test from "ava";
import { startCluster, startRedis } from "../adapters/redis-server.ts";
import { hubFor, post } from "./clients.ts";
import { runWeir } from "./hub.ts";
import { notRun } from "./programs.ts";

const policies = `
policy: spend
check:
  - name: tokens
    limit: 100/d
    by: request.host
    via: redis
    onError: deny
    levels:
      - { name: team, limit: 50/d, by: 'request.headers["x-team"]' }
      - { name: user, limit: 20/d, by: request.api_key, algorithm: fixed-window }
`;

test("weir limits sees and changes the levels of a limit on a Redis Cluster", async (t) => {
  const gap = await startRedis();
  if ("gap" in gap) return notRun(t, gap);
  await gap.kill();
  const nodes = await startCluster();
  t.teardown(() => Promise.all(nodes.map((node) => node.kill())));
  const cluster = nodes.map(({ port }) => `"127.0.0.1:${port}"`).join(", ");
  const hub = await hubFor(t, {
    "weir.yaml": `adapters: { redis: { cluster: [${cluster}], timeout: 10s } }\n`,
    "policies/spend.yaml": policies,
  });
  const check = async (host: string, team: string, user: string) => {
    const attributes = { "request.host": host, "request.headers": { "x-team": team }, "request.api_key": user };
    const { json } = await post(hub, "/v1/check", { attributes });
    return json.allowed as boolean;
  };
  const limits = async (...args: string[]) => {
    const { stdout, stderr, code } = await runWeir(["limits", ...args, "--admin", hub.admin, "--json"]);
    t.is(code, 0, stderr);
    return JSON.parse(stdout);
  };
  for (const [host, team, user] of [
    ["acme", "web", "ann-0123456789"],
    ["acme", "web", "ann-0123456789"],
    ["acme", "db", "bob-0123456789"],
    ["other", "web", "eve-0123456789"],
  ] as const)
    t.true(await check(host, team, user));

  const list = await limits();
  t.deepEqual(
    list.limits.map(({ rule }: { rule: string }) => rule),
    ["spend/tokens", "spend/tokens#team", "spend/tokens#user"],
  );
  const used = async (rule: string) =>
    (await limits(rule)).keys.map(({ key, used }: any) => [...Object.values(key as object).slice(0, 2), used]);
  t.deepEqual(await used("spend/tokens"), [
    ["acme", 3],
    ["other", 1],
  ]);
  t.deepEqual((await used("spend/tokens#team")).sort(), [
    ["acme", "db", 1],
    ["acme", "web", 2],
    ["other", "web", 1],
  ]);
  t.is((await used("spend/tokens#user")).length, 3);

  // One script and one slot: a hierarchy lies on one node, and those of others elsewhere.
  const names = (await Promise.all(nodes.map(({ client }) => client.keys("weir:{*")))).flat();
  const tags = new Set(names.map((name) => /\{([^}]*)\}/.exec(name)![1]));
  t.deepEqual([names.length, tags.size], [8, 2]);

  const ann = ["key=acme", "team=web", "user=ann-0123456789"];
  const stand = async () => (await limits("spend/tokens#user", ...ann)).limits[0];
  t.like(await stand(), { used: 2, remaining: 18 });
  t.is((await limits("grant", "spend/tokens#user", ...ann, "--amount", "7")).granted, 7);
  t.like(await stand(), { used: 2, remaining: 25 });
  t.is((await limits("reset", "spend/tokens#user", ...ann)).reset, 1);
  t.like(await stand(), { used: 0, remaining: 20 });
  t.deepEqual((await used("spend/tokens#team")).length, 3, "other levels stay");
  t.is((await limits("reset", "spend/tokens#team", "--all")).reset, 3);
  t.deepEqual(await used("spend/tokens#team"), []);
  t.deepEqual(await used("spend/tokens"), [
    ["acme", 3],
    ["other", 1],
  ]);
});
