/**
 * What the parts of a request cost without transport, for whoever changes them:
 *
 *     node dist/test/bench/micro.js [few] [check] [many] [report]
 *
 * Each line is the best of several short runs, so that what else the machine does counts least.
 */
import { builtinAdapters } from "../../adapters/index.ts";
import { Bag } from "../../src/attributes/bag.ts";
import { compilePolicies } from "../../src/policy/index.ts";
import type { Snapshot } from "../../src/policy/snapshot.ts";
import { createCheck } from "../../src/runtime/check.ts";
import { makeInstance } from "../../src/sdk/testing.ts";
import { createQueues } from "../../src/telemetry/queues.ts";
import { createReporter } from "../../src/telemetry/report.ts";
import { systemTimers } from "../../src/util/timers.ts";
import { AttributeDecoder } from "../../src/wire/mixer/attribute-decoder.ts";
import { CheckRequest, ReportRequest } from "../../src/wire/gen/istio/mixer/v1/mixer.ts";
import { CompressedAttributes } from "../../src/wire/gen/istio/mixer/v1/attributes.ts";
import { compress, Words } from "./compressed.ts";
import { type Files, hundredRules, standardMetrics, tenRules, tenThousandRules } from "./policies.ts";
import { checkRequests, reportRequests } from "./requests.ts";
import { silentLog, silentObserver } from "./silent.ts";

const runs = 7;
const runMs = 300;

/** Nanoseconds of one step; the steps of a run go over the inputs again and again. */
function measure(step: (i: number) => void): number {
  let best = Infinity;
  for (let run = 0; run < runs; run++) {
    let steps = 0;
    const start = process.hrtime.bigint();
    const end = performance.now() + runMs;
    while (performance.now() < end) for (let i = 0; i < 1000; i++) step(steps++);
    best = Math.min(best, Number(process.hrtime.bigint() - start) / steps);
  }
  return best;
}

function show(what: string, ns: number): void {
  process.stdout.write(`${what.padEnd(60)} ${ns.toFixed(0).padStart(7)} ns\n`);
}

async function snapshotOf(files: Files): Promise<Snapshot> {
  const texts = [...files].map(([path, text]) => ({ path, text }));
  const config = { path: "weir.yaml", text: "adapters: { prometheus: {} }\n" };
  const compiled = await compilePolicies({ config, files: texts, adapters: builtinAdapters, folder: process.cwd() });
  if ("problems" in compiled) throw new Error(compiled.problems[0]!.message);
  return compiled.snapshot;
}

/** The encoded `attributes` of checks over so many services. */
function checkAttributes(services: number): Buffer[] {
  const requests = checkRequests({ seed: 1, count: 10_000, services, users: 5000 });
  return requests.map((bytes) =>
    Buffer.from(CompressedAttributes.encode(CheckRequest.decode(bytes).attributes!).finish()),
  );
}

async function checks(name: string, files: Files, services: number): Promise<void> {
  const snapshot = await snapshotOf(files);
  const messages = checkAttributes(services);
  const decoder = new AttributeDecoder();
  const bag = new Bag(snapshot.layout);
  const decode = (i: number): void => {
    const message = messages[i % messages.length]!;
    decoder.fill(bag, message, 0, message.length);
  };
  show(`decode a check, ${snapshot.layout.size} slots`, measure(decode));

  const unused = (): never => {
    throw new Error("no adapter is asked here");
  };
  const check = createCheck({
    snapshot,
    callsOf: unused,
    fallback: undefined as never,
    observer: silentObserver,
    log: silentLog,
    nextId: () => "",
    monotonic: () => 0,
  });
  let allowed = 0;
  const both = measure((i) => {
    decode(i);
    const decision = check(bag, {});
    if (!(decision instanceof Promise) && decision.allowed) allowed++;
  });
  if (allowed === 0) throw new Error("no check was allowed");
  show(`decode and judge a check, ${name}`, both);
}

async function reports(): Promise<void> {
  const snapshot = await snapshotOf(standardMetrics);
  const adapter = builtinAdapters.get("prometheus")!;
  const instance = await makeInstance(adapter, {});
  const counts = { taken: 0, full: 0 };
  const queues = createQueues({
    observer: silentObserver,
    log: silentLog,
    now: Date.now,
    random: Math.random,
    timers: systemTimers,
  });
  const instanceOf = () => instance as { metrics: NonNullable<typeof instance.metrics> };
  const reporter = createReporter({ snapshot, instanceOf, queues, observer: silentObserver, counts, now: Date.now });
  const batches = reportRequests({ seed: 1, count: 100, records: 100 }).map((bytes) => {
    const { attributes, defaultWords } = ReportRequest.decode(bytes);
    const records = attributes.map((record) => Buffer.from(CompressedAttributes.encode(record).finish()));
    const words = compress(new Map(), new Words());
    words.words = defaultWords;
    return { records, words: Buffer.from(CompressedAttributes.encode(words).finish()) };
  });
  const decoder = new AttributeDecoder();
  const bag = new Bag(snapshot.layout);
  const words = decoder.createWords();
  const each =
    (then: () => void) =>
    (i: number): void => {
      const batch = batches[Math.floor(i / 100) % batches.length]!;
      const record = batch.records[i % 100]!;
      if (i % 100 === 0) {
        words.reset(batch.words);
        words.addRun(0, batch.words.length);
        decoder.fill(bag, record, 0, record.length, words);
      } else decoder.change(bag, record, 0, record.length, words);
      then();
    };
  show("decode a record of a report", measure(each(() => {})));
  show("decode and count a record, 4 metrics x 19 labels", measure(each(() => void reporter.report(bag))));
}

const parts: Record<string, () => Promise<void>> = {
  few: () => checks("10 rules", tenRules, 1000),
  check: () => checks("100 rules, 30 of them apply", hundredRules, 8),
  many: () => checks("10,000 rules, 10 of them apply", tenThousandRules, 1000),
  report: reports,
};

for (const name of process.argv.length > 2 ? process.argv.slice(2) : Object.keys(parts)) await parts[name]!();
