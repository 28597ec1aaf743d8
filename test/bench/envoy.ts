import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { envoyProgram, startEnvoy, type Envoy } from "../e2e/envoy-process.ts";
import { envoyVersions } from "../e2e/peers.ts";
import type { Bench } from "./bench.ts";
import type { LatencyPlan, LatencyResult } from "./http-latency.ts";
import { edgeRules } from "./policies.ts";
import { cores, pinned, runOnLoadCore } from "./server-process.ts";
import { micros, type Row } from "./table.ts";

const title = "Through Envoy: what ext_authz adds, p50 / p99";

/**
 * Two Envoys with what `weir envoy` prints, of which one asks the hub and the other has the filter taken out, get the same
 * requests in turn. Both answer by themselves, so that no service's time is measured. Envoys and hub share the servers'
 * core, as a proxy and its sidecar may.
 */
export async function throughEnvoy(bench: Bench): Promise<Row[]> {
  const empty = { weir: "", beside: "", figure: "", target: "" };
  const found = await envoyProgram(envoyVersions[0]);
  if ("gap" in found) return [{ scenario: title, ...empty, figure: `Envoy is not here: ${found.gap}` }];
  const hub = await bench.hub(edgeRules);
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-envoy-"));
  for (const [name, text] of edgeRules) writeFileSync(join(folder, name), text);
  const args = ["--policies", folder, "--hub", hub.ready["grpc"]!, "--service", "service-0000"];
  const under = pinned ? ["taskset", "-c", String(cores.server)] : [];
  const envoys: Envoy[] = [];
  const start = async (asks: boolean): Promise<Envoy> => {
    const envoy = await startEnvoy(found, args, { under, edit: (config) => edit(config, asks) });
    envoys.push(envoy);
    return envoy;
  };
  try {
    const [asking, plain] = [await start(true), await start(false)];
    const { warmMs, rounds, sliceMs } = bench.pace;
    const plan = (perSecond: number): LatencyPlan => ({
      targets: [
        { name: "with ext_authz", address: `127.0.0.1:${asking.port}` },
        { name: "without", address: `127.0.0.1:${plain.port}` },
      ],
      ...{ seed: 20_260_101, count: 10_000, connections: 16, perSecond, warmMs, rounds, sliceMs },
    });
    const rows: Row[] = [];
    for (const perSecond of [200, 1000]) rows.push(await measure(plan(perSecond)));
    return rows;
  } finally {
    for (const envoy of envoys) envoy.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(plan: LatencyPlan): Promise<Row> {
  const { targets } = await runOnLoadCore<LatencyResult>([
    join(import.meta.dirname, "http-latency.js"),
    JSON.stringify(plan),
  ]);
  for (const { name, failed } of targets) {
    if (failed > 0) throw new Error(`${failed} requests through Envoy ${name} were not answered 200`);
  }
  const at = (times: readonly number[], share: number) =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
  const [asking, plain] = targets.map(({ times }) => ({ p50: at(times, 0.5), p99: at(times, 0.99) }));
  const both = ({ p50, p99 }: { p50: number; p99: number }) => `${micros(p50)} / ${micros(p99)}`;
  return {
    scenario: `${title}, at ${plan.perSecond.toLocaleString("en-US")} requests a second`,
    weir: both(asking!),
    beside: `${both(plain!)} ext_authz off`,
    figure: `${both({ p50: asking!.p50 - plain!.p50, p99: asking!.p99 - plain!.p99 })} added`,
    target: "",
  };
}

/** Lets Envoy answer by itself and write no logs; takes the filter out where it is not to ask. */
function edit(config: any, asks: boolean): void {
  const manager = config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
  delete manager.access_log;
  const [host] = manager.route_config.virtual_hosts;
  for (const route of host.routes) {
    delete route.route;
    route.direct_response = { status: 200, body: { inline_string: "ok" } };
  }
  if (asks) return;
  manager.http_filters = manager.http_filters.filter(({ name }: any) => name !== "envoy.filters.http.ext_authz");
  delete host.typed_per_filter_config;
}
