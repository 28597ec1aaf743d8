import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { startCluster, startRedis, type RedisServer } from "../adapters/redis-server.ts";
import { hubFor, post, until } from "./clients.ts";
import type { Hub } from "./hub.ts";
import { notRun } from "./programs.ts";

/** Where limits are counted, by what weir.yaml says of it. */
interface Store {
  readonly via: string;
  readonly adapters: string;
}

/** Limits of each algorithm that all apply to every request, in windows that no test run sees the end of. */
const limits = [
  ["bucket", "10/360d"],
  ["sliding", "9/360d", "algorithm: sliding-window"],
  ["fixed", "8/360d", "algorithm: fixed-window"],
  ["year", "7/year", "zone: Pacific/Kiritimati"],
  ["at-once", "6", "algorithm: concurrency", "ttl: 1h"],
] as const;

function policies(via: string, amounts: Readonly<Record<string, string>> = {}, more = ""): string {
  const rules = limits.map(([name, amount, ...rest]) =>
    ["name: " + name, `limit: ${amounts[name] ?? amount}`, ...rest, `via: ${via}`, "onError: deny"].join(", "),
  );
  return `policy: p\ncheck:\n${rules.map((rule) => `  - { ${rule} }\n`).join("")}${more}`;
}

interface Answered {
  readonly allowed: boolean;
  readonly rules: readonly string[];
  readonly version: string;
  /** What is left of each limit, in the order of {@link limits}. */
  readonly left: readonly number[];
}

async function ask(hub: Hub, quotas?: Readonly<Record<string, number>>): Promise<Answered> {
  const { json } = await post(hub, "/v1/check", { attributes: { "request.path": "/" }, ...(quotas && { quotas }) });
  const states = json.limits as readonly { rule: string; remaining: number }[];
  const left = limits.flatMap(([name]) => states.find(({ rule }) => rule === `p/${name}`)?.remaining ?? []);
  return { allowed: json.allowed, rules: json.rules, version: json.version, left };
}

/** Has a hub take another policy file, whole, and waits until it has. */
async function reload(hub: Hub, text: string): Promise<void> {
  const { version } = await ask(hub, { none: 0 });
  const file = join(hub.folder, "policies/p.yaml");
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
  await until(async () => (await ask(hub, { none: 0 })).version !== version);
}

function start(t: ExecutionContext, { via, adapters }: Store): Promise<Hub> {
  return hubFor(t, { "weir.yaml": `policies: ./policies\n${adapters}`, "policies/p.yaml": policies(via) });
}

function behaves(title: string, storeOf: () => Store): void {
  test(`${title}: limits of every algorithm in one request are taken together or not at all`, async (t) => {
    const hub = await start(t, storeOf());
    for (let i = 1; i <= 6; i++) t.like(await ask(hub), { allowed: true, left: [10 - i, 9 - i, 8 - i, 7 - i, 6 - i] });
    for (let i = 0; i < 3; i++)
      t.like(await ask(hub), { allowed: false, rules: ["p/at-once"], left: [4, 3, 2, 1, 0] }, "nothing was taken");
  });

  test(`${title}: a reload that leaves a limit as it is, or changes its amount alone, keeps what was counted`, async (t) => {
    const store = storeOf();
    const hub = await start(t, store);
    for (let i = 0; i < 3; i++) t.true((await ask(hub)).allowed);

    await reload(hub, policies(store.via, {}, "  - { name: other, deny: aborted, when: 'request.path == \"/no\"' }\n"));
    t.like(await ask(hub), { allowed: true, left: [6, 5, 4, 3, 2] });

    const more = { bucket: "20/360d", sliding: "19/360d", fixed: "18/360d", year: "17/year", "at-once": "16" };
    await reload(hub, policies(store.via, more));
    t.like(await ask(hub), { allowed: true, left: [15, 14, 13, 12, 11] });

    const fewer = { bucket: "6/360d", sliding: "6/360d", fixed: "6/360d", year: "6/year", "at-once": "6" };
    await reload(hub, policies(store.via, fewer));
    t.like(await ask(hub), { allowed: true, left: [0, 0, 0, 0, 0] });
    t.like(await ask(hub), { allowed: false, left: [0, 0, 0, 0, 0] });

    // Another window is another limit.
    await reload(hub, policies(store.via, { ...more, fixed: "18/359d" }));
    t.like(await ask(hub), { allowed: true, left: [13, 12, 17, 10, 9] });
  });
}

const server = await startRedis();

behaves("memory", () => ({ via: "memory", adapters: "" }));

if ("gap" in server) test("limits in Redis, through a hub", (t) => notRun(t, server));
else {
  let nodes: readonly RedisServer[] = [];
  test.before(async () => {
    nodes = await startCluster();
  });
  test.after.always(() => Promise.all([server, ...nodes].map((each) => each.kill())));

  let runs = 0;
  const at = (where: string): Store => ({
    via: "redis",
    adapters: `adapters: { redis: { ${where}, prefix: "run${++runs}:", timeout: 5s } }\ncheck: { adapterTimeout: 10s }\n`,
  });
  behaves("Redis", () => at(`url: "redis://127.0.0.1:${server.port}"`));
  behaves("a Redis Cluster", () => at(`cluster: [${nodes.map(({ port }) => `"127.0.0.1:${port}"`).join(", ")}]`));
}
