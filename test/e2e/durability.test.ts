import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { startNats, type NatsServer } from "../adapters/nats-server.ts";
import { attributes } from "../adapters/otlp-decoder.ts";
import { httpReceiver } from "../adapters/otlp-receiver.ts";
import { startHub, writeFolder, type Hub } from "./hub.ts";
import { notRun } from "./programs.ts";

// A test runner takes tests only before the first wait.
const server = await startNats();

const policy = `
policy: kept
report:
  - { log: kept, fields: { n: request.path }, to: out }
`;

/** Everything that reached the file of the exporter, by line. */
function arrived(folder: string): { readonly n: string; readonly id: string }[] {
  try {
    return readFileSync(join(folder, "out.log"), "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { n: string; id: string });
  } catch {
    return [];
  }
}

/** Reports records until it is told to stop, and notes which were acknowledged. A hub that is gone is asked again. */
function load(address: () => string, callers: number) {
  const acknowledged = new Set<string>();
  let stopped = false;
  let next = 0;
  const caller = async (): Promise<void> => {
    while (!stopped) {
      const numbers = Array.from({ length: 25 }, () => String(next++));
      try {
        const response = await fetch(`http://${address()}/v1/report`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ reports: numbers.map((n) => ({ "request.path": n })) }),
          signal: AbortSignal.timeout(5000),
        });
        await response.arrayBuffer();
        if (response.status === 200) for (const n of numbers) acknowledged.add(n);
        else await setTimeout(5);
      } catch {
        await setTimeout(5);
      }
    }
  };
  const done = Promise.all(Array.from({ length: callers }, caller));
  return {
    acknowledged,
    async stop() {
      stopped = true;
      await done;
    },
  };
}

/** Waits until everything that was acknowledged has arrived. What arrived twice must be recognisable. */
async function allArrived(t: ExecutionContext, folder: string, acknowledged: ReadonlySet<string>): Promise<void> {
  let missing = acknowledged.size;
  for (let left = 1800; left > 0 && missing > 0; left--) {
    const found = new Set(arrived(folder).map(({ n }) => n));
    missing = [...acknowledged].filter((n) => !found.has(n)).length;
    if (missing > 0) await setTimeout(50);
  }
  t.is(missing, 0, `of ${acknowledged.size} acknowledged records did not arrive`);
  const ids = new Map<string, string>();
  const lines = arrived(folder);
  for (const { n, id } of lines) {
    if (ids.has(n)) t.is(ids.get(n), id, `record ${n} arrived twice as two`);
    ids.set(n, id);
  }
  t.log(`${acknowledged.size} records acknowledged, ${lines.length - ids.size} arrived twice`);
}

async function killedUnderLoad(t: ExecutionContext, files: Record<string, string>, kills: number): Promise<void> {
  const folder = await writeFolder(files);
  let hub: Hub = await startHub(files, { folder });
  t.teardown(() => hub.dispose());
  const { acknowledged, stop } = load(() => hub.http, 4);
  for (let kill = 0; kill < kills; kill++) {
    const before = acknowledged.size;
    while (acknowledged.size < before + 100) await setTimeout(2);
    // Anywhere between two moments of the hub.
    await setTimeout(Math.random() * 60);
    hub.process.kill("SIGKILL");
    await hub.exit;
    hub = await startHub(files, { folder });
  }
  await stop();
  t.true(acknowledged.size >= kills * 100);
  await allArrived(t, folder, acknowledged);
}

test("with buffer: disk a hub that is killed again and again loses nothing that it acknowledged", async (t) => {
  const files = {
    "weir.yaml": `telemetry: { buffer: disk }\nadapters: { out: { adapter: log, to: out.log } }\n`,
    "policies/kept.yaml": policy,
  };
  await killedUnderLoad(t, files, 6);
});

const countingPolicy = `
policy: counted
report:
  - { metric: kept, type: counter, labels: { n: request.path }, to: out }
`;

/** Kills a hub again and again that pushes metrics, one series a record; each that it acknowledged must have been counted. */
async function countedUnderKills(t: ExecutionContext, config: (out: string) => string, temporality: string) {
  const receiver = await httpReceiver();
  t.teardown(() => receiver.close());
  const out = `{ adapter: otlp, endpoint: "http://127.0.0.1:${receiver.port}", temporality: ${temporality},
    interval: 1s, timeout: 1s, maxSeries: 1000000, compression: none }`;
  const files = { "weir.yaml": config(out), "policies/counted.yaml": countingPolicy };
  const folder = await writeFolder(files);
  let hub: Hub = await startHub(files, { folder });
  t.teardown(() => hub.dispose());
  const { acknowledged, stop } = load(() => hub.http, 2);
  for (let kill = 0; kill < 3; kill++) {
    const before = acknowledged.size;
    while (acknowledged.size < before + 100) await setTimeout(2);
    // Long before an export is due, and in the midst of one.
    await setTimeout(Math.random() * 1200);
    hub.process.kill("SIGKILL");
    await hub.exit;
    hub = await startHub(files, { folder });
  }
  await stop();
  /** What was counted of each record, over all processes: the last of each series that tells all since it began. */
  const counted = (): ReadonlyMap<string, number> => {
    const series = new Map<string, { readonly n: string; value: number }>();
    for (const { sum } of receiver.metrics())
      for (const { attributes: labels, startTimeUnixNano: start, asDouble = 0 } of sum?.dataPoints ?? []) {
        const n = String(attributes(labels)["n"]);
        const key = `${n} ${String(start)}`;
        const known = series.get(key);
        if (known === undefined) series.set(key, { n, value: asDouble });
        else known.value = temporality === "delta" ? known.value + asDouble : asDouble;
      }
    const totals = new Map<string, number>();
    for (const { n, value } of series.values()) totals.set(n, (totals.get(n) ?? 0) + value);
    return totals;
  };
  let missing = acknowledged.size;
  for (let left = 150; left > 0 && missing > 0; left--) {
    const found = counted();
    missing = [...acknowledged].filter((n) => (found.get(n) ?? 0) < 1).length;
    if (missing > 0) await setTimeout(1000);
  }
  t.is(missing, 0, `of ${acknowledged.size} acknowledged records were not counted`);
  const twice = [...counted().values()].filter((value) => value > 1).length;
  t.log(`${acknowledged.size} records acknowledged, ${twice} counted twice`);
}

for (const temporality of ["cumulative", "delta"])
  test(`with buffer: disk a hub that is killed again and again counts all that it acknowledged in metrics that it pushes (${temporality})`, async (t) => {
    await countedUnderKills(t, (out) => `telemetry: { buffer: disk }\nadapters:\n  out: ${out}\n`, temporality);
  });

if ("gap" in server) test("with buffer: nats a hub loses nothing", (t) => notRun(t, server));
else {
  test.after.always(() => server.dispose());
  const files = (stream: string, options: { url?: string; telemetry?: string; out?: string } = {}) => ({
    "weir.yaml": `
telemetry: { buffer: nats${options.telemetry ?? ""} }
adapters:
  nats: { servers: "${options.url ?? server.url}", timeout: 1s, journal: { name: ${stream}, maxSize: 64MiB } }
  out: ${options.out ?? "{ adapter: log, to: out.log }"}
`,
    "policies/kept.yaml": policy,
  });
  const started = async (t: ExecutionContext, given: Record<string, string>, folder?: string): Promise<Hub> => {
    const hub = await startHub(given, folder === undefined ? {} : { folder });
    t.teardown(() => hub.dispose());
    return hub;
  };
  const report = async (hub: Hub, n: number): Promise<number> => {
    const response = await fetch(`http://${hub.http}/v1/report`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ reports: [{ "request.path": String(n) }] }),
    });
    await response.arrayBuffer();
    return response.status;
  };
  /** Reports one record until the hub answers with a status. */
  const reportUntil = async (hub: Hub, n: number, status: number): Promise<void> => {
    while ((await report(hub, n)) !== status) await setTimeout(10);
  };

  test("with buffer: nats a hub that is killed again and again loses nothing that it acknowledged", async (t) => {
    await killedUnderLoad(t, files("KILLED"), 5);
  });

  test("with buffer: nats a hub that is killed again and again counts all that it acknowledged in metrics that it pushes", async (t) => {
    await countedUnderKills(t, (out) => files("COUNTED", { out })["weir.yaml"], "delta");
  });

  test("what a hub has stored is delivered by another that shares its stream", async (t) => {
    const folder = await writeFolder({});
    const out = { out: `{ adapter: log, to: "${join(folder, "out.log")}" }` };
    // The first one cannot deliver.
    const first = await started(t, files("SHARED", { out: '{ adapter: otlp, endpoint: "http://127.0.0.1:9" }' }));
    const acknowledged = new Set<string>();
    await reportUntil(first, 0, 200);
    acknowledged.add("0");
    for (let n = 1; n < 20; n++) if ((await report(first, n)) === 200) acknowledged.add(String(n));
    t.is(acknowledged.size, 20);
    first.process.kill("SIGTERM");
    await started(t, files("SHARED", out));
    await first.exit;
    await allArrived(t, folder, acknowledged);
  });

  test("a nats-server that goes, hangs and comes back is told to callers in time, and loses nothing", async (t) => {
    let nats = (await startNats()) as NatsServer;
    t.teardown(() => nats.dispose());
    const folder = await writeFolder(files("AWAY", { url: nats.url }));
    const hub = await started(t, files("AWAY", { url: nats.url }), folder);
    await reportUntil(hub, 0, 200);
    await nats.pause();
    t.is(await report(hub, 1), 503, "within the timeout of the adapter");
    nats.resume();
    await reportUntil(hub, 2, 200);
    await nats.kill();
    await reportUntil(hub, 3, 503);
    nats = (await startNats({ port: nats.port, folder: nats.folder })) as NatsServer;
    await reportUntil(hub, 4, 200);
    await allArrived(t, folder, new Set(["0", "2", "4"]));
  });

  test("with whenAway: memory records go by a nats-server that is away", async (t) => {
    const given = files("SPILLED", { url: "nats://127.0.0.1:9", telemetry: ", whenAway: memory" });
    const folder = await writeFolder(given);
    const hub = await started(t, given, folder);
    t.is(await report(hub, 1), 200);
    while (arrived(folder).length === 0) await setTimeout(20);
    const metrics = await (await fetch(`http://${hub.admin}/metrics`)).text();
    t.regex(metrics, /weir_buffer_entries_total\{outcome="spilled"\} 1/);
  });

  test("a stream that is full refuses, and takes more when an exporter has made room", async (t) => {
    const given = files("FULL");
    given["weir.yaml"] = given["weir.yaml"]
      .replace("64MiB", "64KiB")
      .replace("{ adapter: log, to: out.log }", '{ adapter: otlp, endpoint: "http://127.0.0.1:9" }');
    const hub = await started(t, given);
    await reportUntil(hub, 0, 200);
    const acknowledged = new Set(["0"]);
    let n = 1;
    for (let status = 200; status !== 429; n++) {
      status = await report(hub, n);
      if (status === 200) acknowledged.add(String(n));
    }
    const folder = await writeFolder({});
    const roomy = given["weir.yaml"].replace(
      /^  out: .*/m,
      `  out: { adapter: log, to: "${join(folder, "out.log")}" }`,
    );
    const other = await started(t, { ...given, "weir.yaml": roomy });
    hub.process.kill("SIGKILL");
    await reportUntil(other, n, 200);
    await allArrived(t, folder, acknowledged.add(String(n)));
  });
}
