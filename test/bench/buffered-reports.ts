/** Reports records through a buffer, without a door, and prints what that took as JSON. Run by `buffer.ts` with `nats` or `disk`. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtinAdapters } from "../../adapters/index.ts";
import nats from "../../adapters/nats/index.ts";
import { compilePolicies } from "../../src/policy/index.ts";
import type { Journal } from "../../src/sdk/index.ts";
import { fakeHost, makeInstance } from "../../src/sdk/testing.ts";
import { openDiskJournal } from "../../src/telemetry/buffer/disk-journal.ts";
import { createQueues } from "../../src/telemetry/queues/queues.ts";
import { createReporter } from "../../src/telemetry/report.ts";
import { systemTimers } from "../../src/util/timers.ts";
import { createTraceIds } from "../../src/util/trace-ids.ts";
import { startNats } from "../adapters/nats-server.ts";
import { recordOf } from "../attributes/bag-of.ts";
import { silentLog, silentObserver } from "./silent.ts";

export interface BufferedReports {
  /** Records that were stored, and read again by their exporter, in a second of the process's CPU, all threads counted. */
  readonly perCpuSecond: number;
  /** The same in a second of the clock, the program that stores them on the same machine. */
  readonly perSecond: number;
}

const batch = 100;
const inFlight = 32;
const records = 400_000;
const warmRecords = 50_000;

const policy = `
policy: kept
report:
  - log: access
    fields:
      source: source.workload.name
      destination: destination.service.name
      method: request.method
      path: request.path
      code: response.code
      agent: request.useragent
      size: response.size
      host: request.host
    to: stdout
`;

const compiled = await compilePolicies({
  config: { path: "weir.yaml", text: "telemetry: { queue: 200000, mesh: none, graph: { window: 0s } }\n" },
  files: [{ path: "policies/kept.yaml", text: policy }],
  adapters: builtinAdapters,
  folder: process.cwd(),
});
if ("problems" in compiled) throw new Error(compiled.problems[0]!.message);
const { snapshot } = compiled;

const closing: (() => unknown)[] = [];
const journal = process.argv[2] === "disk" ? await onDisk() : await inNats();
const queues = createQueues({
  ...{ observer: silentObserver, log: silentLog, now: Date.now, random: Math.random, timers: systemTimers },
});
let delivered = 0;
const reporter = createReporter({
  ...{ snapshot, queues, observer: silentObserver, counts: { taken: 0, full: 0 }, log: silentLog },
  now: Date.now,
  traceIds: createTraceIds(randomBytes),
  instanceOf: () => ({ logs: (entries) => void (delivered += entries.length), spans: () => undefined }),
  journal: { journal, counts: { stored: 0, spilled: 0, refused: 0 }, nextId: idsOf() },
});
const bag = recordOf(snapshot, {
  "source.workload.name": "productpage-v1",
  "destination.service.name": "reviews",
  "request.method": "GET",
  "request.path": "/reviews/1832?expand=ratings",
  "response.code": 200,
  "request.useragent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
  "response.size": 5183,
  "request.host": "reviews.default.svc.cluster.local",
});

// A stream is made when there are readers.
while (journal.refusal() !== undefined) await new Promise((resume) => systemTimers.after(5, () => resume(undefined)));
await run(warmRecords);
const cpu = process.cpuUsage();
const began = performance.now();
await run(records);
const ms = performance.now() - began;
const { user, system } = process.cpuUsage(cpu);
await reporter.close(1000);
for (const close of closing.reverse()) await close();
process.stdout.write(
  JSON.stringify({
    perCpuSecond: (records * 1e6) / (user + system),
    perSecond: (records * 1e3) / ms,
  } satisfies BufferedReports),
);

/** Reports so many records, some calls at once, and waits until the exporter has them all. */
async function run(count: number): Promise<void> {
  const wanted = delivered + count;
  let left = count / batch;
  const caller = async (): Promise<void> => {
    while (left-- > 0) {
      for (let i = 0; i < batch; i++) if (reporter.report(bag) !== "taken") throw new Error("a record was not taken");
      await reporter.commit();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  while (delivered < wanted) await new Promise((resume) => systemTimers.after(5, () => resume(undefined)));
}

function idsOf(): () => string {
  const prefix = randomBytes(12).toString("base64url");
  let next = 0;
  return () => `${prefix}-${next++}`;
}

async function onDisk(): Promise<Journal> {
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const disk = await openDiskJournal({
    ...{ folder, maxBytes: 2 ** 32, maxAgeMs: 3_600_000, sync: true },
    ...{ observer: silentObserver, log: silentLog, now: Date.now, timers: systemTimers },
  });
  closing.push(
    () => rmSync(folder, { recursive: true }),
    () => disk.close(),
  );
  return disk;
}

async function inNats(): Promise<Journal> {
  const server = await startNats();
  if ("gap" in server) throw new Error(`not run: ${server.gap}`);
  const host = { ...fakeHost(), now: Date.now };
  const instance = await makeInstance(nats, { servers: server.url, journal: { maxSize: "900MiB" } }, host);
  closing.push(
    () => server.dispose(),
    () => instance.close?.(),
  );
  return instance.journal();
}
