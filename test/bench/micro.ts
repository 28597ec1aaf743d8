/**
 * What the parts of a request cost without transport, for whoever changes them:
 *
 *     node dist/test/bench/micro.js [few] [check] [many] [report] [als] [extauthz] [ratelimit]
 *
 * Each line is a low percentile over short runs, so that what else the machine does counts least. Compare two builds by
 * runs that alternate.
 */
import { performance } from "node:perf_hooks";
import { Bag } from "../../src/attributes/bag.ts";
import { createExtAuthzDoor } from "../../src/wire/envoy/ext-authz/ext-authz-door.ts";
import { RequestDecoder } from "../../src/wire/envoy/ext-authz/request-decoder.ts";
import { createRateLimitDoor } from "../../src/wire/envoy/ratelimit/rate-limit-door.ts";
import { AttributeDecoder } from "../../src/wire/mixer/attribute-decoder.ts";
import { createMixerDoor } from "../../src/wire/mixer/mixer-door.ts";
import { ReportRequest as ReportReader } from "../../src/wire/mixer/report-request.ts";
import { readCheckRequest } from "../../src/wire/mixer/check-request.ts";
import { Reader } from "../../src/wire/protobuf/reader.ts";
import { systemTimers } from "../../src/util/timers.ts";
import type { Call, Incoming, Unary } from "../../src/wire/call.ts";
import { createAccessLogDoor } from "../../src/wire/envoy/access-log/access-log-door.ts";
import type { Session } from "../../src/wire/session.ts";
import { accessLogMessages } from "./access-logs.ts";
import { extAuthzPath, extAuthzRequests } from "./ext-authz.ts";
import { hubInProcess, type HubInProcess } from "./hub-in-process.ts";
import { type Files, hundredRules, standardMetrics, tenRules, tenThousandRules } from "./policies.ts";
import { rateLimitPath, rateLimitRequests, rateLimits } from "./rate-limit.ts";
import { checkRequests, reportRequests } from "./requests.ts";

const runMs = 2500;
/** CPU of a run that is timed by itself: short, so that some runs are left alone by what else the machine does. */
const sliceUs = 2000;

/**
 * Nanoseconds of CPU of one step, of which `step` takes `each` at once: the fifth percentile over many short runs. The
 * steps go over the inputs again and again.
 */
function measure(step: (i: number) => void, each = 1): number {
  const times: number[] = [];
  let steps = 0;
  let batch = 1;
  for (const end = performance.now() + runMs; performance.now() < end;) {
    const before = process.cpuUsage();
    for (let i = 0; i < batch; i++) step(steps++);
    const { user, system } = process.cpuUsage(before);
    if (user + system < sliceUs / 2) batch *= 2;
    else times.push(((user + system) * 1e3) / (batch * each));
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length / 20)]!;
}

function show(what: string, ns: number): void {
  process.stdout.write(`${what.padEnd(60)} ${ns.toFixed(0).padStart(7)} ns\n`);
}

/** Messages as a socket brings them: parts of larger blocks of memory. */
function received(messages: readonly Uint8Array[]): Buffer[] {
  const blockBytes = 64 * 1024;
  const buffers: Buffer[] = [];
  let block = Buffer.alloc(0);
  let at = 0;
  for (const message of messages) {
    if (at + message.length > block.length) [block, at] = [Buffer.alloc(Math.max(blockBytes, message.length)), 0];
    block.set(message, at);
    buffers.push(block.subarray(at, (at += message.length)));
  }
  return buffers;
}

const call: Call = {
  peer: "10.1.2.3",
  signal: new AbortController().signal,
  header: () => undefined,
};

/** A call of a method as the transport makes it, with what it tells the hub's metrics. */
function calling({ observer }: HubInProcess, method: string, unary: Unary): (message: Buffer) => Uint8Array {
  return (message) => {
    const start = performance.now();
    const answer = unary(message, call);
    if (answer instanceof Promise) throw new Error("no adapter has to be waited for here");
    observer.call("mixer", method, "OK", performance.now() - start);
    return answer;
  };
}

async function checks(name: string, files: Files, services: number): Promise<void> {
  const hub = await hubInProcess(files);
  const { layout } = hub.snapshot;
  const messages = received(checkRequests({ seed: 1, count: 10_000, services, users: 5000 }));
  const message = (i: number): Buffer => messages[i % messages.length]!;
  const decoder = new AttributeDecoder();
  const reader = new Reader();
  const bag = new Bag(layout);
  const decode = (i: number): void => {
    const { buffer, start, end } = readCheckRequest(reader.reset(message(i)));
    decoder.fill(bag, buffer, start, end);
  };
  show(`decode a check, ${layout.size} slots`, measure(decode));

  let refused = 0;
  const judge = (i: number): void => {
    decode(i);
    const decision = hub.session.check(bag, {});
    if (decision instanceof Promise || !decision.allowed) refused++;
  };
  show(`decode and judge a check, ${name}`, measure(judge));
  const check = calling(hub, "Check", createMixerDoor(hub.door).unary.get("/istio.mixer.v1.Mixer/Check")!);
  show(
    `the Mixer door's Check, ${name}`,
    measure((i) => void check(message(i))),
  );
  if (refused > 0) throw new Error(`${refused} checks were refused`);
}

async function reports(): Promise<void> {
  const hub = await hubInProcess(standardMetrics);
  const [small, large] = [100, 1000].map((records) =>
    received(reportRequests({ seed: 1, count: 40_000 / records, records })),
  ) as [Buffer[], Buffer[]];
  const decoder = new AttributeDecoder();
  const reader = new Reader();
  const request = new ReportReader();
  const words = decoder.createWords();
  const bag = new Bag(hub.snapshot.reportLayout);
  const decode = (buffer: Buffer, then: () => void): void => {
    request.read(reader.reset(buffer), words);
    bag.clear();
    for (let i = 0; i < request.count; i++) {
      decoder.change(bag, buffer, request.starts[i]!, request.ends[i]!, words);
      then();
    }
  };
  show(
    "decode a record, 100 in a batch",
    measure((i) => decode(small[i % small.length]!, () => {}), 100),
  );
  const count = (): void => void hub.session.report(bag);
  show(
    "decode and count a record, 4 metrics x 19 labels",
    measure((i) => decode(small[i % small.length]!, count), 100),
  );
  const report = calling(hub, "Report", createMixerDoor(hub.door).unary.get("/istio.mixer.v1.Mixer/Report")!);
  for (const [records, batches] of [[100, small] as const, [1000, large] as const]) {
    show(
      `the Mixer door's Report, a record of ${records}`,
      measure((i) => void report(batches[i % batches.length]!), records),
    );
  }
}

async function extAuthz(): Promise<void> {
  const hub = await hubInProcess(hundredRules);
  const messages = received(extAuthzRequests({ seed: 1, count: 10_000, services: 8, users: 5000 }));
  const message = (i: number): Buffer => messages[i % messages.length]!;
  const decoder = new RequestDecoder();
  const bag = new Bag(hub.snapshot.layout);
  show(
    `decode an ext_authz Check, 25 headers, ${hub.snapshot.layout.size} slots`,
    measure((i) => {
      bag.clear();
      decoder.fill(bag, message(i), 65_536);
    }),
  );
  const check = calling(hub, "Check", createExtAuthzDoor(hub.door).unary.get(extAuthzPath)!);
  show(
    "the ext_authz door's Check, 100 rules, 30 of them apply",
    measure((i) => void check(message(i))),
  );
}

async function rateLimit(): Promise<void> {
  const hub = await hubInProcess(rateLimits);
  const messages = received(rateLimitRequests({ seed: 1, count: 10_000, users: 5000 }));
  const ask = calling(hub, "ShouldRateLimit", createRateLimitDoor(hub.door).unary.get(rateLimitPath)!);
  show(
    "the rate limit door's ShouldRateLimit, 2 descriptors",
    measure((i) => void ask(messages[i % messages.length]!)),
  );
}

async function accessLogs(): Promise<void> {
  const hub = await hubInProcess(standardMetrics);
  const messages = received(accessLogMessages({ seed: 1, count: 100, entries: 100 }));
  const streamOf = (session: Session): Incoming => {
    // Requests are younger than the stream.
    const outside = { now: () => 0, timers: systemTimers };
    const [open] = createAccessLogDoor({ ...hub.door, ...outside, open: () => session }).duplex.values();
    return open!({ send: () => true, whenRead: () => false, end: () => {} }, call);
  };
  const each = (stream: Incoming): number => measure((i) => void stream.message(messages[i % messages.length]!), 100);
  const session = { ...hub.session, end: () => {} };
  show("decode an access log entry", each(streamOf({ ...session, report: () => "taken" })));
  show("decode and count an access log entry", each(streamOf(session)));

  // A counter that grows while requests are under way, beside the same metrics.
  const growing = await hubInProcess(
    new Map([
      ...standardMetrics,
      [
        "growing.yaml",
        `policy: growing
report:
  - metric: growing_total
    type: counter
    value: response.size
    ongoing: true
    labels: { service: destination.service.name }
`,
      ],
    ]),
  );
  const [starts, going] = (["start", "going"] as const).map((at) =>
    received(accessLogMessages({ seed: 1, count: 100, entries: 100, at })),
  ) as [Buffer[], Buffer[]];
  const open = { ...growing.session, end: () => {} };
  const entries = (of: readonly Buffer[], stream: Incoming): number =>
    measure((i) => void stream.message(of[i % of.length]!), 100);
  show(
    "the same with a counter for requests under way, of a log that tells of none",
    entries(messages, streamOf(open)),
  );
  const stream = streamOf(open);
  show("an entry of that log at the beginning of a request", entries(starts, stream));
  show("an entry of that log while a request lasts", entries(going, stream));
  show("an entry of that log at the end of a request", entries(messages, stream));
}

const parts: Record<string, () => Promise<void>> = {
  few: () => checks("10 rules", tenRules, 1000),
  check: () => checks("100 rules, 30 of them apply", hundredRules, 8),
  many: () => checks("10,000 rules, 10 of them apply", tenThousandRules, 1000),
  report: reports,
  als: accessLogs,
  extauthz: extAuthz,
  ratelimit: rateLimit,
};

for (const name of process.argv.length > 2 ? process.argv.slice(2) : Object.keys(parts)) await parts[name]!();
process.exit();
