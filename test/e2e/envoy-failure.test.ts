import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { until } from "./clients.ts";
import { envoyProgram, startEnvoy } from "./envoy-process.ts";
import { envoyVersions } from "./peers.ts";
import { startHub, type Hub } from "./hub.ts";
import { notRun } from "./programs.ts";
import { ask, startService, type Seen, type Service } from "./proxied-service.ts";

const policy = (refused: string): string => `
policy: paths
check:
  - name: closed
    deny: permission_denied
    when: request.path == "${refused}"
  - name: by-ip
    limit: 1000000/s
    at: ratelimit
    by: source.ip
`;
const args = (hub: Hub, { port }: Service) => [
  ...["--policies", join(hub.folder, "policies"), "--hub", hub.grpc, "--upstream", `127.0.0.1:${port}`],
  ...["--timeout", "10s"],
];

test.serial("a hub that is killed refuses or passes as asked, and judges again when it is back", async (t) => {
  const found = await envoyProgram(envoyVersions[0]);
  if ("gap" in found) return notRun(t, found);
  const service = await startService();
  t.teardown(service.close);
  let hub = await startHub({ "policies/paths.yaml": policy("/closed") });
  t.teardown(() => hub.dispose());
  const { folder, grpc } = hub;
  const [closed, open] = await Promise.all(
    ["--fail-closed", "--fail-open"].map((mode) => startEnvoy(found, [...args(hub, service), mode])),
  );
  t.teardown(closed!.dispose);
  t.teardown(open!.dispose);
  const codes = async (path: string): Promise<number[]> =>
    Promise.all([closed!, open!].map(async ({ port }) => (await ask(port, path)).status));

  t.deepEqual(
    [await codes("/open"), await codes("/closed")],
    [
      [200, 200],
      [403, 403],
    ],
  );
  hub.process.kill("SIGKILL");
  await hub.exit;
  t.deepEqual(
    [await codes("/open"), await codes("/closed")],
    [
      [503, 200],
      [503, 200],
    ],
  );
  const seen = JSON.parse((await ask(open!.port, "/open")).body) as Seen;
  t.is(seen.headers["x-envoy-auth-failure-mode-allowed"], "true");

  hub = await startHub({}, { folder, args: ["--grpc", grpc] });
  await until(async () => (await codes("/closed")).every((code) => code === 403));
  t.deepEqual(await codes("/open"), [200, 200]);
});

test.serial("a reload under load fails no call, and each gets the old verdict or the new one", async (t) => {
  const found = await envoyProgram(envoyVersions[0]);
  if ("gap" in found) return notRun(t, found);
  const service = await startService();
  t.teardown(service.close);
  const hub = await startHub({ "policies/paths.yaml": policy("/a") });
  t.teardown(() => hub.dispose());
  const envoy = await startEnvoy(found, [...args(hub, service)]);
  t.teardown(envoy.dispose);

  let stop = false;
  const codes = new Map<string, number>();
  const caller = async (): Promise<void> => {
    while (!stop) {
      for (const path of ["/a", "/b", "/c"]) {
        const key = `${path} ${(await ask(envoy.port, path)).status}`;
        codes.set(key, (codes.get(key) ?? 0) + 1);
      }
    }
  };
  const callers = Array.from({ length: 8 }, caller);
  const refuses = (path: string) => until(async () => (await ask(envoy.port, path)).status === 403);
  try {
    await refuses("/a");
    for (const path of ["/b", "/a", "/b", "/a"]) {
      await writeFile(join(hub.folder, "policies/paths.yaml"), policy(path));
      await refuses(path);
    }
  } finally {
    stop = true;
    await Promise.all(callers);
  }
  t.deepEqual([...codes.keys()].sort(), ["/a 200", "/a 403", "/b 200", "/b 403", "/c 200"]);
});

test.serial("one of two hubs that stops fails no request", async (t) => {
  const found = await envoyProgram(envoyVersions[0]);
  if ("gap" in found) return notRun(t, found);
  const service = await startService();
  t.teardown(service.close);
  const files = { "policies/paths.yaml": policy("/closed") };
  const [one, other] = await Promise.all([startHub(files), startHub(files)]);
  t.teardown(() => one.dispose());
  t.teardown(() => other.dispose());
  // As a DNS name with two addresses gives two.
  const edit = (config: any): void => {
    const { lb_endpoints: hubs } = config.static_resources.clusters[0].load_assignment.endpoints[0];
    hubs.push(structuredClone(hubs[0]));
    hubs[1].endpoint.address.socket_address.port_value = Number(other.grpc.split(":")[1]);
  };
  const envoy = await startEnvoy(found, [...args(one, service)], { edit });
  t.teardown(envoy.dispose);

  const codes: number[] = [];
  const answered = async (more: number): Promise<void> => {
    const total = codes.length + more;
    const caller = async (): Promise<void> => {
      while (codes.length < total) codes.push((await ask(envoy.port, "/open")).status);
    };
    await Promise.all([caller(), caller(), caller(), caller()]);
  };
  await answered(50);
  const meanwhile = answered(500);
  one.process.kill("SIGTERM");
  await Promise.all([meanwhile, one.exit]);
  await answered(200);
  t.deepEqual([...new Set(codes)], [200]);
});
