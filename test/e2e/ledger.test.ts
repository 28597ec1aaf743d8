import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { startNats } from "../adapters/nats-server.ts";
import { method } from "../wire/envoy/access-log/door.ts";
import { httpEntry, identifier, message } from "../wire/envoy/access-log/entries.ts";
import { connect, metric, post, stream, until } from "./clients.ts";
import { freePort } from "./free-port.ts";
import { startHub, writeFolder, type Hub } from "./hub.ts";
import { notRun } from "./programs.ts";
import { startPrometheus } from "./prometheus-process.ts";

const nats = await startNats();
if (!("gap" in nats)) test.after.always(() => nats.dispose());

interface Before {
  readonly end: string;
  readonly written: string;
  readonly lost: readonly { readonly what: string; readonly adapter: string; readonly count: number }[];
}

/** What a hub tells of the process before it. */
async function beforeOf(hub: Hub): Promise<Before> {
  const status = (await (await fetch(`http://${hub.admin}/status`)).json()) as { ledger: { before: Before } };
  return status.ledger.before;
}

function lostOf({ lost }: Before, what: string): number {
  return lost.find((amount) => amount.what === what)?.count ?? 0;
}

/** Scrapes as Prometheus does. */
async function scrape(hub: Hub): Promise<string> {
  const headers = { "x-prometheus-scrape-timeout-seconds": "10" };
  return (await fetch(`http://${hub.admin}/metrics`, { headers })).text();
}

function valueOf(text: string, series: string): number {
  return Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${series} `))
      ?.slice(series.length + 1) ?? 0,
  );
}

/** The counts of a ledger as they are written now. */
function written(folder: string): string {
  const text = readFileSync(join(folder, "state", "ledger"), "latin1");
  const states = [...text.matchAll(/\{"v":1,"startedMs":\d+,"writtenMs":(\d+),.*?"atRisk":(\[.*?\])/g)];
  return states.reduce((a, b) => (Number(a[1]) > Number(b[1]) ? a : b))[2]!;
}

/** A hub that is started again in the folder of the one before. */
async function hubsIn(t: ExecutionContext, files: Readonly<Record<string, string>>, args: readonly string[] = []) {
  const folder = await writeFolder(files);
  let hub: Hub | undefined;
  t.teardown(() => hub?.dispose());
  return { folder, start: async () => (hub = await startHub(files, { folder, args })) };
}

async function kill(hub: Hub): Promise<void> {
  hub.process.kill("SIGKILL");
  await hub.exit;
}

const counting = {
  "weir.yaml": "telemetry: { ledger: state/ledger, mesh: none }\nadapters: { prometheus: {} }\n",
  "policies/hits.yaml": "policy: hits\nreport:\n  - { metric: hits_total, type: counter, to: prometheus }\n",
};

const records = (count: number) => ({ reports: Array.from({ length: count }, () => ({ "request.path": "/" })) });

test("samples that no scrape had when a hub was killed under load are counted, again and again", async (t) => {
  const { start } = await hubsIn(t, counting);
  let hub = await start();
  let total = 0;
  for (let life = 0; life < 4; life++) {
    /** Records that were sent, and when so many in all were known to be taken. */
    let sent = 0;
    let taken = 0;
    const acknowledged: { readonly atMs: number; readonly records: number }[] = [];
    /** What scrapes had, whole, and when they were there. */
    const scrapes: { readonly atMs: number; readonly hits: number }[] = [];
    let stopped = false;
    const serving = hub;
    const caller = async (): Promise<void> => {
      while (!stopped) {
        sent += 25;
        const { status } = await post(serving, "/v1/report", records(25));
        if (status !== 200) continue;
        taken += 25;
        acknowledged.push({ atMs: Date.now(), records: taken });
      }
    };
    const scraper = async (): Promise<void> => {
      while (!stopped) {
        const text = await scrape(serving);
        scrapes.push({ atMs: Date.now(), hits: valueOf(text, "hits_total") });
        await setTimeout(40);
      }
    };
    const gone = (): void => undefined;
    const load = Promise.all([caller(), caller(), scraper()].map((each) => each.catch(gone)));
    await until(() => taken > 500 && scrapes.length > 3);
    // Anywhere between two moments of the hub.
    await setTimeout(Math.random() * 200);
    await kill(hub);
    stopped = true;
    await load;

    hub = await start();
    const before = await beforeOf(hub);
    t.is(before.end, "killed");
    const lost = lostOf(before, "scraped_sample");
    const atMs = Date.parse(before.written);
    const known = acknowledged.findLast((each) => each.atMs < atMs)?.records ?? 0;
    const last = scrapes.at(-1)?.hits ?? 0;
    // The end of an answer is known to the hub a few turns after it was sent.
    const settled = scrapes.findLast((each) => each.atMs < atMs - 1000)?.hits ?? 0;
    t.true(lost >= known - last, `${known} taken, ${last} scraped, ${lost} lost`);
    t.true(lost <= sent - settled, `${sent} sent, ${settled} scraped, ${lost} lost`);
    t.log(`${sent} sent, ${taken} acknowledged, ${last} scraped, ${lost} counted as lost`);
    total += lost;
    const labels = { what: "scraped_sample", adapter: "prometheus", end: "killed" };
    t.is(await metric(hub, "weir_lost_at_end_total", labels), total);
    t.is(await metric(hub, "weir_process_ends_total", { end: "killed" }), life + 1);
  }
});

const nothing = { encode: () => ({ finish: () => new Uint8Array() }), decode: (bytes: Uint8Array) => bytes.length };

/** A log whose entries have numbers. */
function accessLog(t: ExecutionContext, hub: Hub) {
  const client = connect(hub.grpc);
  t.teardown(() => client.close());
  const log = stream(client, method, nothing);
  log.status.catch(() => undefined);
  log.send(message({}, identifier));
  let sent = 0;
  return {
    sent: () => sent,
    send(count: number) {
      const http = Array.from({ length: count }, () => httpEntry({ request: { path: `/${sent++}` } }));
      log.send(message({ http }));
    },
  };
}

const logging = (buffer: string, adapters = "") => ({
  "weir.yaml": `
telemetry: { ledger: state/ledger, mesh: none, ${buffer} }
adapters:
  out: { adapter: log, to: out.log }
  ${adapters}
`,
  "policies/logged.yaml": "policy: logged\nreport:\n  - { log: logged, fields: { n: request.path }, to: out }\n",
});

/** How many different entries have reached the file. A line that was torn when a hub was killed has not. */
function arrived(folder: string): number {
  const lines = readFileSync(join(folder, "out.log"), "utf8").split("\n").slice(0, -1);
  const whole = lines.filter((line) => line.endsWith("}"));
  return new Set(whole.map((line) => (JSON.parse(line) as { n: string }).n)).size;
}

/** The adapter that has the stream of `buffer: nats`: one for each life, or a hub would go on with what another left. */
const natsAdapter = (life: number): string =>
  "gap" in nats ? "" : `nats: { servers: "${nats.url}", journal: { name: LEDGER-${life}, maxSize: 64MiB } }`;

if ("gap" in nats) test("with buffer: nats what a killed hub had taken is counted", (t) => notRun(t, nats));

for (const [buffer, what, adapters] of [
  ["buffer: memory", "log_entry", () => ""],
  ["buffer: disk", "record", () => ""],
  ...("gap" in nats ? [] : [["buffer: nats", "record", natsAdapter] as const]),
] as const)
  test(`with ${buffer} what a hub had taken of an access log when it was killed has arrived, or is counted`, async (t) => {
    for (let life = 0; life < 3; life++) {
      const { folder, start } = await hubsIn(t, logging(buffer, adapters(life)));
      const hub = await start();
      const log = accessLog(t, hub);
      const takenAt: { readonly atMs: number; readonly records: number }[] = [];
      let stopped = false;
      const sending = (async () => {
        // As many as it likes, so that what is at risk changes all the time.
        for (; !stopped; await setTimeout(1)) log.send(1 + Math.floor(Math.random() * 40));
      })();
      const watching = (async () => {
        for (; !stopped; await setTimeout(20)) {
          const text = await scrape(hub);
          takenAt.push({ atMs: Date.now(), records: valueOf(text, 'weir_records_total{outcome="taken"}') });
        }
      })().catch(() => undefined);
      await until(() => (takenAt.at(-5)?.records ?? 0) > 500);
      await setTimeout(Math.random() * 200);
      await kill(hub);
      stopped = true;
      await Promise.all([sending, watching]);
      const before = await beforeOf(await start());
      const lost = lostOf(before, what);
      const taken = takenAt.findLast(({ atMs }) => atMs < Date.parse(before.written))?.records ?? 0;
      await until(() => arrived(folder) + lost >= taken);
      t.true(taken > 0);
      t.true(lost <= log.sent());
      t.log(`${log.sent()} sent, ${taken} known to be taken, ${arrived(folder)} arrived, ${lost} counted as lost`);
    }
  });

test("what waits is counted to the last entry, by adapter, and after an end in order there is nothing to count", async (t) => {
  const files = {
    "weir.yaml": `
telemetry: { ledger: state/ledger, mesh: none }
shutdown: { deadline: 2s }
adapters:
  prometheus: {}
  aside: { adapter: prometheus, listen: "127.0.0.1:${await freePort()}" }
  out: { adapter: log, to: out.log }
  away: { adapter: otlp, endpoint: "http://127.0.0.1:9" }
`,
    "policies/all.yaml": `
policy: all
report:
  - { metric: hits_total, type: counter, to: prometheus }
  - { name: aside, metric: hits_total, type: counter, to: aside }
  - { metric: sizes, type: histogram, value: request.size, buckets: [1], to: away }
  - { log: logged, fields: { n: request.path }, to: out }
  - { log: logged-away, fields: { n: request.path }, to: away }
`,
  };
  const { folder, start } = await hubsIn(t, files);
  let hub = await start();
  const log = accessLog(t, hub);
  log.send(30);
  await post(hub, "/v1/report", { reports: [{ "request.path": "/", "request.size": 1 }] });
  await until(() => written(folder).includes('"aside","count":31'));
  await scrape(hub);
  await until(
    () => arrived(folder) === 31 && !written(folder).includes('"prometheus"') && !written(folder).includes('"out"'),
  );
  const atRisk = [
    { what: "log_entry", adapter: "away", count: 31 },
    { what: "scraped_sample", adapter: "aside", count: 31 },
    { what: "pushed_sample", adapter: "away", count: 31 },
  ];
  t.deepEqual(JSON.parse(written(folder)), atRisk);
  await kill(hub);
  hub = await start();
  t.deepEqual((await beforeOf(hub)).lost, atRisk);
  t.regex(hub.stderr(), /the process before this one was killed or crashed/);
  const lostOfOut = { what: "log_entry", adapter: "out", end: "killed" };
  t.is(await metric(hub, "weir_lost_at_end_total", lostOfOut), 0, "it is there from the start");

  accessLog(t, hub).send(10);
  await until(() => written(folder).includes('"aside","count":10'));
  hub.process.kill("SIGTERM");
  await hub.exit;
  hub = await start();
  const before = await beforeOf(hub);
  t.is(before.end, "stopped");
  t.is(arrived(folder), 31);
  t.deepEqual(
    before.lost.filter(({ adapter }) => adapter === "out"),
    [],
    "what could be delivered was",
  );
  t.is(await metric(hub, "weir_lost_at_end_total", { ...lostOfOut, adapter: "away" }), 31);
  t.is(await metric(hub, "weir_lost_at_end_total", { ...lostOfOut, adapter: "away", end: "stopped" }), 10);
});

test("what a real Prometheus has scraped is not counted as lost", async (t) => {
  const address = `127.0.0.1:${await freePort()}`;
  const { folder, start } = await hubsIn(t, counting, ["--admin", address]);
  let hub = await start();
  const prometheus = await startPrometheus(address);
  if ("gap" in prometheus) return notRun(t, prometheus);
  t.teardown(() => prometheus.dispose());
  await post(hub, "/v1/report", records(100));
  await until(async () => (await prometheus.query("hits_total"))[0] === 100);
  await until(() => written(folder) === "[]");
  prometheus.dispose();
  // One that was under way then has ended before this one.
  await scrape(hub);
  await post(hub, "/v1/report", records(7));
  // Somebody who has a look is no scraper.
  t.regex(await (await fetch(`http://${hub.admin}/metrics`)).text(), /^hits_total 107$/m);
  await until(() => written(folder).includes('"count":7'));
  await kill(hub);
  hub = await start();
  t.is(lostOf(await beforeOf(hub), "scraped_sample"), 7);
});

test("a hub whose ledger another hub has serves without, and takes it when that one is gone", async (t) => {
  const { folder, start } = await hubsIn(t, counting);
  const first = await start();
  const second = await startHub(counting, { folder });
  t.teardown(() => second.dispose());
  t.is(await metric(second, "weir_ledger_up", {}), 0);
  t.regex(second.stderr(), /the ledger .* is in use by process/);
  t.is(await metric(first, "weir_ledger_up", {}), 1);
  await post(first, "/v1/report", records(3));
  await until(() => written(folder).includes('"count":3'));
  await kill(first);
  await until(async () => (await metric(second, "weir_ledger_up", {})) === 1);
  t.is(lostOf(await beforeOf(second), "scraped_sample"), 3);
});

test("with buffer: disk there is a ledger unless weir.yaml says none, and one that is broken costs only itself", async (t) => {
  const files = { ...counting, "weir.yaml": "telemetry: { buffer: disk, disk: { folder: state } }\n" };
  const { folder, start } = await hubsIn(t, files);
  let hub = await start();
  await post(hub, "/v1/report", records(3));
  await until(() => written(folder).includes('"count":3'));
  await kill(hub);
  const path = join(folder, "state", "ledger");
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.fill(7, 4096));
  hub = await start();
  t.is(await metric(hub, "weir_ledger_up", {}), 1);
  t.is(await metric(hub, "weir_dropped_total", { what: "ledger", reason: "unreadable" }), 1);
  t.is(await beforeOf(hub), undefined as never);
  hub.process.kill("SIGTERM");
  await hub.exit;
  const none = { "weir.yaml": "telemetry: { buffer: disk, disk: { folder: state }, ledger: none }\n" };
  writeFileSync(join(folder, "weir.yaml"), none["weir.yaml"]);
  hub = await start();
  t.notRegex(await scrape(hub), /^weir_ledger_up /m);
});
