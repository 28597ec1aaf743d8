import { accessLogSeries } from "./access-logs.ts";
import { type Bench, typicalAnswer } from "./bench.ts";
import { besideEcho, besidePlainEcho, latencyAlone, loadBesideEcho } from "./beside-echo.ts";
import { throughEnvoy } from "./envoy.ts";
import { typicalExtAuthzAnswer } from "./ext-authz.ts";
import { bufferedReports } from "./buffer.ts";
import { cpu, doubts, median, ratio, throughput } from "./figures.ts";
import { h2load } from "./h2load.ts";
import { boundedLimits, exactLimits, memoryLimits } from "./limits.ts";
import { pushedPolicies } from "./pushed.ts";
import { spanRows } from "./span-rows.ts";
import type { LoadPlan, TargetResult } from "./load.ts";
import { hundredRules, manyKeys, standardMetrics } from "./policies.ts";
import { type RateLimitOptions, rateLimits, typicalRateLimitAnswer } from "./rate-limit.ts";
import { residentBytes } from "./process-stat.ts";
import { type CheckOptions, checkRequests, reportSeries } from "./requests.ts";
import { manyRules } from "./scale.ts";
import { scrapes } from "./scrapes.ts";
import type { ServerProcess } from "./server-process.ts";
import { micros, rate, type Row } from "./table.ts";
import { connections, messages, once, proveRules, seed, target } from "./varied-load.ts";

export interface Scenario {
  /** For `--only`. */
  readonly name: string;
  run(bench: Bench): Promise<Row[]>;
}

const check: Scenario = {
  name: "check",
  async run(bench) {
    const options: CheckOptions = { seed, count: messages, services: 8, users: 5000 };
    const { hub, echo, own, plain } = await loadBesideEcho(bench, {
      files: hundredRules,
      messages: { check: options },
      expect: "allow",
      async prove(server) {
        await proveRules(bench, server, options);
        return typicalAnswer(server, options);
      },
    });
    const [w, e, p] = [...own, plain[1]];
    const rows: Row[] = [
      ...besideEcho("Check, 30 attributes, 100 rules: throughput", own, { share: 0.8, extraUs: 6 }),
      besidePlainEcho(plain, 0.8),
      latencyAlone(own),
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

const extAuthz: Scenario = {
  name: "ext-authz",
  async run(bench) {
    const options: CheckOptions = { seed, count: messages, services: 8, users: 5000 };
    const { own, plain } = await loadBesideEcho(bench, {
      files: hundredRules,
      messages: { extAuthz: options },
      expect: "pass",
      async prove(server) {
        await proveRules(bench, server, options, "extAuthz");
        return typicalExtAuthzAnswer(server, options);
      },
    });
    return [
      ...besideEcho("ext_authz Check, 25 headers, 100 rules: throughput", own, { share: 0.7, extraUs: 8 }),
      besidePlainEcho(plain, 0.7),
      latencyAlone(own),
    ];
  },
};

const scale: Scenario = { name: "scale", run: manyRules };

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
    const [first] = (await bench.load({ ...plan, ...once, expect: "allow" })).targets as [TargetResult];
    doubtsOfKeys(first, "allowed");
    // Each user has had its one request: that all are refused now shows that every key is alive.
    const [second] = (await bench.load({ ...plan, ...once, expect: "refuse" })).targets as [TargetResult];
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
    const { own, plain } = await loadBesideEcho(bench, {
      files: rateLimits,
      messages: { rateLimit: options },
      expect: "within",
      prove: (server) => typicalRateLimitAnswer(server, options),
    });
    return [
      ...besideEcho("ShouldRateLimit, 2 descriptors in memory: throughput", own, { share: 0.7, extraUs: 4 }),
      besidePlainEcho(plain, 0.7),
      latencyAlone(own),
    ];
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
