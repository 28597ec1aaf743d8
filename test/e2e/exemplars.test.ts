import test from "ava";
import { hubFor, post, until } from "./clients.ts";
import { notRun } from "./programs.ts";
import { startPrometheus, type PrometheusExemplar } from "./prometheus-process.ts";

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const span = "00f067aa0ba902b7";

test("a real Prometheus keeps the traces of counters and buckets that it scrapes", async (t) => {
  const hub = await hubFor(t, {
    "weir.yaml": "telemetry: { exemplars: true, mesh: none }\n",
    "policies/metrics.yaml": `
policy: metrics
report:
  - { metric: requests_total, type: counter, labels: { code: response.code } }
  - { metric: duration_seconds, type: histogram, value: response.duration, buckets: [0.1, 1] }
`,
  });
  const report = (headers: object, duration: string) =>
    post(hub, "/v1/report", {
      reports: [{ "request.headers": headers, "response.code": 200, "response.duration": duration }],
    });
  await report({ traceparent: `00-${trace}-${span}-01` }, "0.5s");
  await report({ b3: `${"1".repeat(32)}-${"2".repeat(16)}-0` }, "0.05s");
  const plain = await (await fetch(`http://${hub.admin}/metrics`)).text();
  t.true(plain.includes('requests_total{code="200"} 2\n'), plain);
  t.false(plain.includes(trace));

  const prometheus = await startPrometheus(hub.admin);
  if ("gap" in prometheus) return notRun(t, prometheus);
  t.teardown(() => prometheus.dispose());
  let ofBuckets: PrometheusExemplar[] = [];
  await until(async () => (ofBuckets = await prometheus.exemplars("duration_seconds_bucket")).length > 0);
  const labels = { trace_id: trace, span_id: span };
  t.deepEqual(
    ofBuckets.map(({ labels: found, value }) => [found, value]),
    [[labels, "0.5"]],
    "and not the one that its caller does not keep",
  );
  t.true(Math.abs(ofBuckets[0]!.timestamp - Date.now() / 1000) < 600);
  const [ofCounter] = await prometheus.exemplars("requests_total");
  t.deepEqual([ofCounter?.labels, ofCounter?.value], [labels, "1"]);
});
