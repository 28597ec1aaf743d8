import { accessLogSeries } from "./access-logs.ts";
import { type Bench, typicalAnswer } from "./bench.ts";
import { throughEnvoy } from "./envoy.ts";
import { typicalExtAuthzAnswer } from "./ext-authz.ts";
import { bufferedReports } from "./buffer.ts";
import { cpu, doubts, median, paired, ratio, throughput } from "./figures.ts";
import { h2load } from "./h2load.ts";
import { boundedLimits, exactLimits, memoryLimits } from "./limits.ts";
import { pushedPolicies } from "./pushed.ts";
import { spanRows } from "./span-rows.ts";
import type { LoadPlan, TargetResult } from "./load.ts";
import { hundredRules, manyKeys, refusedPath, standardMetrics, tenRules, tenThousandRules } from "./policies.ts";
import { type RateLimitOptions, rateLimits, typicalRateLimitAnswer } from "./rate-limit.ts";
import { residentBytes } from "./process-stat.ts";
import { type CheckOptions, checkRequests, reportSeries } from "./requests.ts";
import { scrapes } from "./scrapes.ts";
import type { ServerProcess } from "./server-process.ts";
import { micros, rate, type Row } from "./table.ts";

export interface Scenario {
  /** For `--only`. */
  readonly name: string;
  run(bench: Bench): Promise<Row[]>;
}

/** The same chance in every run, so that figures of two runs are about the same messages. */
const seed = 20_260_101;
const connections = 8;
const messages = 10_000;

function target(name: string, server: ServerProcess): LoadPlan["targets"][number] {
  return { name, address: server.ready["grpc"]!, pid: server.pid };
}

/** Sends requests that the rules must refuse, so that a hub that judges nothing cannot look fast. */
async function proveRules(
  bench: Bench,
  server: ServerProcess,
  check: CheckOptions,
  door: "check" | "extAuthz" = "check",
): Promise<void> {
  const wrong = { ...check, count: 200, instead: { "request.url_path": refusedPath } };
  const asked =
    door === "check"
      ? ({ messages: { check: wrong }, expect: "refuse" } as const)
      : ({ messages: { extAuthz: wrong }, expect: "deny" } as const);
  const plan = { ...asked, targets: [target("weir", server)] };
  const { targets } = await bench.load({
    ...plan,
    connections: 1,
    inFlight: 8,
    rounds: 0,
    sliceMs: 0,
    warmMs: 0,
    aloneMs: 0,
  });
  if (targets[0]!.failed > 0) throw new Error(`the hub does not refuse what its rules refuse: ${targets[0]!.failure}`);
}

const check: Scenario = {
  name: "check",
  async run(bench) {
    const options: CheckOptions = { seed, count: messages, services: 8, users: 5000 };
    const hub = await bench.hub(hundredRules);
    const answer = await typicalAnswer(hub, options);
    await proveRules(bench, hub, options);
    const echo = await bench.echo("hub", answer);
    const plain = await bench.echo("grpc-js", answer);
    const targets = [target("weir", hub), target("echo", echo), target("plain grpc-js", plain)];
    const plan: LoadPlan = {
      messages: { check: options },
      expect: "allow",
      targets,
      connections,
      inFlight: 32,
      ...bench.pace,
    };
    const [w, e, p] = (await bench.load(plan)).targets as [TargetResult, TargetResult, TargetResult];
    const notes = doubts([w, e, p]);
    const rows: Row[] = [
      ...besideEcho("Check, 30 attributes, 100 rules: throughput", w, e, { share: 0.8, extraUs: 6 }, notes),
      latencyAlone(w, e),
      {
        scenario: "for scale: beside an echo on plain @grpc/grpc-js",
        weir: `${rate(throughput(w))}, ${micros(cpu(w))}`,
        beside: `${rate(throughput(p))}, ${micros(cpu(p))}`,
        figure: `${ratio(w, p).toFixed(2)} of that echo; our echo ${ratio(e, p).toFixed(2)}`,
        target: "",
      },
    ];
    return [...rows, ...(await h2load(bench.pace, hub, echo, checkRequests({ ...options, count: 1 })[0]!))];
  },
};

/** Two rows: throughput and CPU of the hub beside an echo on its own transport, and what they should be. */
function besideEcho(
  scenario: string,
  w: TargetResult,
  e: TargetResult,
  target: { readonly share: number; readonly extraUs: number },
  notes: Row["notes"] = doubts([w, e]),
): Row[] {
  const share = ratio(w, e);
  const extra = paired(w, e, (x, y) => (x.serverCpu / x.answered - y.serverCpu / y.answered) * 1e6);
  return [
    {
      scenario,
      weir: rate(throughput(w)),
      beside: `${rate(throughput(e))} echo, same transport`,
      figure: `${share.toFixed(2)} of the echo`,
      target: `at least ${target.share.toFixed(2)}`,
      met: share >= target.share,
      notes,
    },
    {
      scenario: "the same: server CPU a call",
      weir: micros(cpu(w)),
      beside: `${micros(cpu(e))} echo`,
      figure: `${micros(extra)} above the echo`,
      target: `at most ${target.extraUs} us`,
      met: extra <= target.extraUs,
    },
  ];
}

function latencyAlone(w: TargetResult, e: TargetResult): Row {
  const alone = ({ alone }: TargetResult): string => `${micros(alone!.p50)} / ${micros(alone!.p99)}`;
  return {
    scenario: "the same: latency, one in flight, p50 / p99",
    weir: alone(w),
    beside: `${alone(e)} echo`,
    figure: "",
    target: "",
  };
}

const extAuthz: Scenario = {
  name: "ext-authz",
  async run(bench) {
    const options: CheckOptions = { seed, count: messages, services: 8, users: 5000 };
    const hub = await bench.hub(hundredRules);
    const answer = await typicalExtAuthzAnswer(hub, options);
    await proveRules(bench, hub, options, "extAuthz");
    const echo = await bench.echo("hub", answer);
    const plan: LoadPlan = {
      messages: { extAuthz: options },
      expect: "pass",
      targets: [target("weir", hub), target("echo", echo)],
      connections,
      inFlight: 32,
      ...bench.pace,
    };
    const [w, e] = (await bench.load(plan)).targets as [TargetResult, TargetResult];
    return [
      ...besideEcho("ext_authz Check, 25 headers, 100 rules: throughput", w, e, { share: 0.7, extraUs: 8 }),
      latencyAlone(w, e),
    ];
  },
};

const scale: Scenario = {
  name: "scale",
  async run(bench) {
    const options: CheckOptions = { seed, count: messages, services: 1000, users: 5000 };
    const many = await bench.hub(tenThousandRules);
    const few = await bench.hub(tenRules);
    for (const hub of [many, few]) {
      await typicalAnswer(hub, options);
      await proveRules(bench, hub, options);
    }
    const targets = [target("weir with 10,000 rules", many), target("weir with 10 rules", few)];
    const plan: LoadPlan = {
      messages: { check: options },
      expect: "allow",
      targets,
      connections,
      inFlight: 32,
      ...bench.pace,
    };
    const [m, f] = (await bench.load({ ...plan, aloneMs: 0 })).targets as [TargetResult, TargetResult];
    const share = ratio(m, f);
    return [
      {
        scenario: "Check, 10,000 rules over 1,000 services",
        weir: `${rate(throughput(m))}, ${micros(cpu(m))}`,
        beside: `${rate(throughput(f))}, ${micros(cpu(f))} with 10 rules`,
        figure: `${share.toFixed(2)} of it`,
        target: "at least 0.90",
        met: share >= 0.9,
        notes: doubts([m, f]),
      },
    ];
  },
};

function report(records: number, inFlight: number): Scenario {
  return {
    name: `report-${records}`,
    async run(bench) {
      const hub = await bench.hub(standardMetrics);
      const plan: LoadPlan = {
        messages: { report: { seed, count: 40_000 / records, records } },
        expect: "empty",
        targets: [target("weir", hub)],
        connections,
        inFlight,
        ...bench.pace,
        aloneMs: 0,
      };
      const [w] = (await bench.load(plan)).targets as [TargetResult];
      const notes = doubts([w]);
      const each = cpu(w) / records;
      const { counted, series } = await requestsCounted(hub);
      if (counted !== w.answered * records)
        throw new Error(`${w.answered * records} records were reported, and ${counted} are counted`);
      if (series !== reportSeries) notes.push(`The load made ${series} series.`);
      return [
        {
          scenario: `Report, ${records.toLocaleString("en-US")} records a batch, standard metrics`,
          weir: `${rate(throughput(w) * records)} records`,
          beside: "",
          figure: `${micros(each)} of CPU a record`,
          target: "at most 1.5 us",
          met: each <= 1.5,
          notes,
        },
      ];
    },
  };
}

/** Each message is the only one of its stream, which costs a hub more than a proxy does that keeps its stream. */
const accessLogs: Scenario = {
  name: "als",
  async run(bench) {
    const entries = 100;
    const hub = await bench.hub(standardMetrics);
    const plan: LoadPlan = {
      messages: { accessLog: { seed, count: 200, entries } },
      expect: "empty",
      targets: [target("weir", hub)],
      connections,
      inFlight: 4,
      ...bench.pace,
      aloneMs: 0,
    };
    const [w] = (await bench.load(plan)).targets as [TargetResult];
    const notes = doubts([w]);
    const each = cpu(w) / entries;
    const { counted, series } = await requestsCounted(hub);
    if (counted !== w.answered * entries)
      throw new Error(`${w.answered * entries} entries were logged, and ${counted} are counted`);
    if (series !== accessLogSeries) notes.push(`The load made ${series} series.`);
    return [
      {
        scenario: `Access log, ${entries} entries a stream, standard metrics`,
        weir: `${rate(throughput(w) * entries)} entries`,
        beside: "",
        figure: `${micros(each)} of CPU an entry`,
        target: "at most 4 us",
        met: each <= 4,
        notes,
      },
    ];
  },
};

/** What a hub's counter of requests says, over how many series. */
async function requestsCounted(hub: ServerProcess): Promise<{ counted: number; series: number }> {
  const text = await (await fetch(`http://${hub.ready["admin"]}/metrics`)).text();
  const samples = [...text.matchAll(/^istio_requests_total\{.*\} (\S+)/gm)].map((m) => Number(m[1]));
  return { counted: samples.reduce((sum, value) => sum + value, 0), series: samples.length };
}

const memory: Scenario = {
  name: "memory",
  async run(bench) {
    const keys = 100_000;
    const options: CheckOptions = { seed, count: keys, services: 1000, users: keys };
    const hub = await bench.hub(manyKeys);
    const start = residentBytes(hub.pid);
    const plan = { messages: { check: options }, targets: [target("weir", hub)], connections, inFlight: 32 };
    const once = { ...plan, rounds: 0, sliceMs: 0, warmMs: 0, aloneMs: 0 };
    const [first] = (await bench.load({ ...once, expect: "allow" })).targets as [TargetResult];
    doubtsOfKeys(first, "allowed");
    // Each user has had its one request: that all are refused now shows that every key is alive.
    const [second] = (await bench.load({ ...once, expect: "refuse" })).targets as [TargetResult];
    doubtsOfKeys(second, "refused");
    const end = residentBytes(hub.pid);
    const mb = (bytes: number | undefined): string =>
      bytes === undefined ? "unknown" : `${Math.round(bytes / 1e6)} MB`;
    return [
      {
        scenario: "Memory, 10,000 rules and 100,000 live limit keys",
        weir: `${mb(end?.now)} resident, ${mb(end?.peak)} at most`,
        beside: `${mb(start?.now)} after the start`,
        figure: mb(end?.now),
        target: "under 150 MB",
        ...(end === undefined ? {} : { met: end.now < 150e6 }),
      },
    ];
  },
};

function doubtsOfKeys({ failed, failure }: TargetResult, expected: string): void {
  if (failed > 0) throw new Error(`${failed} calls were not ${expected}; the first: ${failure}`);
}

const ceiling: Scenario = {
  name: "ceiling",
  async run(bench) {
    const raw = await bench.echo("raw", Buffer.from("12060a001a020805", "hex"));
    const check: CheckOptions = { seed, count: messages, services: 8, users: 5000 };
    const plan = {
      messages: { check },
      expect: "allow",
      targets: [target("raw", raw)],
      connections,
      inFlight: 32,
    } as const;
    const [r] = (await bench.load({ ...plan, ...bench.pace, rounds: 3, aloneMs: 0 })).targets as [TargetResult];
    const load = median(r.slices.map((s) => (s.loadCpu / s.answered) * 1e6));
    return [
      {
        scenario: "for scale: what the load itself can reach",
        weir: "",
        beside: `${rate(throughput(r))}, raw frames on a socket`,
        figure: `${micros(load)} of its CPU a call`,
        target: "",
      },
    ];
  },
};

const rateLimit: Scenario = {
  name: "ratelimit",
  async run(bench) {
    const options: RateLimitOptions = { seed, count: messages, users: 5000 };
    const hub = await bench.hub(rateLimits);
    const echo = await bench.echo("hub", await typicalRateLimitAnswer(hub, options));
    const plan: LoadPlan = {
      messages: { rateLimit: options },
      expect: "within",
      targets: [target("weir", hub), target("echo", echo)],
      connections,
      inFlight: 32,
      ...bench.pace,
    };
    const [w, e] = (await bench.load({ ...plan, aloneMs: 0 })).targets as [TargetResult, TargetResult];
    return [...besideEcho("ShouldRateLimit, 2 descriptors in memory: throughput", w, e, { share: 0.7, extraUs: 4 })];
  },
};

const limits: Scenario = {
  name: "limits",
  run: async () => [...(await memoryLimits()), ...(await boundedLimits()), ...(await exactLimits())],
};

const buffer: Scenario = { name: "buffer", run: bufferedReports };
const spans: Scenario = { name: "spans", run: spanRows };

const scrape: Scenario = { name: "scrape", run: scrapes };

const pushed: Scenario = { name: "push", run: pushedPolicies };

const envoy: Scenario = { name: "envoy", run: throughEnvoy };

export const scenarios: readonly Scenario[] = [
  check,
  extAuthz,
  scale,
  report(100, 4),
  report(1000, 2),
  rateLimit,
  limits,
  buffer,
  accessLogs,
  scrape,
  spans,
  pushed,
  envoy,
  memory,
  ceiling,
];
