import { readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { createClient } from "../../src/client/index.ts";
import { until } from "./clients.ts";
import { collectorPorts, findCollector, startCollector, type CollectorPorts } from "./collector.ts";
import { projectRoot, startHub, type Hub } from "./hub.ts";
import { notRun } from "./programs.ts";

const found = await findCollector();

/** A policy of the examples that exports through `otlp`, as the adapter's README says how. */
function example(name: string): string {
  return readFileSync(join(projectRoot, "policies", name), "utf8").replaceAll(/to: (prometheus|stdout)$/gm, "to: otlp");
}

function startExporting(protocol: "http" | "grpc", ports: CollectorPorts, keys: string): Promise<Hub> {
  return startHub({
    "weir.yaml": `
policies: ./policies
adapters:
  otlp: { endpoint: "http://127.0.0.1:${ports[protocol]}", protocol: ${protocol}, resource: { zone: ${protocol}-1 }, ${keys} }
`,
    "policies/metrics.yaml": example("mesh/istio-http-metrics.yaml"),
    "policies/log.yaml": example("bookinfo/access-log.yaml"),
    "policies/traces.yaml": "policy: traces\nreport: [{ span: mesh, to: otlp }]\n",
  });
}

const request = {
  "context.protocol": "http",
  "context.reporter.kind": "inbound",
  "request.headers": { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" },
  "source.workload.name": "productpage-v1",
  "destination.service.host": "reviews.bookinfo.svc.cluster.local",
  "request.path": "/reviews/1?user=7",
  "request.method": "GET",
  "response.code": 503,
  "response.size": 120,
};

async function report(t: ExecutionContext, hub: Hub, times: number): Promise<void> {
  const client = createClient({ address: hub.grpc });
  t.teardown(() => client.close());
  await client.report(Array.from({ length: times }, () => request));
}

if ("gap" in found) test("a real collector", (t) => notRun(t, found));
else {
  const ports = await collectorPorts();
  const collector = await startCollector(found, ports);
  test.after.always(() => collector.dispose());

  for (const protocol of ["http", "grpc"] as const) {
    test(`over ${protocol}, a real collector prints the logs as they come, and the metrics when the hub stops`, async (t) => {
      const hub = await startExporting(protocol, ports, "interval: 1h, expire: never");
      t.teardown(() => hub.dispose());
      await report(t, hub, 3);
      // Both protocols are tried at once, by one collector.
      const mine = (): string[] =>
        collector
          .printed()
          .split(/^(?=Resource(?:Log|Metrics|Spans) #)/m)
          .filter((part) => part.includes(`zone: Str(${protocol}-1)`));
      const records = (): string[] => mine().flatMap((part) => part.split(/^LogRecord #/m).slice(1));
      await until(() => records().length >= 3 && /Flags: /.test(records()[2]!));
      t.is(records().length, 3);
      for (const line of [
        "SeverityText: error",
        "SeverityNumber: SEVERITY_NUMBER_ERROR(17)",
        "EventName: access",
        "Body: Str(access)",
        "-> method: Str(GET)",
        "-> path: Str(/reviews/1)",
        "-> code: Int(503)",
        "-> destination: Str(reviews.bookinfo.svc.cluster.local)",
      ])
        t.true(records()[0]!.includes(line), `${line} is not in:\n${records()[0]}`);

      // A service has a resource of its own, with what the configuration adds.
      const spans = (): string[] => mine().filter((part) => part.startsWith("ResourceSpans"));
      await until(() => spans().length >= 1 && /error\.type/.test(spans()[0]!));
      for (const line of [
        "service.name: Str(unknown_service)",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "00f067aa0ba902b7",
        "GET",
        "-> http.request.method: Str(GET)",
        "-> http.response.status_code: Int(503)",
        "-> error.type: Str(503)",
        "-> service.peer.name: Str(productpage-v1)",
      ])
        t.true(spans()[0]!.includes(line), `${line} is not in:\n${spans()[0]}`);

      hub.process.kill("SIGTERM");
      t.is((await hub.exit).code, 0);
      const metric = (name: string): string =>
        mine()
          .flatMap((part) => part.split(/^Metric #/m))
          .find((part) => part.includes(`-> Name: ${name}\n`)) ?? "";
      const expected: Record<string, readonly string[]> = {
        istio_requests_total: [
          "-> DataType: Sum",
          "-> IsMonotonic: true",
          "-> AggregationTemporality: AGGREGATION_TEMPORALITY_CUMULATIVE",
          "-> reporter: Str(destination)",
          "-> source_workload: Str(productpage-v1)",
          "-> destination_service: Str(reviews.bookinfo.svc.cluster.local)",
          "-> response_code: Str(503)",
          "Value: 3\n",
        ],
        istio_response_bytes: ["-> DataType: Histogram", "Count: 3\n", "Sum: 360\n", "ExplicitBounds #2: 100\n"],
      };
      await until(() => Object.keys(expected).every((name) => metric(name) !== ""));
      for (const [name, lines] of Object.entries(expected))
        for (const line of lines) t.true(metric(name).includes(line), `${line} is not in:\n${metric(name)}`);
      t.false(hub.stderr().includes('"level":50'), hub.stderr());
    });

    test(`over ${protocol}, a collector that comes after the hub gets the logs from before, and metrics each interval`, async (t) => {
      const later = await collectorPorts();
      const hub = await startExporting(protocol, later, "interval: 1s, timeout: 1s");
      t.teardown(() => hub.dispose());
      await report(t, hub, 2);
      await hub.saw("does not take log entries");
      const late = await startCollector(found, later);
      t.teardown(() => late.dispose());
      await until(() => /EventName: access/.test(late.printed()) && /istio_requests_total/.test(late.printed()));
      await hub.saw("takes log entries again");
      await until(() => (late.printed().match(/-> Name: istio_requests_total/g) ?? []).length >= 2);
      t.regex(late.printed(), /-> Name: istio_requests_total[^]*?Value: 2\n/);
      t.is(late.printed().match(/EventName: access/g)!.length, 2);
    });
  }
}
