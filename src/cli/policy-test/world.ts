import { randomBytes } from "node:crypto";
import type { Bag } from "../../attributes/bag.ts";
import type { AdapterEntry } from "../../policy/snapshot.ts";
import type { HoldAsked } from "../../runtime/limits/holds.ts";
import { createRuntime } from "../../runtime/runtime.ts";
import type { Adapter, Log } from "../../sdk/index.ts";
import { createQueues } from "../../telemetry/queues/queues.ts";
import type { Told } from "../../telemetry/rules/growth.ts";
import { createReporter } from "../../telemetry/report.ts";
import type { Reporter } from "../../telemetry/report.ts";
import { createTraceIds } from "../../util/trace-ids.ts";
import type { Outcome } from "./outcome.ts";
import { asDecision, descriptorBags, judgeDescriptors } from "./descriptors.ts";
import { createRecorder } from "./recorder.ts";
import { standIn } from "./stand-in.ts";
import type { Suite } from "./suite.ts";
import type { AdapterAnswer, Answers, Step, TestCase } from "./test-file.ts";
import { createVirtualClock } from "./virtual-clock.ts";

/** A hub for one case: the real rooms over stand-ins of adapters, on a clock of its own. */
export interface World {
  /** Moves the clock. */
  advance(ms: number): Promise<void>;
  /** Does a step once, and tells what came of it. */
  act(step: Step, bag: Bag): Promise<Outcome>;
  /** Changes what a decision took. */
  change(kind: HoldAsked["kind"], id: string): Promise<void>;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly suite: Suite;
  readonly testCase: TestCase;
  /** The adapters that come with Weir, by name. */
  readonly adapters: ReadonlyMap<string, Adapter>;
}

/** What a test of policies does not look at. */
const silent: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** How much virtual time the end of a case may take. */
const closeMs = 60_000;

/** Rejects when an adapter that a test cannot do without cannot be made: a list whose file is not there. */
export async function createWorld({ suite, testCase, adapters }: WorldOptions): Promise<World> {
  const { test, snapshot } = suite;
  const clock = createVirtualClock(test.startMs);
  const recorder = createRecorder();
  const { observer } = recorder;
  const now = (): number => clock.now();

  let answers: readonly Answers[] = [testCase.answers, test.answers];
  const answersOf = (name: string): AdapterAnswer[] =>
    answers.map((each) => each.get(name)?.value).filter((each) => each !== undefined);
  const entries = new Map<string, AdapterEntry>();
  for (const entry of snapshot.adapters.values()) {
    const local = isLocal(entry, adapters);
    entries.set(
      entry.name,
      standIn({ entry, answersOf, recorder, local, real: wantsReal(entry.name, suite, testCase) }),
    );
  }

  const { timers } = clock;
  const traceIds = createTraceIds(randomBytes);
  const limits = { delayMs: 0 };
  const queues = createQueues({ observer, log: silent, now, random: () => 0.5, timers, limits });
  const runtime = createRuntime<Reporter>({
    fallback: adapters.get("memory")!,
    observer,
    log: silent,
    now,
    monotonic: now,
    random: randomBytes,
    timers,
    prepare: (prepared, instanceOf, produce) =>
      createReporter({
        snapshot: prepared,
        instanceOf,
        produce,
        queues,
        observer,
        counts: { taken: 0, full: 0 },
        now,
        traceIds,
        log: silent,
      }),
    retire: (reporter, deadlineMs) => reporter.close(deadlineMs),
  });
  const close = (): Promise<void> => clock.until(runtime.close(closeMs), recorder.outside);
  const problems = await runtime.activate({ ...snapshot, adapters: entries });
  if (problems.length > 0) {
    await close();
    throw new Error(problems.map(({ message }) => message).join("; "));
  }

  /** What rules have told of the request that is under way: the next report ends it. */
  let told: Told | undefined;

  return {
    advance: (ms) => (ms > 0 ? clock.advance(ms) : Promise.resolve()),
    async act(step, bag) {
      answers = [step.answers, testCase.answers, test.answers];
      const serving = runtime.acquire();
      try {
        if (step.kind === "ongoing") {
          serving.prepared.ongoing?.(bag, (told ??= { rules: [], sums: [], before: 0 }));
          return { record: "taken", ...recorder.take() };
        }
        if (step.kind === "report") {
          const record = serving.prepared.report(bag, told);
          told = undefined;
          if (record === "taken") serving.holds.end?.(bag);
          await clock.settle();
          return { record, ...recorder.take() };
        }
        if (step.asked.at === "ratelimit") {
          const bags = descriptorBags(bag, step.asked);
          const decided = judgeDescriptors(serving, bags, step.asked);
          const judged = decided instanceof Promise ? await clock.until(decided, recorder.outside) : decided;
          return { decision: asDecision(judged, bag.reads()), bags, ...recorder.take() };
        }
        const decided = serving.check(bag, step.asked);
        const decision = decided instanceof Promise ? await clock.until(decided, recorder.outside) : decided;
        return { decision, ...recorder.take() };
      } finally {
        serving.release();
      }
    },
    async change(kind, id) {
      const serving = runtime.acquire();
      try {
        await clock.until(serving.holds.change({ kind, id }), recorder.outside);
      } finally {
        serving.release();
      }
    },
    close,
  };
}

/** Whether an adapter works without the outside world: it counts in memory, or judges by entries and files. */
function isLocal({ adapter, config }: AdapterEntry, adapters: ReadonlyMap<string, Adapter>): boolean {
  if (adapters.get(adapter.name) !== adapter) return false;
  if (adapter.name === "memory") return true;
  return adapter.name === "list" && (config as { readonly url?: string }).url === undefined;
}

/** Whether any part of the test that this case sees asks for the adapter itself. */
function wantsReal(name: string, { test }: Suite, testCase: TestCase): boolean {
  return [test.answers, testCase.answers, ...testCase.steps.map((step) => step.answers)].some((answers) => {
    const said = answers.get(name)?.value;
    return said?.answer?.kind === "real" || said?.for.some(({ answer }) => answer.kind === "real") === true;
  });
}

function ignore(): void {}
