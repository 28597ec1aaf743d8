import test from "ava";
import { createClient } from "../../src/client/index.ts";
import { until } from "./clients.ts";
import { startHub } from "./hub.ts";
import { notRun } from "./programs.ts";
import { startStatsd, type StatsdServer } from "./statsd-server.ts";

const started = await startStatsd();

const policy = (instance: string): string => `
policy: ${instance}
report:
  - metric: ${instance}_requests
    type: counter
    labels: { service: destination.workload.name, code: response.code }
    to: ${instance}
  - metric: ${instance}_duration_milliseconds
    type: histogram
    value: response.duration
    labels: { service: destination.workload.name }
    to: ${instance}
  - metric: ${instance}_balance
    type: gauge
    value: "-2.5"
    labels: {}
    to: ${instance}
`;

if ("gap" in started) test("a real statsd server", (t) => notRun(t, started));
else {
  let server: StatsdServer = started;
  test.after.always(() => server.dispose());

  test("a real statsd server counts, times and gauges what is reported, also after it was away", async (t) => {
    const { port } = started;
    const hub = await startHub({
      "weir.yaml": `
policies: ./policies
adapters:
  plain:
    adapter: statsd
    address: "localhost:${port}"
    prefix: weir.
    interval: 100ms
    names: { plain_requests: "mesh.{service}.requests.{code}" }
  tagged: { adapter: statsd, address: "127.0.0.1:${port}", dialect: dogstatsd, histograms: timer, interval: 100ms }
`,
      "policies/plain.yaml": policy("plain"),
      "policies/tagged.yaml": policy("tagged"),
    });
    t.teardown(() => hub.dispose());
    const client = createClient({ address: hub.grpc });
    t.teardown(() => client.close());
    const report = (times: number, name = "reviews.v1\n:|") =>
      client.report(
        Array.from({ length: times }, (_, i) => ({
          "destination.workload.name": name,
          "response.code": 200,
          "response.duration": `${i + 1}.5ms`,
        })) as unknown as Parameters<typeof client.report>[0],
      );

    await report(3);
    await report(2);
    const counted = async (key: string): Promise<unknown> => (await server.shown("counters"))[key];
    const plainKey = "weir.mesh.reviews_v1___.requests.200";
    const taggedKey = "tagged_requests;service=reviews.v1_:_;code=200".replace(/[^a-zA-Z_\-0-9.;=]/g, "");
    await until(async () => (await counted(plainKey)) === 5 && (await counted(taggedKey)) === 5);
    const timers = await server.shown("timers");
    const values = (found: unknown): number[] => [...(found as number[])].sort((a, b) => a - b);
    t.deepEqual(values(timers["weir.plain_duration_milliseconds.reviews_v1___"]), [1.5, 1.5, 2.5, 2.5, 3.5]);
    t.deepEqual(values(timers["tagged_duration_milliseconds;service=reviews.v1__"]), [1.5, 1.5, 2.5, 2.5, 3.5]);
    const gauges = await server.shown("gauges");
    t.is(gauges["weir.plain_balance"], -2.5);
    t.is(await counted("statsd.bad_lines_seen"), 0);

    server.dispose();
    await until(async () => {
      await report(1);
      return hub.stderr().includes("datagrams do not reach the statsd server");
    });
    const again = await startStatsd(port);
    if ("gap" in again) return t.fail(again.gap);
    server = again;
    await report(4, "ratings");
    await until(async () => (await counted("weir.mesh.ratings.requests.200")) === 4);
    t.is(await counted("statsd.bad_lines_seen"), 0);
    const metrics = await (await fetch(`http://${hub.admin}/metrics`)).text();
    t.regex(metrics, /weir_adapter_events_total\{adapter="plain",event="datagram_failed"\} [1-9]/);
  });
}
