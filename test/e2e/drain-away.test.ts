import test, { type ExecutionContext } from "ava";
import { startNats } from "../adapters/nats-server.ts";
import { attributes } from "../adapters/otlp-decoder.ts";
import { httpReceiver, type Receiver } from "../adapters/otlp-receiver.ts";
import { post, until } from "./clients.ts";
import { freePort } from "./free-port.ts";
import { startHub, writeFolder } from "./hub.ts";
import { notRun } from "./programs.ts";

const server = await startNats();

const policy = `
policy: kept
report:
  - { log: noted, fields: { n: request.path }, to: out }
  - { span: traced, to: out }
  - { metric: counted, type: counter, labels: { n: request.path }, to: out }
`;

interface Past {
  readonly ledger: { readonly before: { readonly end: string; readonly lost: readonly { readonly what: string }[] } };
}

const reported = Array.from({ length: 40 }, (_, i) => `/${i}`);

/** What has arrived of records, each kind by itself. */
function arrived(receiver: Receiver): readonly ReadonlySet<unknown>[] {
  const counted = receiver
    .metrics()
    .filter(({ name }) => name === "counted")
    .flatMap(({ sum }) => sum?.dataPoints ?? []);
  return [
    receiver.logs().map((log) => attributes(log.attributes)["n"]),
    receiver.spans().map((span) => attributes(span.attributes)["url.path"]),
    counted.map((point) => attributes(point.attributes)["n"]),
  ].map((paths) => new Set(paths));
}

/** Stops a hub whose collector is away: it must neither wait for it nor lose anything. */
async function stoppedWhileAway(t: ExecutionContext, telemetry: string, adapters: string, away: "gone" | "silent") {
  const port = await freePort();
  const silent = away === "silent" ? await httpReceiver({ port, answer: () => undefined }) : undefined;
  const files = {
    "weir.yaml": `
shutdown: { deadline: 60s }
telemetry: { ${telemetry}, ledger: ledger }
adapters:
  out: { adapter: otlp, endpoint: "http://127.0.0.1:${port}", interval: 1s, timeout: 1s }
${adapters}`,
    "policies/kept.yaml": policy,
  };
  const folder = await writeFolder(files);
  const first = await startHub(files, { folder });
  t.teardown(() => first.dispose());
  const reports = reported.map((path) => ({ "request.path": path }));
  await until(async () => (await post(first, "/v1/report", { reports })).json.taken === reported.length);
  for (const what of ["log entries", "spans", "metrics"]) await first.saw(`not take ${what}`);

  const started = performance.now();
  first.process.kill("SIGTERM");
  t.deepEqual(await first.exit, { code: 0, signal: null });
  const tookMs = performance.now() - started;
  t.log(`stopped within ${Math.round(tookMs)} ms`);
  t.true(tookMs < 20_000);
  await silent?.close();

  const receiver = await httpReceiver({ port });
  t.teardown(() => receiver.close());
  const second = await startHub(files, { folder });
  t.teardown(() => second.dispose());
  await until(() => arrived(receiver).every((paths) => paths.size === reported.length));
  const { ledger } = (await (await fetch(`http://${second.admin}/status`)).json()) as Past;
  t.is(ledger.before.end, "stopped");
  t.deepEqual(
    ledger.before.lost.filter(({ what }) => what !== "scraped_sample"),
    [],
  );
}

for (const away of ["gone", "silent"] as const) {
  const title = (buffer: string): string =>
    `with buffer: ${buffer} a hub that stops does not wait for a collector that is ${away}, and loses nothing`;
  test(title("disk"), (t) => stoppedWhileAway(t, "buffer: disk", "", away));
  if ("gap" in server) test(title("nats"), (t) => notRun(t, server));
  else
    test(title("nats"), (t) => {
      const name = `STOPPED_${away.toUpperCase()}`;
      const nats = `  nats: { servers: "${server.url}", timeout: 1s, journal: { name: ${name}, maxSize: 64MiB } }\n`;
      return stoppedWhileAway(t, "buffer: nats", nats, away);
    });
}
if (!("gap" in server)) test.after.always(() => server.dispose());
