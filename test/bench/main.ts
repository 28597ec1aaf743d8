/** `npm run bench`: measures the built hub against its targets, prints one table, and writes docs/benchmarks.md. */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import "../own-folder.ts";
import { createBench, type Pace } from "./bench.ts";
import { scenarios } from "./scenarios.ts";
import { pinned } from "./server-process.ts";
import { renderTable, type Row } from "./table.ts";

const usage = `npm run bench -- [--quick] [--only NAME] [--strict]

  --quick       short slices: half a minute in all, rougher figures; writes no file
  --only NAME   one scenario: ${scenarios.map(({ name }) => name).join(", ")}; writes no file
  --strict      exit status 1 when a target is missed or a scenario fails
`;

const full: Pace = { warmMs: 3000, sliceMs: 1500, rounds: 7, aloneMs: 1500 };
const quick: Pace = { warmMs: 1000, sliceMs: 500, rounds: 3, aloneMs: 300 };

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");

function versionOf(folder: string): string {
  return (JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as { version: string }).version;
}

function page(rows: readonly Row[]): string {
  const model = cpus()[0]?.model ?? "unknown processor";
  const machine = `${cpus().length} x ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()} ${release()}`;
  const packages = `Weir ${versionOf(".")}, Node ${process.versions.node}, @grpc/grpc-js ${versionOf("node_modules/@grpc/grpc-js")}`;
  const pinning = pinned
    ? "The server has one core to itself, the load the other."
    : "Processes are not kept to a core each.";
  return `# Benchmarks

Written by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}; do not edit.

- Machine: ${machine}. ${pinning}
- Versions: ${packages}.

${renderTable(rows)}

## How to read it

- Absolute figures move from machine to machine. What holds is what was measured side by side: two servers run on the
  same core and get the load in turn, slice by slice; the figure is the median over pairs of slices.
- The load replays ${(10_000).toLocaleString("en-US")} different messages over 8 connections, 32 calls in flight on each (Report: 4 or 2), from
  prepared frames. It counts an answer only when its gRPC status is 0 and its message says what it should; one call that
  fails makes the row fail. Before the load, requests that the rules must refuse are refused; after the reports, the
  counters on \`/metrics\` must add up to the records that were sent.
- *Echo, same transport* is the hub's own gRPC listener with a door that answers constant bytes, as long as a real answer.
  What the hub costs beyond it is decoding, rules and encoding.
- A share of an echo's throughput depends on how slow the transport is. The targets were set for @grpc/grpc-js, whose echo
  takes 50 us of CPU a call and more; the hub's own HTTP/2 takes little more than one, so that a decision is most of a call,
  however little it costs. Therefore both are shown: the share on the hub's own transport, which callers get, and that of the
  same doors on plain @grpc/grpc-js, for which the target was meant. The CPU above the echo is what the hub itself costs. It
  is more on @grpc/grpc-js, where the transport's work between two calls drives the doors' out of the processor's caches.
  Hub and echo have a new space of 16 MB there: the small one that the hub sets for itself does not suit so much garbage.
  Of a million calls there one or two got no answer, from the echo too; a load that waits for one is begun anew, once.
- *CPU* is what the operating system charges to the server's process, user and kernel, with the garbage collector and all
  threads.
- 100 rules: 20 for the whole mesh and 10 for each of 8 services, so 30 of them are judged. 10,000 rules: 10 for each of
  1,000 services; beside it, the same 10 for the whole mesh. Several pairs of hubs are started one after the other, because
  two starts of one hub differ by some percent for as long as they run; the figure is the median over the pairs.
- Reports: delta-encoded records of 24 attributes, a counter and three histograms with 19 labels, 1,000 series.
- Through Envoy: two Envoys with the configuration of \`weir envoy\`, one of them without the filter, answer 10,000 different
  requests by themselves; 16 connections of HTTP/1.1, requests sent as they fall due, times from then on. Envoys and the
  hub share one core.
- Access log: entries of about 950 bytes, as Istio's sidecars write them, each batch a stream of its own; the same metrics.
- Limits in memory, without a door: charges of one unit, each with a key that is a text of its own as the hub makes it; the
  fifth percentile over runs of 20,000. A pause is the CPU, of all threads, of the 100 new keys that took the most: while a
  million came, and while another million took their places.
- Limits in Redis, without a door: exact ones with 256 decisions under way; raw is the same script by prepared EVALSHA
  commands over a bare socket, one a decision, of which only the answers are counted. For the p99 decisions begin as they fall
  due, whatever becomes of those before, and count from when they were due; raw does so at half of what it reached itself.
- Policies over NATS: hubs, on all cores together, each compile a set of 1,000 rules of which one has changed. From the
  moment before the change is sent until the last of them answers by the new version; it is asked every 10 ms.
- Memory: each of 100,000 users takes its one request a day, then all of them are refused.

\`npm run bench -- --quick\` takes half a minute, \`--only check\` runs one scenario.
`;
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    strict: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const chosen = scenarios.filter(({ name }) => values.only === undefined || name === values.only);
async function measure(): Promise<void> {
  const bench = createBench(values.quick ? quick : full);
  const rows: Row[] = [];
  let failed = false;
  try {
    for (const scenario of chosen) {
      process.stderr.write(`${scenario.name} ...\n`);
      try {
        rows.push(...(await scenario.run(bench)));
      } catch (error) {
        failed = true;
        process.stderr.write(`${(error as Error).stack}\n`);
        rows.push({ scenario: scenario.name, weir: "", beside: "", figure: "failed", target: "", met: false });
      }
      await bench.stopAll();
    }
  } finally {
    await bench.close();
  }

  process.stdout.write(`${renderTable(rows)}\n`);
  if (!values.quick && values.only === undefined && !failed) {
    writeFileSync(join(root, "docs/benchmarks.md"), page(rows));
    process.stderr.write("docs/benchmarks.md is written\n");
  }
  process.exitCode = values.strict && rows.some(({ met }) => met === false) ? 1 : 0;
}

if (values.help || chosen.length === 0) {
  process.stdout.write(usage);
  process.exitCode = values.help ? 0 : 1;
} else await measure();
