/** Scrapes an instance of the adapter prometheus over HTTP, and prints what that took as JSON. Run by `scrapes.ts`. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import prometheus from "../../adapters/prometheus/index.ts";
import { fakeHost, makeInstance } from "../../src/sdk/testing.ts";
import { median } from "./figures.ts";
import { freeAddress } from "./free-address.ts";

export interface Scrapes {
  /** How long one takes, as curl sees it, and the CPU that the process has for it. In milliseconds, of several the median. */
  readonly wallMs: number;
  readonly cpuMs: number;
  /** The most CPU between two turns of the event loop: how long nothing else is answered. In milliseconds. */
  readonly heldUpMs: number;
  readonly bytes: number;
}

/** The path of curl. */
const curl = process.argv[2]!;
const series = 100_000;
const labels = [
  ...["reporter", "source_workload", "source_workload_namespace", "source_principal", "source_app", "source_version"],
  ...["destination_workload", "destination_workload_namespace", "destination_principal", "destination_app"],
  ...["destination_version", "destination_service", "request_protocol", "response_code", "response_flags"],
  "connection_security_policy",
];

const address = await freeAddress();
const url = `http://${address}/metrics`;
/** Fewer would not be all series. */
const leastBytes = series * 300;
const instance = await makeInstance(prometheus, { listen: address, maxSeries: series }, fakeHost());
const recorder = instance.metrics({
  labels,
  metrics: [{ name: "requests_total", kind: "counter", help: "Requests." }],
});
for (let i = 0; i < series; i++) recorder.record(valuesOf(i), [i]);

/** The labels of a mesh: 250 workloads call 20 others each, with 20 codes. */
function valuesOf(i: number): string[] {
  const source = `workload-${i % 250}`;
  const target = `workload-${Math.floor(i / 250) % 20}`;
  const principal = (name: string): string => `spiffe://cluster.local/ns/default/sa/${name}`;
  return [
    ...["destination", `${source}-v1`, "default", principal(source), source, "v1"],
    ...[`${target}-v1`, "default", principal(target), target],
    ...["v1", `${target}.default.svc.cluster.local`, "http", String(200 + Math.floor(i / 5000)), "-"],
    "mutual_tls",
  ];
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** One scrape, by curl: what it takes to read the answer is not the hub's. */
async function scrape(): Promise<{ wallMs: number; cpuMs: number; bytes: number }> {
  const startCpu = cpuMs();
  const written = ["--write-out", "%{time_total} %{size_download}"];
  const child = spawn(curl, ["--silent", "--fail", "--output", "/dev/null", ...written, url]);
  let told = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (told += text));
  const [code] = (await once(child, "close")) as [number | null];
  const [seconds = NaN, bytes = NaN] = told.split(" ").map(Number);
  if (code !== 0 || !(bytes >= leastBytes)) throw new Error(`curl ended with ${code} and had ${bytes} bytes`);
  return { wallMs: seconds * 1000, cpuMs: cpuMs() - startCpu, bytes };
}

/** The most CPU between two turns of the event loop during a scrape. */
async function longestHold(): Promise<number> {
  let longest = 0;
  let turning = true;
  let turnedAt = cpuMs();
  const turn = (): void => {
    const now = cpuMs();
    longest = Math.max(longest, now - turnedAt);
    turnedAt = now;
    if (turning) setImmediate(turn);
  };
  setImmediate(turn);
  await scrape();
  turning = false;
  return longest;
}

/** The first scrape, which makes what the others find made, is among those that may hold up nothing for long. */
const holds = [await longestHold(), await longestHold(), await longestHold()];
const scrapes = [];
for (let i = 0; i < 7; i++) scrapes.push(await scrape());
const result: Scrapes = {
  wallMs: median(scrapes.map(({ wallMs }) => wallMs)),
  cpuMs: median(scrapes.map(({ cpuMs: ms }) => ms)),
  heldUpMs: Math.max(...holds),
  bytes: scrapes[0]!.bytes,
};
await instance.close!();
process.stdout.write(JSON.stringify(result));
