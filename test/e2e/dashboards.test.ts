import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import test from "ava";
import { parse } from "yaml";
import { queriesOf, type Dashboard } from "../cases/dashboards/grafana.ts";
import { publishedQueries, type Published } from "../cases/dashboards/published.ts";
import { hubFor, post, until } from "./clients.ts";
import { projectRoot } from "./hub.ts";
import type { HubMetricName } from "../../src/telemetry/hub-metrics/names.ts";
import { doors } from "./mesh-traffic.ts";
import { startPrometheus, type Prometheus } from "./prometheus-process.ts";
import { notRun } from "./programs.ts";

const read = (path: string): string => readFileSync(join(projectRoot, path), "utf8");

// No policy of the mesh's metrics: those that ship with Weir hold.
const files = { "weir.yaml": "telemetry: { mesh: istio-mixer }\n" };

// What the hub's own dashboard shows beside: a refusal, a fault, a header that is dropped, an adapter's calls, a queue.
const hubPolicy = `
policy: hub
check:
  - { name: closed, deny: permission_denied, when: request.path.startsWith("/closed") }
  - { name: calls, limit: 1000000/s }
  - name: tag
    headers: { request: { set: { x-number: string(int(request.path)), x-path: request.path } } }
report:
  - log: opened
    when: connection.event == "open"
    to: stdout
`;

/** Metrics of the hub's own that this traffic has nothing for: their queries are only read. */
const quiet = [
  "weir_callers_refused_total",
  "weir_adapter_events_total",
  "weir_certificate_days_left",
  "weir_limits_degraded_total",
] as const;

const published = publishedQueries(parse(read("test/cases/dashboards/istio.yaml")) as Published[]);
const own = readdirSync(join(projectRoot, "docs/dashboards"))
  .filter((name) => name.endsWith(".json"))
  .flatMap((name) => queriesOf(JSON.parse(read(`docs/dashboards/${name}`)) as Dashboard));

const isQuiet = (query: string) => quiet.some((name: HubMetricName) => query.includes(name));

/** Asks each query after every scrape until it has answered with a number; what has not after many scrapes. */
async function unanswered(prometheus: Prometheus, queries: readonly string[]): Promise<readonly string[]> {
  let left = queries;
  for (let round = 0; round < 40 && left.length > 0; round++) {
    const scrapes = (await prometheus.query("max(timestamp(up))"))[0]!;
    await until(async () => (await prometheus.query("max(timestamp(up))"))[0]! > scrapes);
    const answers = await Promise.all(left.map((query) => prometheus.query(query)));
    left = left.filter((_, i) => !answers[i]!.some(Number.isFinite));
  }
  return left;
}

for (const [door, open] of doors) {
  test.serial(`the dashboards of Istio and our own show what is reported through ${door}`, async (t) => {
    const hub = await hubFor(t, { ...files, "policies/hub.yaml": hubPolicy });
    const prometheus = await startPrometheus(hub.admin);
    if ("gap" in prometheus) return notRun(t, prometheus);
    t.teardown(() => prometheus.dispose());
    const traffic = open(hub);
    t.teardown(() => traffic.close());
    let stopped = false;
    const pump = (async () => {
      while (!stopped) {
        await traffic.send();
        await post(hub, "/v1/check", { attributes: { "request.path": "/open\r\n" } });
        await post(hub, "/v1/check", { attributes: { "request.path": "/closed" } });
        // Leaves the processor to the others; what is found does not depend on it.
        await pause(20);
      }
    })();
    try {
      t.deepEqual(await unanswered(prometheus, [...published.answered, ...own.filter((query) => !isQuiet(query))]), []);
      for (const query of [...published.empty, ...own.filter(isQuiet)])
        t.deepEqual(await prometheus.query(query), [], query);
    } finally {
      stopped = true;
      await pump;
    }
  });
}
