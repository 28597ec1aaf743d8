import { rm } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { createClient } from "../../src/client/index.ts";
import { until } from "./clients.ts";
import { freePort } from "./free-port.ts";
import { startHub, writeFolder } from "./hub.ts";
import { peers } from "./peers.ts";
import { notRun } from "./programs.ts";
import { findUnixDatagrams } from "./unix-datagrams.ts";
import { startProxy } from "./proxied-service.ts";
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

  test("a real statsd server on a Unix socket gets all that is reported, also after it was killed", async (t) => {
    const folder = await writeFolder({});
    t.teardown(() => rm(folder, { recursive: true }));
    const socket = join(folder, "statsd.sock");
    let onSocket = await startStatsd(undefined, socket);
    if ("gap" in onSocket) return notRun(t, onSocket);
    t.teardown(() => (onSocket as StatsdServer).dispose());
    const { hub, report } = await reportingTo(t, `unixstream://${socket}`);
    const counted = async (key: string): Promise<unknown> => (await (onSocket as StatsdServer).shown("counters"))[key];

    await report(7);
    await until(async () => (await counted("plain_requests.reviews.200")) === 7);
    t.is(await counted("statsd.bad_lines_seen"), 0);
    t.is((await onSocket.shown("gauges"))["plain_balance"], -2.5);

    onSocket.dispose();
    await until(async () => hub.stderr().includes("there is no connection to the statsd server"));
    // The socket of a server that was killed stays, and statsd does not begin on it.
    await rm(socket, { force: true });
    await report(5);
    onSocket = await startStatsd(undefined, socket);
    if ("gap" in onSocket) return t.fail(onSocket.gap);
    await until(async () => (await counted("plain_requests.reviews.200")) === 5);
    t.is(await counted("statsd.bad_lines_seen"), 0);
  });
}

/** A hub whose reports go to a Unix socket, and a client that reports requests to it. */
async function reportingTo(t: ExecutionContext, address: string, dialect = "statsd") {
  const hub = await startHub({
    "weir.yaml": `
policies: ./policies
adapters:
  plain: { adapter: statsd, address: "${address}", dialect: ${dialect}, interval: 100ms }
`,
    "policies/plain.yaml": policy("plain"),
  });
  t.teardown(() => hub.dispose());
  const client = createClient({ address: hub.grpc });
  t.teardown(() => client.close());
  const report = (times: number) =>
    client.report(
      Array.from({ length: times }, () => ({ "destination.workload.name": "reviews", "response.code": 200 })),
    );
  return { hub, report };
}

test("Prometheus's statsd_exporter takes tags on a Unix datagram socket, also after it was killed", async (t) => {
  const found = await peers.statsdExporter();
  if ("gap" in found) return notRun(t, found);
  const gap = await findUnixDatagrams();
  if (gap !== undefined) return notRun(t, gap);
  const folder = await writeFolder({});
  t.teardown(() => rm(folder, { recursive: true }));
  const socket = join(folder, "statsd.sock");
  const start = async () => {
    const port = await freePort();
    const listen = ["tcp", "udp"].map((kind) => `--statsd.listen-${kind}=`);
    const running = await startProxy(
      found,
      [`--web.listen-address=127.0.0.1:${port}`, ...listen, `--statsd.listen-unixgram=${socket}`],
      { port, folder: await writeFolder({}) },
    );
    t.teardown(() => running.dispose());
    return { running, metrics: async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text() };
  };
  const { hub, report } = await reportingTo(t, `unixgram://${socket}`, "dogstatsd");

  // Nobody is there yet: what was counted waits.
  await report(3);
  const first = await start();
  const line = (count: number): string => `plain_requests{code="200",service="reviews"} ${count}\n`;
  await until(async () => (await first.metrics()).includes(line(3)));
  await report(4);
  await until(async () => (await first.metrics()).includes(line(7)));
  first.running.dispose();
  await until(async () => hub.stderr().includes("datagrams do not reach the statsd server"));
  await report(5);
  const second = await start();
  await until(async () => (await second.metrics()).includes(line(5)));
  t.notRegex(await second.metrics(), /statsd_exporter_tag_errors_total [1-9]/);
});
