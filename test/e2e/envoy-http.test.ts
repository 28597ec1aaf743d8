import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { forwardAuthCases, forwardAuthPolicies } from "../cases/doors/forward-auth.ts";
import { judgeThrough, type Passage } from "./forward-auth.ts";
import { envoyProgram, startEnvoy, type Envoy } from "./envoy-process.ts";
import { envoyVersions } from "./peers.ts";
import { startHub, type Hub } from "./hub.ts";
import { notRun, type Gap, type Program } from "./programs.ts";
import { ask, startService, type Answered, type Service } from "./proxied-service.ts";
import { envoyFilterOfDocs } from "./recipes.ts";

const files = { "policies/all.yaml": forwardAuthPolicies, "weir.yaml": "policies: ./policies\n" };

let program: Program | Gap;
let service: Service;
let hub: Hub;
let envoy: Envoy;

/** Starts Envoy with the filter of docs/doors/authz.md in place of the one that asks over gRPC. */
function startWithHttp(found: Program, at: Hub, changes: object = {}): Promise<Envoy> {
  const args = ["--policies", join(at.folder, "policies"), "--upstream", `127.0.0.1:${service.port}`, "--raw-paths"];
  return startEnvoy(found, args, {
    edit(config) {
      const { listeners, clusters } = config.static_resources;
      const { http_filters: filters } = listeners[0].filter_chains[0].filters[0].typed_config;
      const filter = envoyFilterOfDocs() as any;
      filter.typed_config.http_service.server_uri.timeout = "20s";
      Object.assign(filter.typed_config, changes);
      filters[filters.findIndex(({ name }: any) => name === filter.name)] = filter;
      const [address, hubPort] = at.http.split(":");
      clusters.push({
        name: "weir-http",
        type: "STATIC",
        load_assignment: {
          cluster_name: "weir-http",
          endpoints: [
            {
              lb_endpoints: [{ endpoint: { address: { socket_address: { address, port_value: Number(hubPort) } } } }],
            },
          ],
        },
      });
    },
  });
}

test.before(async () => {
  program = await envoyProgram(envoyVersions[0]);
  if ("gap" in program) return;
  service = await startService();
  hub = await startHub(files);
  envoy = await startWithHttp(program, hub);
});

test.after.always(() => {
  envoy?.dispose();
  hub?.dispose();
  service?.close();
});

/** A test that needs Envoy. */
function withEnvoy(title: string, run: (t: ExecutionContext, found: Program) => Promise<void>): void {
  test.serial(title, async (t) => ("gap" in program ? notRun(t, program) : run(t, program)));
}

for (const given of forwardAuthCases) {
  withEnvoy(`Envoy over HTTP: ${given.title}`, async (t) => {
    const sameHeader: Passage["sameHeader"] = (came, expected, name) =>
      t.is(came?.toString().replace(/,(?! )/, ", "), expected, name);
    // To Envoy 5xx would be a hub that failed.
    const expected = given.path === "/closed" ? { ...given, status: 403 } : given;
    await judgeThrough(t, expected, { ...envoy, service, sameHeader });
  });
}

withEnvoy("Envoy over HTTP: a caller cannot bring an attribute or its own address", async (t) => {
  const headers = { "x-weir-client-address": "10.0.0.1", "x-forwarded-for": "10.0.0.1" };
  for (const path of [
    "/admin;destination.service.name=x/",
    "/admin/;destination.service.name=other/x",
    "/admin?a/;b=c",
  ]) {
    t.is((await ask(envoy.port, path, { headers })).status, 403, path);
  }
  t.is((await ask(envoy.port, "/inside", { headers })).status, 403);
});

for (const open of [false, true]) {
  withEnvoy(
    `Envoy over HTTP: with failure_mode_allow ${open}, a hub that is down is one, and a refusal is none`,
    async (t, found) => {
      const own = await startHub(files);
      t.teardown(() => own.dispose());
      const at = await startWithHttp(found, own, { failure_mode_allow: open });
      t.teardown(() => at.dispose());
      const asked = async (path: string): Promise<Answered> => ask(at.port, path);
      t.is((await asked("/closed")).status, 403);
      own.process.kill("SIGKILL");
      await own.exit;
      t.is((await asked("/closed")).status, open ? 200 : 503);
    },
  );
}
