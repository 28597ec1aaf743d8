import { compilePolicies, formatProblem } from "../../src/policy/index.ts";
import type { Snapshot } from "../../src/policy/snapshot.ts";
import {
  defineAdapter,
  type Exemplar,
  type LogEntry,
  type MetricGroup,
  type MetricRecorder,
  type Span,
} from "../../src/sdk/index.ts";
import { createQueues, type Queues, type QueuesOptions } from "../../src/telemetry/queues/queues.ts";
import type { ReportingInstance } from "../../src/telemetry/outlets.ts";
import { createReporter, type Reporter } from "../../src/telemetry/report.ts";
import { createTraceIds } from "../../src/util/trace-ids.ts";
import { z } from "zod";
import { recordOf, type Attributes } from "../attributes/bag-of.ts";
import { FakeClock, fakeLog, FakeObserver } from "./fakes.ts";

const anyConfig = z.strictObject({});

/** Adapters that policies may name; their instances are handed in apart. */
const adapters = new Map(
  [
    defineAdapter({ name: "prometheus", provides: ["metrics"], config: anyConfig, create: () => missing() }),
    defineAdapter({ name: "other", provides: ["metrics"], config: anyConfig, create: () => missing() }),
    defineAdapter({ name: "log", provides: ["logs"], config: anyConfig, create: () => missing() }),
    defineAdapter({ name: "traces", provides: ["spans"], config: anyConfig, create: () => missing() }),
    defineAdapter({ name: "memory", provides: ["quota"], config: anyConfig, create: () => missing() }),
  ].map((adapter) => [adapter.name, adapter]),
);

function missing(): never {
  throw new Error("no instance is made here");
}

/** Compiles policies; throws what is wrong with them. */
export async function snapshotOf(text: string, telemetry = ""): Promise<Snapshot> {
  const config = {
    path: "weir.yaml",
    text: `adapters: { other: {}, traces: {}, stdout: { adapter: log } }\ntelemetry: { queue: 3, ${telemetry} }\n`,
  };
  const compiled = await compilePolicies({
    config,
    files: [{ path: "policies/test.yaml", text }],
    adapters,
    folder: "/",
  });
  if ("problems" in compiled) throw new Error(compiled.problems.map((problem) => formatProblem(problem)).join("\n"));
  return compiled.snapshot;
}

/** Bytes of which every eighth is one more than the one before it: identifiers that tell when they were made. */
function countingBytes(): (bytes: number) => Uint8Array {
  let made = 0;
  return (length) => Uint8Array.from({ length }, (_, i) => (i % 8 === 7 ? ++made & 0xff : 0xa0));
}

/** A reporter over real policies, and adapters that remember what they were given. */
export class TestHub {
  readonly clock = new FakeClock();
  readonly observer = new FakeObserver();
  readonly log = fakeLog();
  readonly counts = { taken: 0, full: 0 };
  readonly groups: MetricGroup[] = [];
  /** Samples as `metric{label=value,...} value`. */
  readonly samples: string[] = [];
  readonly entries: LogEntry[] = [];
  readonly exemplars: (Exemplar | undefined)[] = [];
  readonly queues: Queues;
  readonly spans: Span[] = [];
  /** Identifiers that count. */
  readonly traceIds = createTraceIds(countingBytes());
  closedRecorders = 0;

  readonly metricsInstance: ReportingInstance = {
    metrics: (group) => this.openRecorder(group),
  };
  readonly logsInstance: ReportingInstance = {
    logs: (entries) => void this.entries.push(...entries),
  };
  readonly spansInstance: ReportingInstance = {
    spans: (spans) => void this.spans.push(...spans),
  };

  constructor(options: Partial<QueuesOptions> = {}) {
    const { observer, log, clock } = this;
    this.queues = createQueues({ observer, log, now: clock.now, random: () => 0, timers: clock, ...options });
  }

  openRecorder(group: MetricGroup): MetricRecorder {
    this.groups.push(group);
    let before: readonly string[] = [];
    let array: readonly string[] | undefined;
    return {
      record: (labels, values, exemplar, changed = -1) => {
        const hinted = labels === array ? changed : -1;
        for (const [i, label] of labels.entries())
          if (((hinted >>> i) & 1) === 0 && label !== before[i])
            this.samples.push(`label ${i} is said to be as before`);
        array = labels;
        before = [...labels];
        this.exemplars.push(exemplar);
        const pairs = group.labels.map((name, i) => `${name}=${labels[i]}`).join(",");
        for (const [i, { name }] of group.metrics.entries()) {
          if (!Number.isNaN(values[i])) this.samples.push(`${name}{${pairs}} ${values[i]}`);
        }
      },
      close: () => void this.closedRecorders++,
    };
  }

  instanceOf = (adapter: string): ReportingInstance =>
    adapter === "stdout" ? this.logsInstance : adapter === "traces" ? this.spansInstance : this.metricsInstance;

  reporter(snapshot: Snapshot, instanceOf = this.instanceOf): Reporter {
    const { queues, observer, counts, clock, traceIds, log } = this;
    return createReporter({ snapshot, instanceOf, queues, observer, counts, now: clock.now, traceIds, log });
  }

  /** Reports one record to a reporter of its own and gives the samples it made. */
  static async samplesOf(policies: string, attributes: Attributes): Promise<{ samples: string[]; told: string[] }> {
    const hub = new TestHub();
    const snapshot = await snapshotOf(policies);
    hub.reporter(snapshot).report(recordOf(snapshot, attributes));
    return { samples: hub.samples, told: hub.observer.told };
  }
}
